"""A training session from config to scores: new, resumed, dry, or fold by fold."""

import logging
import os
import sys
from pathlib import Path

import torch

from ser.command import log_to_terminal
from ser.config.load import load_config, to_yaml
from ser.errors import SerError
from ser.evaluation.report import pool_folds
from ser.evaluation.summary import summary_lines
from ser.evaluation.tables import counted
from ser.labels import label_set
from ser.shards.index import build_index
from ser.shards.protocols import fold_count, write_split_csv
from ser.shards.stream import reader_death
from ser.training.device import choose_device, set_deterministic
from ser.training.distributed import start_world, stop_world
from ser.training.finish import test_run
from ser.training.interrupt import Interrupted, StopRequest
from ser.training.job import PARTS, prepare, probe
from ser.training.loop import Trainer
from ser.training.run import RunDirectory, environment, new_run_path, open_run

log = logging.getLogger(__name__)
DEMO_SHARDS = Path('data/demo')
# What may differ when a run is resumed: where the data lies and how the machine is used, not what is computed.
RESUMABLE = ('data.shards', 'data.valid_shards', 'data.test_shards', 'data.workers', 'data.prefetch', 'run.device',
             'run.threads', 'run.log_seconds', 'run.timeout_minutes', 'run.folder', 'run.name',
             'training.checkpoint_minutes', 'training.checkpoint_steps')


def train(assignments, options, config=None, out=None, resume=None, all_folds=False, dry_run=False):
    """The whole command; returns an exit code. Arguments as in `ser.train`; raises SerError."""
    if resume is not None and (out or config or all_folds or dry_run):
        raise SerError('--resume takes its config and place from the run: it goes with --shards, --device and --set '
                       'of data.workers and the like, not with --out, --config, --folds or --dry-run')
    if resume is not None:
        resolved = _resumed_config(resume, assignments, options)
    else:
        named = config or ('base' if '--shards' in options else 'demo')
        resolved = load_config((named,), assignments, options)
    return _with_world(resolved, lambda world, device, reason: _sessions(
        world, device, reason, resolved, out, resume, all_folds, dry_run, offer=config is None))


def _with_world(config, body):
    """`body(world, device, reason)` inside the process group."""
    local_rank = int(os.environ.get('LOCAL_RANK', 0))
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    set_deterministic(config.run.deterministic)
    device, reason = choose_device(config.run.device, local_rank)
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    world = start_world('nccl' if device.type == 'cuda' else 'gloo', config.run.timeout_minutes)
    log_to_terminal(quiet=not world.is_main)
    log.info('device %s: %s%s', device, reason, f', {world.size} ranks' if world.size > 1 else '')
    try:
        return body(world, device, reason)
    except RuntimeError as error:
        # Torch raises the death of a reader from its signal handler, wherever the main thread then is.
        death = reader_death(error)
        if death is None:
            raise
        raise death from error
    finally:
        stop_world(world)


def _resumed_config(run, assignments, options):
    """The run's config with the changes that a resume allows. Raises SerError for any other."""
    config = load_config((str(Path(run) / 'config.yaml'),), assignments, options)
    _refuse_changes(run, config)
    return config


def _refuse_changes(run, config):
    """Raises SerError when `config` differs from the run's own in more than a resume allows."""
    old, new = open_run(run)[0].model_dump(mode='json'), config.model_dump(mode='json')
    for section, values in new.items():
        for key, value in values.items():
            dotted = f'{section}.{key}'
            if value != old[section].get(key) and dotted not in RESUMABLE:
                raise SerError(f'{run}: {dotted} is {old[section].get(key)} in this run and cannot change to {value}. '
                               f'What may change: {", ".join(RESUMABLE)}')


def _sessions(world, device, reason, config, out, resume, all_folds, dry_run, offer):
    if not config.data.shards:
        config = _with_demo(config, world)
    if all_folds:
        return _all_folds(world, device, reason, config, out)
    path = Path(resume) if resume else Path(world.from_main(str(new_run_path(config.run, out))))
    job = prepare(config, world, device)
    job.offer_small_model = offer
    shapes = probe(job)
    if dry_run:
        _print_plan(job, shapes)
        return 0
    return _one_run(job, path, reason, resume)


def _with_demo(config, world):
    """The config on the synthetic corpus, which is made where it is missing."""
    from ser.shards.demo_shards import ensure_demo_shards

    if world.is_main:
        ensure_demo_shards(DEMO_SHARDS)
    world.from_main(True)
    log.info('corpus: synthetic demo voices in %s, for trying the software only', DEMO_SHARDS)
    return config.model_copy(update={'data': config.data.model_copy(update={'shards': (str(DEMO_SHARDS),)})})


