"""Decoding ahead: the same in the same order whatever the number of threads, and never too much at once."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ser.inference import decoding
from ser.inference.decoding import decoded
from ser.inference.recordings import Named
from tests.shard_factory import audio_bytes, tone


@pytest.fixture
def files(tmp_path):
    for number in range(12):
        (tmp_path / f'{number}.wav').write_bytes(audio_bytes(tone(number, 0.1 + 0.05 * (number % 3)), 16000, 'wav'))
    (tmp_path / '7.wav').write_text('no audio')
    return [Named(tmp_path / f'{number}.wav') for number in range(12)] + [Named(Path('gone'), 'no such file')]


def test_threads_change_nothing(files):
    expected = list(decoded(files, 8000))
    assert [clip.file for clip in expected] == [str(named.path) for named in files]
    assert [number for number, clip in enumerate(expected) if clip.error] == [7, 12]
    assert expected[12].error == 'no such file' and expected[12].samples is None
    for jobs in (1, 3, 16):
        for one, other in zip(decoded(files, 8000, jobs), expected, strict=True):
            assert one.file == other.file and one.error == other.error
            assert np.array_equal(one.samples, other.samples)


class Slow:
    """A recording that says how many of its kind are being decoded at once."""

    path, now, most, lock = Path('slow'), 0, 0, threading.Lock()

    def __init__(self, weight=0):
        self._weight = weight

    def weight(self):
        return self._weight

    def samples(self, rate):
        with Slow.lock:
            Slow.now += 1
            Slow.most = max(Slow.most, Slow.now)
        time.sleep(0.01)
        with Slow.lock:
            Slow.now -= 1
        return np.zeros(1, np.int16)


@pytest.mark.parametrize(('weight', 'jobs', 'several'), [(0, 4, True), (decoding.LARGE_BYTES + 1, 4, False)])
def test_large_ones_are_decoded_one_at_a_time(weight, jobs, several):
    Slow.most = 0
    assert len(list(decoded([Slow(weight) for _ in range(12)], 16000, jobs))) == 12
    assert (Slow.most > 1) == several


@pytest.mark.parametrize(('weight', 'ahead'), [(0, decoding.AHEAD_FILES), (decoding.AHEAD_BYTES // 4, 4),
                                               (decoding.AHEAD_BYTES * 2, 1)])
def test_what_is_ahead_is_bounded(weight, ahead):
    begun = []

    def endless():
        while True:
            begun.append(1)
            yield Slow(weight)

    clips = decoded(endless(), 16000, 2)
    for used in range(1, 4):
        next(clips)
        # One more is known by name.
        assert len(begun) == ahead + used
    clips.close()


def test_without_threads_nothing_is_read_ahead(files):
    taken = []
    clips = decoded((taken.append(named) or named for named in files), 16000)
    next(clips)
    assert len(taken) == 1
