"""A training session from config to scores: new, resumed or dry. `folds` runs one per fold."""

import gc
import logging
import os
import shlex
import sys
import traceback
from pathlib import Path

import torch
import torch.distributed as dist

from ser.config.load import load_config
from ser.errors import SerError
from ser.evaluation.reading import read_json
from ser.evaluation.report import evaluate_run
from ser.evaluation.summary import summary_lines
from ser.evaluation.tables import counted
from ser.models import settled
from ser.shards.index import PARTS
from ser.shards.stream import reader_death
from ser.training.demo_data import data_for, on_demo
from ser.training.device import choose_device, set_deterministic
from ser.training.distributed import start_world, stop_world
from ser.training.finish import test_run
from ser.training.fit_once import FitOnce, fits_at_once
from ser.training.interrupt import Interrupted, StopRequest
from ser.training.job import prepare, probe, who
from ser.training.loop import Trainer
from ser.training.run import RunDirectory, environment, new_run_path, open_run, restarted
from ser.training.trackers import check_tracker, start_tracker

log = logging.getLogger(__name__)
SLOW_SECONDS = 1800
# What may differ when a run is resumed: where the data lies and how the machine is used, not what is computed.
RESUMABLE = ('data.shards', 'data.valid_shards', 'data.test_shards', 'data.workers', 'data.prefetch', 'data.long',
             'data.remote', 'data.scan_remote', 'data.cache', 'data.cache_gb',
             'data.audit', 'run.device', 'run.threads', 'run.cuda_graphs', 'run.log_seconds', 'run.timeout_minutes',
             'run.folder', 'run.name', 'run.tracker', 'training.checkpoint_minutes', 'training.checkpoint_steps',
             'training.on_nonfinite', 'training.max_nonfinite')


def with_world(config, body):
    """`body(world, device, reason)` inside the process group; errors of torch that people cause become SerError."""
    check_tracker(config.run.tracker)
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    set_deterministic(config.run.deterministic)
    device, reason = choose_device(config.run.device, int(os.environ.get('LOCAL_RANK', 0)))
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    world = start_world('nccl' if device.type == 'cuda' else 'gloo', config.run.timeout_minutes)
    log.info('device %s: %s%s', device, reason, f', {world.size} ranks' if world.size > 1 else '')
    try:
        return body(world, device, reason)
    except BaseException as error:
        # Frames of the traceback keep the DDP wrapper alive, and freeing it after the process group can deadlock.
        traceback.clear_frames(error.__traceback__)
        told = _for_people(error, world)
        if told is error:
            raise
        raise told from error
    finally:
        gc.collect()
        stop_world(world)


def _for_people(error, world):
    """The SerError that an error of torch stands for, or the error itself."""
    if isinstance(error, torch.OutOfMemoryError):
        return SerError('the GPU is out of memory: lower training.batch_size, raise training.accumulate, or set '
                        'training.gradient_checkpointing=true')
    # Torch raises the death of a reader from its signal handler, wherever the main thread then is.
    death = reader_death(error)
    lost = isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and 'gloo' in str(error).lower())
    if death is None and world.size > 1 and lost:
        return SerError(f'rank {world.rank} lost another rank, whose own message says why')
    return death or error


def new_session(config, out=None, dry_run=False, offer_small=False, say=print):
    """Train and score one new run; returns an exit code.

    out: the run directory, or None for one of its own name; where torchrun has restarted the ranks, it is the run that
    they carry on. dry_run: only `say` what would be done. offer_small: point at a small model where this one is slow.
    Raises SerError.
    """
    def body(world, device, reason):
        # A machine whose ranks were well joins the others again, and is told of no restart.
        again = any(world.gather(restarted()))
        path, begun = world.on_main(lambda: _run_of(config, out, again))
        with data_for(config, world, dry_run) as with_shards:
            job = prepare(with_shards, world, device)
            if begun:
                return _single_run(job, path, reason, resume=True)
            shapes = probe(job)
            if dry_run:
                # Of the synthetic corpus it says where training has it.
                job.config = job.config if config.data.shards else on_demo(job.config)
                if world.is_main:
                    for line in job.plan_lines(shapes):
                        say(line)
                return 0
            if job.split.folds:
                log.info('this run is fold %d of %d: --folds all trains each and pools them', job.split.fold,
                         job.split.folds)
            return _single_run(job, path, reason, offer_small=offer_small)

    return with_world(config, body)


def _run_of(config, out, again):
    """(path, whether it is a run that this one carries on). again: whether torchrun has restarted ranks.

    Raises SerError as `new_run_path` and `refuse_changes`.
    """
    if not again or out is None or not (Path(out) / 'config.yaml').is_file():
        return new_run_path(config.run, out), False
    refuse_changes(out, config)
    return Path(out), True


def resume_session(run, assignments, options):
    """Continue a run from its newest checkpoint; of a finished one complete the files. Returns an exit code."""
    open_run(run)
    config = load_config((str(Path(run) / 'config.yaml'),), assignments, options)
    refuse_changes(run, config)
    path = Path(run)

    def body(world, device, reason):
        directory = RunDirectory(path)
        if world.from_main(directory.finished and directory.scorable):
            log.info('%s is finished: its scores and pictures are made again from its predictions', path)
            if world.is_main:
                _tell(evaluate_run(path, config.evaluation), path)
            return 0
        with data_for(config, world) as with_shards:
            return _single_run(prepare(with_shards, world, device), path, reason, resume=True)

    return with_world(config, body)


