"""What grows with what: one function per axis, each yielding plain rows as soon as they are measured.

A row has value and stage, figures (or an error), and nothing that was not measured. What would take too long is left
out and said.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from ser.benchmarks.clips import make_shards
from ser.benchmarks.data_cases import data_cases
from ser.benchmarks.front_end_cases import front_end_cases
from ser.benchmarks.model_cases import ENDLESS, model_cases
from ser.benchmarks.run import with_shards
from ser.benchmarks.timing import measure
from ser.config.load import to_yaml
from ser.errors import SerError
from ser.shards.pool import cores

BATCHES = tuple(2**power for power in range(10))
CLIP_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
SAMPLES = (1_000, 10_000, 100_000)
RANKS = (1, 2)

LONGEST_SECONDS = 40.0
"""A point that would take longer, by the one before it, is left out with all that follow."""

REPEATS = 3
"""Most timings of a point."""

INDEXED_CLIP_SECONDS = 0.02
"""Length of the clips of the sets that are only indexed."""

PROBE_SECONDS = 300
"""When a process that measures is given up."""

ROOT = Path(__file__).resolve().parent.parent.parent


def by_batch(options, say):
    """Front end and training step, from 1 clip to 512."""
    points = [(batch, replace(options, batches=(batch,))) for batch in BATCHES]
    yield from _growing(points, 'front_end', front_end_cases, say)
    # Batch normalisation needs two clips.
    yield from _growing(points[1:], 'train_step', model_cases, say)


def by_seconds(options, say):
    """The front end, by the length of clips, as far as data.max_seconds goes."""
    points = [(seconds, replace(options, batches=options.batches[:1], seconds=seconds)) for seconds in CLIP_SECONDS
              if seconds <= options.config.data.max_seconds]
    yield from _growing(points, 'front_end', front_end_cases, say)


def by_workers(options, say):
    """Reading and decoding, from no reader process to one per core."""
    with ExitStack() as stack:
        options = with_shards(replace(options, stages=('read_decode',), batches=options.batches[:1]), stack, say)
        counts = sorted({0, 1, *(2**power for power in range(1, 11) if 2**power < cores()), cores()})
        points = [(workers, replace(options, config=_with(options.config, 'data', workers=workers)))
                  for workers in counts]
        yield from _growing(points, 'read_decode', data_cases, say)


def _growing(points, stage, cases_of, say):
    """A row per (value, options) of `points`, in their order, until one fails or would take too long."""
    took = previous = 0.0
    for value, options in points:
        if previous and took * max(value / previous, 1.0) > LONGEST_SECONDS:
            say(f'{stage} at {value:g} and beyond is left out: it would take more than {LONGEST_SECONDS:.0f} s')
            return
        options = replace(options, stages=(stage,), against=())
        started = time.perf_counter()
        row = measure(cases_of(options), min(options.repeats, REPEATS), options.device, lambda line: None)[0].as_json()
        took, previous = time.perf_counter() - started, value
        kept = ('ms_per_clip', 'clips_per_second', 'peak_mb', 'error')
        yield {'value': value, 'stage': stage, **{name: row[name] for name in kept if row.get(name) is not None}}
        if 'error' in row:
            return


def by_samples(options, say):
    """Index and plan of sets of a thousand to a hundred thousand samples, each in a process of its own."""
    for samples in SAMPLES:
        say(f'making an index of {samples} samples')
        with tempfile.TemporaryDirectory(prefix='ser-benchmark-') as folder:
            rate = options.config.data.sample_rate
            for name, count in (('first', 10), ('set', samples)):
                make_shards(Path(folder) / name, count, INDEXED_CLIP_SECONDS, rate, shard_size=1000, distinct=8)
            environment = {'XDG_CACHE_HOME': folder}
            yield {'value': samples, 'stage': 'index',
                   **_probe(['ser.benchmarks.index_probe', f'{folder}/first', f'{folder}/set'], environment)}


def by_ranks(options, say):
    """Training over shards by one and two processes that share the cores, or by as many GPUs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='ser-benchmark-')))
        options = with_shards(replace(options, stages=('train_from_shards',)), stack, say)
        # Two clips at least for each rank.
        batch = max(options.batches[0] // 2 * 2, 2 * max(RANKS))
        config = _with(options.config, 'data', shards=options.shards, valid_shards=(), test_shards=())
        config = _with(config, 'training', batch_size=batch, accumulate=1, epochs=ENDLESS, checkpoint_steps=None,
                       checkpoint_minutes=float(ENDLESS))
        config = _with(config, 'run', device=options.device.type, threads=None)
        (folder / 'config.yaml').write_text(to_yaml(config))
        for ranks in RANKS:
            if options.device.type == 'mps' and ranks > 1:
                say('one rank alone: this device cannot be shared')
                return
            if options.device.type == 'cuda' and ranks > torch.cuda.device_count():
                say(f'{ranks} ranks are left out: {torch.cuda.device_count()} GPU')
                return
            say(f'training with {ranks} of {max(RANKS)} ranks')
            launcher = ['torch.distributed.run', '--standalone', '--nproc-per-node', str(ranks), '-m',
                        'ser.benchmarks.rank_probe', str(folder / 'config.yaml')]
            threads = {'OMP_NUM_THREADS': str(max(cores() // ranks, 1))}
            yield {'value': ranks, 'stage': 'train_from_shards', **_probe(launcher, threads)}


def _with(config, section, **update):
    """`config` with values of one section replaced."""
    return config.model_copy(update={section: getattr(config, section).model_copy(update=update)})


def _probe(module, environment):
    """What `python -m module` says in the last line of its output, as JSON. Raises SerError when it fails."""
    paths = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    environment = {**os.environ, **environment, 'PYTHONPATH': os.pathsep.join(paths)}
    try:
        done = subprocess.run([sys.executable, '-m', *module], capture_output=True, text=True, env=environment,
                              timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise SerError(f'no answer within {PROBE_SECONDS} s') from None
    if done.returncode:
        # The first is the cause; a launcher has errors of its own to report after it.
        cause = re.search(r'^[\w.]*Error: .+$', done.stderr, re.MULTILINE)
        said = cause[0] if cause else (done.stderr.strip().splitlines() or ['nothing'])[-1]
        raise SerError(f'the process that measures failed and said: {said[:300]}')
    return json.loads(done.stdout.splitlines()[-1])


AXES = {'batch': by_batch, 'seconds': by_seconds, 'samples': by_samples, 'workers': by_workers, 'ranks': by_ranks}
"""Axis -> its measurement, in the order of running."""
