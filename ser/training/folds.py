"""Every fold of a protocol in turn, one run each, then the scores over all test clips."""

import logging

from ser.errors import SerError
from ser.evaluation.report import pool_folds
from ser.evaluation.summary import summary_lines
from ser.shards.protocols import KINDS, fold_names
from ser.training.demo_data import data_for
from ser.training.series import (
    Item,
    Place,
    failure_lines,
    finished,
    holding,
    labelled,
    pooled_lines,
    series_folder,
    split_lines,
    train_series,
)
from ser.training.session import with_world

log = logging.getLogger(__name__)
SOME_FAILED = 1


def all_folds(config, out=None, dry_run=False, say=print):
    """Train every fold into OUT/fold-NN and pool them into OUT; returns an exit code, 1 when some folds failed.

    Folds that are finished stay, one that was interrupted is continued: the same command carries on. dry_run: only
    `say` the parts of every fold. Raises SerError for a protocol without folds, and when every fold fails.
    """
    check_has_folds(config)

    def body(world, device, reason):
        place = Place(world, device, reason)
        folder = series_folder(place, config, out, r'fold-\d+')
        with data_for(config, world, dry_run) as with_shards:
            index, names = labelled(with_shards)
            items = fold_items(with_shards, index, names, folder)
            if dry_run:
                return dry_folds(index, names, items, place, say)
            with holding(folder, place):
                code, failed = train_series(items, place)
                if code:
                    log.info('the same command carries on with the folds: --folds all --out %s', folder)
                    return code
                return pool(items, failed, folder, place)

    return with_world(config, body)


def check_has_folds(config):
    """Raises SerError for a protocol without folds."""
    if not hasattr(config.protocol, 'fold'):
        allowed = ', '.join(name for name, kind in KINDS.items() if kind.fold_names)
        raise SerError(f"--folds all: protocol '{config.protocol.kind}' has no folds. Use --protocol with one of: "
                       f'{allowed}')


def fold_items(config, index, names, folder, label=''):
    """The Items of every fold of a config's protocol. label: what comes before 'fold 1 of 5' in their labels."""
    tested = fold_names(index, config.protocol, names)
    return [Item(f'{label}fold {fold} of {len(tested)} ({words})',
                 config.model_copy(update={'protocol': config.protocol.model_copy(update={'fold': fold})}),
                 folder / f'fold-{fold:02d}') for fold, words in enumerate(tested, start=1)]


def dry_folds(index, names, items, place, say):
    """`say` who is in which part of every fold; returns an exit code, 1 when some folds cannot be split."""
    lines, failed = split_lines(index, names, items)
    if place.world.is_main:
        for line in [f'classes: {", ".join(names)}', *lines, *failure_lines(failed)]:
            say(line)
    return SOME_FAILED if failed else 0


def pool(items, failed, folder, place):
    """Pool the finished folds of `items` into `folder`; returns an exit code.

    failed: label -> reason. Raises SerError when no fold is finished.
    """
    runs = [item.path for item in items if finished(item, place)]
    lines = failure_lines(failed)
    if not runs:
        raise SerError(f'{folder}: every fold failed; {lines[0].removeprefix("failed: ")}')
    if place.world.is_main:
        if len(runs) > 1:
            lines = [*summary_lines(pool_folds(runs, folder, items[0].config.evaluation)), *pooled_lines(folder),
                     *lines]
        for line in lines:
            log.info(line)
    return SOME_FAILED if failed else 0
