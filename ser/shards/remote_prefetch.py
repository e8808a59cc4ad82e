"""Fetching ahead of training: the shards of this shuffle window and the next, in the plan's order.

A process of its own, so that nothing of the network lives where readers are forked. It fetches only: a reader that
comes to a shard first fetches it itself, and tells what was wrong where that fails.
"""

import hashlib
import json
import logging
import multiprocessing
import signal
import sys
import time
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor

from ser.errors import SerError
from ser.files import size_text
from ser.shards.parent import end_with_parent
from ser.shards.remote_cache import GB

AT_ONCE = 4
"""Shards that one run fetches side by side."""
SPARE_SHARDS = 2
"""Room beside two windows, in shards of the largest size, for what validation and readers far ahead come to."""
POLL_SECONDS = 0.02

log = logging.getLogger(__name__)


class Schedule:
    """Which shards each micro-batch of a rank needs, and which come next: from TrainSpecs.

    ahead: how many micro-batches readers may be ahead of the one that the training waits for.
    """

    def __init__(self, specs, ahead):
        self.specs, self.plan, self.ahead = specs, specs.plan, ahead
        self._windows = {}

    def needed(self, number):
        """Shard numbers of item `number`'s window, of those that readers may be in, and of one more at least."""
        here, there = self._place(number), self._place(number + self.ahead)
        return list(dict.fromkeys(shard for held in self._between(here, there) for shard in held))

    def most_windows(self):
        """The most windows that one item of the first epoch needs at a time, 2 at least."""
        batch, ends = self.plan.batch_size, [start for start, _ in self._used(0)[1:]]
        items = (((end - 1) // batch - self.specs.first) * self.specs.accumulate for end in ends)
        steps = ((self._place(item), self._place(item + self.specs.accumulate - 1 + self.ahead)) for item in items)
        return max((len(list(self._between(*pair))) for pair in steps), default=2)

    def _place(self, number):
        return divmod(self.specs.first + number // self.specs.accumulate, self.plan.steps_per_epoch)

    def _between(self, here, there):
        """The shards of each window from a place (epoch, step) to another; of two windows at least, while there are."""
        (epoch, step), batch, count = here, self.plan.batch_size, 0
        while epoch < self.plan.epochs:
            windows = self._used(epoch)
            for start, held in windows[bisect_right([start for start, _ in windows], step * batch) - 1:]:
                if count >= 2 and (epoch, start) >= (there[0], (there[1] + 1) * batch):
                    return
                count += 1
                yield held
            epoch, step = epoch + 1, 0

    def _used(self, epoch):
        """The windows of an epoch that its steps reach into."""
        if epoch not in self._windows:
            used = self.plan.steps_per_epoch * self.plan.batch_size
            self._windows = {kept: windows for kept, windows in self._windows.items() if kept == epoch - 1}
            self._windows[epoch] = [window for window in self.plan.windows(epoch) if window[0] < used]
        return self._windows[epoch]


class Idle:
    """The prefetch of local shards: nothing to do."""

    def start(self):
        """Nothing."""

    def awaited(self, number):
        """Nothing."""

    def stop(self):
        """Nothing."""


def make_prefetch(index, specs, ahead):
    """A Prefetch of the remote shards that TrainSpecs read, Idle where all are local.

    ahead: micro-batches that readers prepare ahead. Raises SerError where the cache cannot hold two windows, or as many
    as readers may be in at a time.
    """
    numbers = sorted(set(specs.plan.shard_of[specs.plan.rows].tolist()))
    if not any(index.shards[number].store for number in numbers):
        return Idle()
    return Prefetch(index.shards, Schedule(specs, ahead), numbers)


class Prefetch:
    """A process that keeps the cache two windows ahead; `awaited` tells it which item the training waits for."""

    def __init__(self, shards, schedule, numbers):
        self.shards, self.schedule, plan = shards, schedule, schedule.plan
        most = schedule.most_windows()
        self.cache = next(shards[number].store for number in numbers if shards[number].store)
        self.reserve = _reserve(shards, numbers, plan.window, most)
        _check_room(self.cache, shards, numbers, (plan.window, most), self.reserve)
        names = [shards[number].sha256 for number in numbers]
        self.group = hashlib.sha256(json.dumps([names, plan.window, plan.seed]).encode()).hexdigest()
        taken = self.cache.reserved(self.group)
        if taken + self.reserve > self.cache.limit:
            raise SerError(f'{self.cache.folder}: other runs at work need {size_text(taken)} of data.cache_gb '
                           f'{self.cache.limit / GB:g}, this one {size_text(self.reserve)}. Raise it, or give this run '
                           'another folder: --set data.cache=FOLDER')
        self._context = multiprocessing.get_context('fork' if sys.platform == 'linux' else 'spawn')
        self._awaited = self._context.Value('q', 0, lock=False)
        self._process = None

    def start(self):
        """Begin to fetch. Call it where readers are started, before CUDA or threads are used: it forks."""
        self.awaited(0)
        if self._process is None:
            self._process = self._context.Process(target=self._run, daemon=True, name='shard-prefetch')
            self._process.start()

    def awaited(self, number):
        """Say that the training waits for item `number`: windows before it may go, the one after it is fetched."""
        self._awaited.value = number

    def stop(self):
        """End the process; `start` begins anew."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
            process.close()

    def __getstate__(self):
        return {**self.__dict__, '_process': None, '_context': None}

    def _run(self):
        end_with_parent()
        # Ctrl-C is for the training process, which saves first; its handler of SIGTERM is not for this one.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with self.cache.lease(self.group, self.reserve) as hold, ThreadPoolExecutor(AT_ONCE) as pool:
            held, number = (), None
            while True:
                if self._awaited.value != number:
                    number = self._awaited.value
                    needed = self.schedule.needed(number)
                    if needed != held:
                        hold([self.shards[shard].sha256 for shard in needed])
                        for shard in needed:
                            if shard not in held:
                                pool.submit(self._fetch, self.shards[shard])
                        held = needed
                time.sleep(POLL_SECONDS)

    def _fetch(self, shard):
        try:
            if shard.store:
                shard.store.fetch(shard)
        except SerError as error:
            # The reader that needs it tries again, and it is the one whose error stops the run.
            log.debug('fetching ahead: %s', error)


def _reserve(shards, numbers, window, most):
    """Bytes that `most` windows of `window` shards can come to, with SPARE_SHARDS beside them."""
    # One set may be local and another remote.
    sizes = sorted((shards[number].size for number in numbers if shards[number].store), reverse=True)
    remote = [shard.size for shard in shards if shard.store]
    kept = sizes if window == 'all' else sizes[:most * window]
    return sum(kept) + (SPARE_SHARDS * max(remote) if len(kept) < len(remote) else 0)


def _check_room(cache, shards, numbers, windows, reserve):
    window, most = windows
    if reserve <= cache.limit:
        return
    sizes = [shards[number].size for number in numbers if shards[number].store]
    if window == 'all':
        fits = int((cache.limit / max(sizes) - SPARE_SHARDS) / 2)
        smaller = (f', or read window by window: --set data.shuffle_window_shards={fits}' if fits > 0 else '')
        raise SerError(f'data.shuffle_window_shards all reads the {len(sizes)} remote shards in one order: the cache '
                       f'must hold all, {size_text(reserve)}, and data.cache_gb is {cache.limit / GB:g}. '
                       f'Set data.cache_gb to {_gb(reserve)} or more{smaller}')
    far = '' if most == 2 else ' (readers are in so many at a time; a smaller data.prefetch needs fewer)'
    raise SerError(f'data.cache_gb {cache.limit / GB:g} is too small for {most} windows of {window} remote shards'
                   f'{far}: {size_text(reserve)} are needed. Set data.cache_gb to {_gb(reserve)} or more, or '
                   f'data.shuffle_window_shards to {"more" if most > 2 else "less"}')


def _gb(size):
    """A number of bytes in units of 10^9, rounded up to three digits or more."""
    unit = 10 ** max(len(str(size)) - 3, 0)
    return f'{-(-size // unit) * unit / GB:.9f}'.rstrip('0').rstrip('.')