def _one_run(job, path, reason, resume=None):
    """Train (or continue) and score one run; returns an exit code."""
    command = f'python -m ser.train --resume {path}'
    if not job.world.is_main:
        return _train_and_test(job, RunDirectory(path), resume, command)
    with RunDirectory(path) as run:
        if resume is None:
            run.create(job.config, job.names, job.facts(), environment(job.device, reason, job.world.size))
            write_split_csv(path / 'split.csv', job.index, job.split)
        log.info('run %s', path)
        _describe(job)
        return _train_and_test(job, run, resume, command)


def _train_and_test(job, run, resume, command):
    if resume and job.world.from_main(run.finished):
        log.info('%s is finished; its files are completed where one is missing', run.path)
    trainer = Trainer(job, run)
    if resume:
        trainer.resume()
    try:
        with StopRequest() as stop:
            trainer.fit(stop)
    except Interrupted as interrupted:
        log.info('stopped and saved; continue with: %s', command)
        return 128 + interrupted.number
    finally:
        job.valid_stream.close()
    metrics = test_run(job, run)
    if job.world.is_main:
        for line in summary_lines(metrics):
            log.info(line)
        log.info('report: %s, %s', run.path / 'README.md', run.path / 'confusion_matrix.png')
        log.info('next: ser predict FILE.wav --model %s', run.path)
    return 0


def _all_folds(world, device, reason, config, out):
    """Every fold of the protocol in turn, finished folds kept, then the scores over all test clips."""

    if not hasattr(config.protocol, 'fold'):
        raise SerError(f"--folds all: protocol '{config.protocol.kind}' has no folds. Use --protocol speaker-kfold or "
                       'leave-one-speaker-out')
    index = build_index(config.data)
    names, _ = label_set([row.emotion for row in index.rows], config.data.labels)
    folds = fold_count(index, config.protocol, names)
    folder = Path(world.from_main(str(out or new_run_path(config.run))))
    runs = [folder / f'fold-{fold:02d}' for fold in range(1, folds + 1)]
    for fold, path in enumerate(runs, 1):
        of_fold = config.model_copy(update={'protocol': config.protocol.model_copy(update={'fold': fold})})
        started = world.from_main((path / 'config.yaml').is_file())
        if started:
            _refuse_changes(path, of_fold)
        if world.from_main(RunDirectory(path).finished):
            log.info('fold %d of %d: already done', fold, folds)
            continue
        log.info('fold %d of %d', fold, folds)
        code = _one_run(prepare(of_fold, world, device), path, reason, resume=path if started else None)
        if code:
            return code
    if world.is_main:
        for line in summary_lines(pool_folds(runs, folder, config.evaluation)):
            log.info(line)
        log.info('report: %s', folder / 'README.md')
    return 0


def _describe(job):
    parameters = sum(p.numel() for p in job.model.parameters())
    facts = job.facts()
    log.info('classes: %s', ', '.join(job.names))
    for part in PARTS:
        members = facts['parts'][part]
        log.info('%s: %s, %s', part, counted(members['clips'], 'clip'), counted(len(members['speakers']), 'speaker'))
    for reason, count in sorted(job.index.ignored.items()):
        log.info('shards: %s passed over: %s', counted(count, 'member'), reason)
    for note in job.index.notes:
        log.warning('shards: %s', note)
    for note in (job.split.description, *job.split.notes):
        log.info('protocol: %s', note)
    log.info('model: %s, %.1f M parameters', job.config.model.kind, parameters / 1e6)


def _print_plan(job, shapes):
    """The dry run: config, data, parts, parameters, shapes, on standard output."""
    if not job.world.is_main:
        return
    facts, write = job.facts(), sys.stdout.write
    write(to_yaml(job.config))
    write(f"\nshards: {len(facts['shards'])} files, {facts['clips']} clips, digest {facts['digest'][:16]}\n")
    write(f"protocol: {facts['protocol']}\n")
    for note in facts['notes']:
        write(f'note: {note}\n')
    for part, members in facts['parts'].items():
        counts = ', '.join(f'{name} {count}' for name, count in members['classes'].items())
        write(f"{part}: {members['clips']} clips, {len(members['speakers'])} speakers ({counts})\n")
    for name, parameters in job.model.parts().items():
        write(f'parameters of {name}: {sum(p.numel() for p in parameters):,}\n')
    write(f'steps: {job.plan.steps_per_epoch} per epoch, {job.config.training.epochs} epochs\n')
    for name, shape in shapes.items():
        write(f"{name}: {' x '.join(map(str, shape))}\n")
