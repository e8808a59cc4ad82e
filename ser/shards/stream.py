"""The stream: plan, decode and collate as a WebDataset pipeline, moved by wds.WebLoader.

Worker w of W takes micro-batches w, w + W, ...; the loader asks workers in turn, so the plan's order comes back
whatever W is. Errors travel as values and are raised here; a worker that dies is an error, never a hang.
"""

import atexit
import contextlib
import logging
import os
import signal
import sys
import traceback
import weakref
from dataclasses import dataclass

import torch
import webdataset as wds
from torch.utils.data import get_worker_info

from ser.errors import SerError
from ser.shards.batch import padded_length
from ser.shards.parent import end_with_parent
from ser.shards.pool import cores
from ser.shards.reader import EvaluationBatches, TrainBatches
from ser.shards.remote_prefetch import Idle, make_prefetch
from ser.shards.slabs import make_slabs
from ser.shards.specs import EvaluationSpecs, TrainSpecs

MAX_AUTO_WORKERS = 8

SHARED_CORES = 2
"""So many cores do not bear a reader beside a network: its threads wait for the one whose core the reader takes, which
costs more than decoding between steps (measured, NOTES.md)."""

GRACE_SECONDS = 120
"""How long a worker outlives a SIGTERM that the main process may be handling."""

log = logging.getLogger(__name__)


