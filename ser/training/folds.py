"""Every fold of a protocol in turn, one run each, then the scores over all test clips."""

import logging
from pathlib import Path

from ser.errors import SerError
from ser.evaluation.report import pool_folds
from ser.evaluation.summary import summary_lines
from ser.labels import label_set
from ser.shards.index import build_index
from ser.shards.protocols import fold_count
from ser.training.job import prepare, probe
from ser.training.run import RunDirectory, new_run_path
from ser.training.session import one_run, refuse_changes, with_data, with_world

log = logging.getLogger(__name__)


def all_folds(config, out=None):
    """Train every fold into OUT/fold-NN and pool them into OUT; returns an exit code.

    Folds that are finished stay, one that was interrupted is continued: the same command carries on.
    Raises SerError for a protocol without folds.
    """
    if not hasattr(config.protocol, 'fold'):
        raise SerError(f"--folds all: protocol '{config.protocol.kind}' has no folds. Use --protocol speaker-kfold or "
                       'leave-one-speaker-out')
    return with_world(config, lambda world, device, reason: _folds(world, device, reason, config, out))


def _folds(world, device, reason, config, out):
    folder = Path(world.from_main(str(new_run_path(config.run, out))))
    config = with_data(config, world)
    index = build_index(config.data)
    names, _ = label_set([row.emotion for row in index.rows], config.data.labels)
    folds = fold_count(index, config.protocol, names)
    runs = [folder / f'fold-{fold:02d}' for fold in range(1, folds + 1)]
    for fold, path in enumerate(runs, 1):
        of_fold = config.model_copy(update={'protocol': config.protocol.model_copy(update={'fold': fold})})
        started = world.from_main((path / 'config.yaml').is_file())
        if started:
            refuse_changes(path, of_fold)
        if world.from_main(RunDirectory(path).finished):
            log.info('fold %d of %d: already done', fold, folds)
            continue
        log.info('fold %d of %d', fold, folds)
        job = prepare(of_fold, world, device)
        probe(job)
        code = one_run(job, path, reason, resume=started)
        if code:
            log.info('the same command carries on with the folds: --folds all --out %s', folder)
            return code
    if world.is_main:
        for line in summary_lines(pool_folds(runs, folder, config.evaluation)):
            log.info(line)
        log.info('report: %s', folder / 'README.md')
    return 0
