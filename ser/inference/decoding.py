"""Recordings decoded ahead of the model by threads: in order, in bounded memory."""

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np

from ser.inference.recordings import BadRecording

AHEAD_FILES = 128
"""Most recordings that are decoded and not used yet."""

AHEAD_BYTES = 1 << 28
"""About how much these may weigh together; a single one may weigh more."""

LARGE_BYTES = 1 << 25
"""Heavier ones are decoded one at a time: on the way to 16 bits they take many times that."""


class Decoded(NamedTuple):
    """A recording's int16 (n,) mono samples, or why there are none."""

    file: str
    samples: np.ndarray | None = None
    error: str | None = None


def decoded(recordings, sample_rate, jobs=0):
    """Yield the Decoded of each of `recordings` (recordings.Named), in order, at `sample_rate` Hz.

    jobs: threads that decode ahead; 0 decodes each recording when it is asked for. What is yielded is the same.
    """
    if not jobs:
        yield from (_decode(recording, sample_rate, nullcontext()) for recording in recordings)
        return
    pool = ThreadPoolExecutor(jobs, 'decode')
    one_at_a_time, waiting, weight = threading.Lock(), deque(), 0
    try:
        for recording in recordings:
            heavy = recording.weight()
            while waiting and (len(waiting) >= AHEAD_FILES or weight + heavy > AHEAD_BYTES):
                future, gone = waiting.popleft()
                weight -= gone
                yield future.result()
            lock = one_at_a_time if heavy > LARGE_BYTES else nullcontext()
            waiting.append((pool.submit(_decode, recording, sample_rate, lock), heavy))
            weight += heavy
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _decode(recording, sample_rate, lock):
    file = str(recording.path)
    try:
        with lock:
            return Decoded(file, recording.samples(sample_rate))
    except BadRecording as bad:
        return Decoded(file, error=str(bad))