def refuse_changes(run, config):
    """Raises SerError when `config` differs from the run's own in more than a resume allows."""
    # A run's own config says of its encoder what the checkpoint says.
    old, new = open_run(run)[0].model_dump(mode='json'), settled(config).model_dump(mode='json')
    for section, values in new.items():
        for key, value in values.items():
            dotted = f'{section}.{key}'
            if value != old[section].get(key) and dotted not in RESUMABLE:
                raise SerError(f'{run}: {dotted} is {old[section].get(key)} in this run and cannot change to {value}. '
                               f'What may change: {", ".join(RESUMABLE)}')


def _single_run(job, path, reason, **options):
    """`one_run` of a run that is no part of a series, and commands to try on it."""
    code = one_run(job, path, reason, **options)
    if code == 0 and job.world.is_main:
        for line in _next_lines(path):
            log.info(line)
    return code


def one_run(job, path, reason, resume=False, offer_small=False):
    """Train (or continue) and score one run; returns an exit code."""
    def after_first_step(seconds_left):
        if offer_small and job.device.type == 'cpu' and seconds_left > SLOW_SECONDS:
            log.info('by its first step this run takes about %.0f hours on this CPU; '
                     '--config maxmvit-tiny trains in minutes', seconds_left / 3600)

    # Everything that can refuse comes before the first file.
    run = RunDirectory(path)
    trainer = FitOnce(job, run) if fits_at_once(job.model) else Trainer(job, run, after_first_step)
    if resume:
        refuse_other_data(path, digest=job.digest, split=job.split.digest, classes=list(job.names))
    if not job.world.is_main:
        if resume:
            trainer.resume()
        return _train_and_test(job, trainer)
    with trainer.run as run:
        if not resume:
            # It may have become a run of another process since it was looked at.
            new_run_path(job.config.run, path)
        run.write_facts(job.task, job.facts(), job.write_split)
        if resume:
            trainer.resume()
        # A tracker that cannot start is said before the folder is a run.
        with start_tracker(job.config, run) as trainer.tracker:
            if not resume:
                run.create(job.config, environment(job.device, reason, job.world.size))
            log.info('run %s', path)
            _describe(job)
            return _train_and_test(job, trainer)


def refuse_other_data(path, **now):
    """Raises SerError when the shards, parts or classes are not those that the run began with.

    now: `digest`, `split` or `classes` of data.json, whichever are to be compared.
    """
    if not (path / 'data.json').is_file():
        return
    began = read_json(path / 'data.json', dict)
    for name, value in now.items():
        if began.get(name) != value:
            raise SerError(f'{path}: began with other data ({name} {began.get(name)}, now {value}). Resume with the '
                           'same shards, or start a new run')


def _train_and_test(job, trainer):
    path = trainer.run.path
    try:
        with StopRequest() as stop:
            trainer.fit(stop)
    except Interrupted as interrupted:
        log.info('stopped and saved; continue with: %s -m ser.train --resume %s', _launcher(job.world),
                 shlex.quote(str(path)))
        return 128 + interrupted.number
    finally:
        job.valid_stream.close()
    metrics = test_run(job, trainer.run)
    if job.world.is_main:
        trainer.tracker.log_test(metrics, path / _picture_of(metrics))
        _tell(metrics, path)
    return 0


def _launcher(world):
    if world.size == 1:
        return 'python'
    here = int(os.environ.get('LOCAL_WORLD_SIZE', world.size))
    machines = f'--nnodes {world.size // here} ' if here < world.size else ''
    return f'torchrun {machines}--nproc-per-node {here}'


def _tell(metrics, path):
    for line in summary_lines(metrics):
        log.info(line)
    log.info('report: %s, %s', path / 'README.md', path / _picture_of(metrics))


def _size(model):
    if fits_at_once(model):
        return 'fitted at once: no parameters to be trained'
    parameters = sum(p.numel() for p in model.parameters())
    return f'{parameters / 1e6:.1f} M parameters' if parameters >= 1e5 else f'{parameters:,} parameters'


def _next_lines(path):
    place = shlex.quote(str(path))
    return f'next: ser report {place}', f'      ser predict FILE.wav --model {place}'


def _picture_of(metrics):
    return 'scatter.png' if metrics.get('task') == 'dimensions' else 'confusion_matrix.png'


def _describe(job):
    facts = job.facts()
    regression = job.config.task.kind == 'dimensions'
    log.info('%s: %s', 'dimensions' if regression else 'classes', ', '.join(job.names))
    for target, values in job.task.auxiliary.items():
        log.info('auxiliary %s: %s', target, ', '.join(values))
    for part in PARTS:
        members = facts['parts'][part]
        log.info('%s: %s, %s', part, counted(members['clips'], 'clip'), who(members))
    renamed = {(row.raw_label.strip(), row.emotion) for row in job.index.rows
               if row.emotion and not regression and row.raw_label.strip().lower() != row.emotion}
    if renamed:
        log.info('labels renamed: %s', ', '.join(f'{given} -> {name}' for given, name in sorted(renamed)))
    for reason, count in sorted(job.index.ignored.items()):
        log.info('shards: %s passed over: %s', counted(count, 'member'), reason)
    for note in job.index.notes:
        log.warning('shards: %s', note)
    for note in (job.protocol_line(), *job.notes()):
        log.info('protocol: %s', note)
    for line in job.audit_lines():
        log.info('audit: %s', line)
    if not fits_at_once(job.model):
        log.info('epochs: %s', job.epoch_line())
    log.info('model: %s, %s', job.config.model.kind, _size(job.model))
    sys.stderr.flush()
