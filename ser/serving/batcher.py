"""Dynamic batching: clips of many requests wait in one queue, and one thread hears them together."""

import contextlib
import math
import threading
import time
from collections import deque
from concurrent.futures import Future, InvalidStateError

import numpy as np

from ser.serving.refusal import Stopped
from ser.serving.threads import STOPPING, answer, fail

DEAD = 'the model has stopped working; its log says why. The server must be started again'


class _Job:
    """The windows of one recording: heard in any batch, answered together."""

    def __init__(self, clips):
        self.clips, self.rows, self.future = clips, [None] * len(clips), Future()
        self.taken = self.heard = 0
        self.since = time.monotonic()

    def next_samples(self):
        """Samples of the next window."""
        return len(self.clips[self.taken])

    def take(self):
        """Number of the next window."""
        self.taken += 1
        return self.taken - 1


class Batcher:
    """One model thread and what waits for it.

    A batch is taken as soon as the model is free: up to `max_batch` windows, one of each job in turn, so that a long
    recording does not hold up short ones. What a clip's answer is does not depend on the clips beside it, beyond
    float32 rounding: that is the model's promise.
    """

    def __init__(self, values, max_batch=16, max_wait_seconds=0.0, expected=None, metrics=None, max_samples=math.inf):
        """values: a list of B clips -> (B, C). expected: how many further clips are on their way; while there are any,
        a batch that is not full waits for max_wait_seconds at most. max_samples: of a batch, padded to its longest
        clip; one clip may have more."""
        self._values, self._max_batch, self._max_wait = values, max_batch, max_wait_seconds
        self._max_samples = max_samples
        self._expected, self._metrics = expected or (lambda: 0), metrics
        self._jobs, self._calls = deque(), deque()
        self._changed = threading.Condition()
        # What the model is at: the Futures of it, and since when.
        self._at_hand, self._began = [], None
        self._closing, self._dead = False, False
        self._thread = threading.Thread(target=self._run, name='model', daemon=True)
        self._thread.start()

    def submit(self, clips):
        """A Future of float64 (len(clips), C), the values of a list of at least one int16 (n,) clip.

        A cancelled Future drops what is not heard yet. Raises Stopped after `close`.
        """
        return self._put(self._jobs, _Job(clips)).future

    def call(self, function):
        """A Future of function(), run by the model thread between two batches. Raises Stopped after `close`."""
        future = Future()
        self._put(self._calls, (future, function))
        return future

    @property
    def waiting(self):
        """Windows and calls that no batch has taken yet."""
        with self._changed:
            return sum(len(job.clips) - job.taken for job in self._jobs) + len(self._calls)

    @property
    def dead(self):
        """Whether the model thread has ended by itself, which it never should."""
        return self._dead

    @property
    def busy_seconds(self):
        """How long the model has been at its batch or call; 0 while it waits for one."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def close(self, seconds=10.0):
        """Take no more work and fail what waits with Stopped, the batch at hand too if it has not ended within so many
        seconds. Returns whether the thread has ended."""
        self._fail_waiting(STOPPING)
        self._thread.join(seconds)
        for future in self._at_hand:
            fail(future, Stopped(STOPPING))
        return not self._thread.is_alive()

    def nudge(self):
        """Look again at how many clips are expected."""
        with self._changed:
            self._changed.notify_all()

    def _put(self, queue, entry):
        with self._changed:
            if self._closing:
                raise Stopped(DEAD if self._dead else STOPPING)
            # Behind a model that is stuck, what nobody waits for any more must not pile up.
            self._forget()
            queue.append(entry)
            self._changed.notify_all()
        return entry

    def _run(self):
        try:
            while self._step():
                pass
        finally:
            self._dead = not self._closing
            self._fail_waiting(DEAD if self._dead else STOPPING)
            for future in self._at_hand:
                fail(future, Stopped(DEAD))

    def _step(self):
        """Hear a batch and make a call, whichever waits; returns False once closed."""
        with self._changed:
            self._at_hand, self._began = [], None
            self._changed.wait_for(lambda: self._jobs or self._calls or self._closing)
            if self._closing:
                return False
            batch = self._take()
            call = self._calls.popleft() if self._calls else None
            self._at_hand = [job.future for job, _ in batch] + ([call[0]] if call else [])
            self._began = time.monotonic()
        if batch:
            self._hear(batch)
        if call:
            answer(*call)
        return True

    def _fail_waiting(self, why):
        with self._changed:
            self._closing = True
            waiting = [job.future for job in self._jobs] + [future for future, _ in self._calls]
            self._jobs.clear()
            self._calls.clear()
            self._changed.notify_all()
        for future in waiting:
            fail(future, Stopped(why))

    def _take(self):
        """[(job, number of the window)] of the next batch; waits where more is about to come. Holds the lock."""
        self._forget()
        if self._jobs and self._max_wait and not self._calls:
            until = min(job.since for job in self._jobs) + self._max_wait
            while not self._closing and self._ready() < self._max_batch and self._expected() > 0:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            self._forget()
        batch, longest = [], 0
        while self._jobs and len(batch) < self._max_batch:
            longest = max(longest, self._jobs[0].next_samples())
            if batch and longest * (len(batch) + 1) > self._max_samples:
                break
            job = self._jobs.popleft()
            batch.append((job, job.take()))
            if job.taken < len(job.clips):
                self._jobs.append(job)
        return batch

    def _ready(self):
        return sum(len(job.clips) - job.taken for job in self._jobs)

    def _forget(self):
        """Leave out the jobs and calls that nobody waits for any more. Holds the lock."""
        wanted = [job for job in self._jobs if not job.future.done()]
        if self._metrics:
            for _ in range(len(self._jobs) - len(wanted)):
                self._metrics.drop()
        calls = [call for call in self._calls if not call[0].done()]
        # The same deques: somebody may hold one and wait for the lock to add to it.
        for queue, kept in ((self._jobs, wanted), (self._calls, calls)):
            queue.clear()
            queue.extend(kept)

    def _hear(self, batch):
        try:
            values = self._values([job.clips[number] for job, number in batch])
            if len(values) != len(batch):
                raise RuntimeError(f'{len(values)} answers to {len(batch)} clips')
        except Exception as error:
            if len({id(job) for job, _ in batch}) == 1:
                fail(batch[0][0].future, error)
            else:
                # One clip must not take the answers of the others with it.
                for one in batch:
                    self._hear([one])
            return
        if self._metrics:
            self._metrics.batch(len(batch))
        for (job, number), row in zip(batch, values, strict=True):
            job.rows[number] = row
            job.heard += 1
            if job.heard == len(job.clips):
                with contextlib.suppress(InvalidStateError):
                    job.future.set_result(np.stack(job.rows))