def rank_cores():
    """Processor cores for this rank, at least 1: those of the machine shared among its ranks (LOCAL_WORLD_SIZE)."""
    ranks = os.environ.get('LOCAL_WORLD_SIZE', '')
    return max(cores() // max(int(ranks) if ranks.isdecimal() else 1, 1), 1)


def resolve_workers(workers, steps, available=None, on_cpu=False):
    """How many reader processes to start: data.workers ('auto': cores - 1, at most 8), never more than `steps`.

    available: cores; rank_cores() unless given. on_cpu: the network runs on those cores too; then 'auto' is 0 where
    there are no more than SHARED_CORES. Logs a warning when a number that was asked for is more than there are batches.
    """
    available = rank_cores() if available is None else available
    spare = 0 if on_cpu and available <= SHARED_CORES else max(available - 1, 0)
    wanted = min(spare, MAX_AUTO_WORKERS) if workers == 'auto' else workers
    if wanted > steps and workers != 'auto':
        log.warning('data.workers %d is more than the %d batches: using %d', wanted, steps, steps)
    return min(wanted, steps)


def reader_death(error):
    """The SerError that an error of the loader about a dead worker stands for, or None for any other error.

    Torch raises a RuntimeError from its SIGCHLD handler, so it may surface outside the stream, wherever the main
    thread is: pass that one here too.
    """
    text = ' '.join(str(error).split()) or type(error).__name__
    # A batch that a worker announced cannot be fetched from it any more: EOFError, or a refused connection.
    if not isinstance(error, (EOFError, OSError)) and 'DataLoader worker' not in text:
        return None
    return SerError(f'a reader process died ({text.rstrip(".")}). Memory or /dev/shm may be too small: '
                    'lower data.prefetch or training.batch_size, or read in this process with --set data.workers=0')


@dataclass(frozen=True)
class Failure:
    """An error of a worker on its way to the main process. trace: for what was not foreseen."""

    message: str
    trace: str | None = None


class _Guarded:
    """A batch maker whose errors are values."""

    def __init__(self, make):
        self.make = make

    def __call__(self, spec):
        try:
            return self.make(spec)
        except SerError as error:
            return Failure(str(error))
        except Exception as error:
            return Failure(f'reading a batch failed: {type(error).__name__}: {error}', traceback.format_exc())


class _Source:
    """The pipeline's first stage: this worker's share of the plan."""

    def __init__(self, specs):
        self.specs = specs

    def __call__(self):
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(first, len(self.specs), step):
            yield self.specs[number]


def _start_worker(_):
    end_with_parent()
    # Ctrl-C and a job manager's SIGTERM reach the whole process group; the main process decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _outlive)


def _outlive(*_):
    # Time for the main process to finish its step and save; a worker that nobody stops in that time ends itself.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(GRACE_SECONDS)


def _slabs(specs, make, workers, data):
    """Slabs for the largest batch there can be, or None where readers share no memory with this process."""
    if not workers or _context() != 'fork':
        return None
    longest = padded_length(make.most_samples(specs.plan.rows), data.sample_rate)
    return make_slabs(workers, data.prefetch, specs.clips * longest * torch.int16.itemsize)


def _context():
    # fork starts in 0.2 s where spawn takes 3 s, and shares the index; workers never touch the accelerator.
    return 'fork' if sys.platform == 'linux' else None


def _loader(specs, make, workers, data, slabs):
    wds.utils.enforce_security = True
    stages = [_Source(specs), wds.map(_Guarded(make)), *([slabs.send] if slabs else [])]
    options = {}
    if workers:
        options = {'prefetch_factor': data.prefetch, 'persistent_workers': True,
                   'multiprocessing_context': _context(), 'worker_init_fn': _start_worker}
    # A generator of its own: the loader draws a number at each start, which must not come out of torch's global one.
    return wds.WebLoader(wds.DataPipeline(*stages), batch_size=None, num_workers=workers, generator=torch.Generator(),
                         **options)


def _shut_down(iterator):
    """Stop the workers of a loader's iterator for certain.

    Not left to the garbage collector, since a traceback may hold the iterator for long; and a worker's death may
    come to light, as a RuntimeError from torch's signal handler, in the middle of stopping the others.
    """
    with contextlib.suppress(RuntimeError):
        iterator._shutdown_workers()
    with contextlib.suppress(RuntimeError):
        for worker in iterator._workers:
            worker.join(timeout=1)
    for worker in iterator._workers:
        worker.kill()
        worker.join()


_started = weakref.WeakSet()


def _close_at_exit(stream):
    """Close a stream that nobody closed before multiprocessing waits for its workers (last registered, first run)."""
    if not _started:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _started.add(stream)


def _close_all():
    for stream in list(_started):
        stream.close()


class _Stream:
    """An iterable over Batches, one iteration at a time, with workers that can be started early and stopped."""

    def __init__(self, specs, make, workers, data, prefetch=None):
        self._make, self._specs, self._prefetch = make, specs, prefetch or Idle()
        workers = min(workers, len(specs))
        self._slabs = _slabs(specs, make, workers, data)
        self._loader = _loader(specs, make, workers, data, self._slabs)
        self._items = self._ahead = None

    def __len__(self):
        return len(self._specs)

    def start(self):
        """Start the workers and wait for the first batch. Call it before CUDA or threads are used: workers fork."""
        if self._ahead is None:
            self._stop_items()
            _close_at_exit(self)
            self._prefetch.start()
            self._items = iter(self._loader)
            self._ahead = self._next()

    def __iter__(self):
        self.start()
        item, self._ahead, number = self._ahead, None, 0
        while item is not None:
            yield from self._batches(item)
            number += 1
            self._prefetch.awaited(number)
            item = self._next()
        if self._slabs:
            self._slabs.give_back()

    def close(self):
        """Stop the workers and close the shards; iterating again starts them anew."""
        self._stop_items()
        self._prefetch.stop()
        loader = self._loader.pipeline[0]
        iterator, loader._iterator = loader._iterator, None
        if iterator is not None:
            _shut_down(iterator)
        if self._slabs:
            self._slabs.give_back()
        self._make.close()

    def _stop_items(self):
        if self._items is not None:
            self._items.close()
        self._items = self._ahead = None

    def _next(self):
        try:
            item = next(self._items, None)
        except (RuntimeError, EOFError, OSError) as error:
            death = reader_death(error)
            if death is None:
                raise
            self.close()
            raise death from None
        if isinstance(item, Failure):
            self.close()
            raise SerError(item.message) from (RuntimeError(item.trace) if item.trace else None)
        return self._slabs.receive(item) if self._slabs else item

    def _batches(self, item):
        return item

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class TrainStream(_Stream):
    """This rank's micro-batches from `start` = (epoch, step) to the end of the last epoch, in the plan's order.

    One loader over all epochs: workers stay busy through a validation. Each item is a Batch of batch_size / (world *
    accumulate) rows. Raises SerError for a bad sample (data.on_error 'raise') or when more than data.max_bad of this
    rank's share are bad ('skip'); each bad sample is logged once.
    seed: keys where long clips are cropped. columns: further targets by name, an array row for each row of the index.
    place: accumulate, rank and world (1, 0 and 1 unless given).
    """

    def __init__(self, index, plan, data, names, *, seed=0, start=(0, 0), workers=0, columns=None, **place):
        specs = TrainSpecs(plan, start, **place)
        super().__init__(specs, TrainBatches(index, data, names, seed, columns), workers, data,
                         make_prefetch(index, specs, workers * data.prefetch))
        self._share = len(plan.rows) / place.get('world', 1)
        self._max_bad = data.max_bad
        self._bad = set()

    def _batches(self, item):
        for error in item.errors:
            if error not in self._bad:
                self._bad.add(error)
                log.warning('skipped: %s', error)
        if len(self._bad) > self._max_bad * self._share:
            self.close()
            raise SerError(f'{len(self._bad)} of about {self._share:.0f} training clips cannot be used, more than '
                           f'data.max_bad {self._max_bad:g} allows; the first: {min(self._bad)}')
        yield item


class EvaluationStream(_Stream):
    """This rank's share of a part, every clip exactly once over all ranks; iterate it as often as needed.

    Rows of padding have id -1 and weight 0; windows of a long clip (data.long 'window') share its id.
    Raises SerError for a clip that cannot be decoded, and at once for one that its JSON says is too long.
    """

    def __init__(self, index, plan, data, names, *, rank=0, world=1, workers=0, columns=None):
        make = EvaluationBatches(index, data, names, columns)
        make.check_lengths(plan.rows)
        super().__init__(EvaluationSpecs(plan, (rank, world)), make, workers, data)
