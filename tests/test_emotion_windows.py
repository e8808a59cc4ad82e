"""Where windows lie, levels, and an envelope: by other routes."""

import math
from itertools import pairwise

import numpy as np
import pytest

from ser.errors import SerError
from ser.inference.emotion_windows import (
    LOWEST_DB,
    Course,
    Envelope,
    check_segments,
    grid_of,
    is_silent,
    level_db,
)


def pieces(samples, seed):
    """Samples in blocks of random lengths, some empty."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(samples) + 1, 9))
    return np.split(samples, cuts)


@pytest.mark.parametrize(('window', 'hop'), [(3.0, 1.0), (0.5, 0.5), (0.7, 0.3), (1.0, 0.05), (0.33, 0.33)])
@pytest.mark.parametrize('length', [1, 2000, 3999, 4000, 4001, 24000, 31999, 100003])
def test_every_window_is_where_it_belongs(window, hop, length):
    grid = grid_of(8000, 10.0, window, hop)
    assert abs(grid.window - 8000 * window) < 1 and grid.hop % grid.frame == 0 and grid.hop <= grid.window
    assert 8000 * hop * 0.99 < grid.hop <= 8000 * hop
    samples = np.arange(length).astype(np.int16)
    course = Course(grid)
    found = list(course.windows(pieces(samples, length)))
    for start, clip in found:
        assert np.array_equal(clip, samples[start:start + len(clip)])
        assert len(clip) == min(grid.window, length)
    starts = [start for start, _ in found]
    assert starts[:-1] == list(range(0, (len(starts) - 1) * grid.hop, grid.hop))
    assert starts[-1] + len(found[-1][1]) == length == course.samples
    assert all(0 < later - sooner <= grid.hop for sooner, later in pairwise(starts))
    edges = grid.edges(length)
    assert edges[0] == 0 and edges[-1] == length and (np.diff(edges) > 0).all()
    assert (np.diff(edges)[:-1] == grid.hop).all()


def test_lengths_that_are_not_given_fit_the_model():
    assert grid_of(16000, 30.0) == grid_of(16000, 30.0, 3.0, 1.0)
    assert grid_of(16000, 0.5) == grid_of(16000, 0.5, 0.5, 0.5)
    assert grid_of(16000, 30.0, 0.4) == grid_of(16000, 30.0, 0.4, 0.4)


@pytest.mark.parametrize(('lengths', 'said'), [
    ((31.0, None), "window is 31 s. Allowed are 0.1 s to 30 s, the run's data.max_seconds; the nearest is 30"),
    ((0.0, None), 'window is 0 s.'), ((-1.0, 1.0), 'the nearest is 0.1'), ((math.nan, 1.0), 'window is nan s'),
    ((3.0, 4.0), 'hop is 4 s. Allowed are 0.05 s to 3 s, the window; the nearest is 3'),
    ((3.0, 0.0), 'the nearest is 0.05'), ((None, math.inf), 'hop is inf s')])
def test_lengths_that_do_not_fit_are_refused(lengths, said):
    with pytest.raises(SerError) as caught:
        grid_of(16000, 30.0, *lengths)
    assert said in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize(('shortest', 'level', 'said'), [
    (-1.0, -60.0, 'min-segment is -1 s'), (math.nan, -60.0, 'min-segment is nan s'),
    (1.0, 3.0, 'silence-db is 3. A level from -200 to 0 dBFS is allowed; the nearest is 0'),
    (1.0, -300.0, 'the nearest is -200'), (1.0, math.nan, 'silence-db is nan')])
def test_segments_and_levels_that_make_no_sense_are_refused(shortest, level, said):
    with pytest.raises(SerError, match=said):
        check_segments(shortest, level)


def test_levels_are_those_of_sines_and_silence():
    sine = np.round(16384 * np.sin(2 * np.pi * np.arange(8000) / 80)).astype(np.int16)
    assert level_db(sine) == pytest.approx(-6.02 - 3.01, abs=0.01)
    assert level_db(np.zeros((2, 9), np.int16)).tolist() == [LOWEST_DB] * 2
    assert level_db(np.full(4, -32768, np.int16)) == pytest.approx(0)


def test_the_loudest_frame_of_a_stretch():
    grid = grid_of(8000, 10.0, 1.0, 0.5)
    samples = np.zeros(8000 * 3 + 100, np.int16)
    samples[8000:8800] = 3277
    samples[-100:] = 328
    course = Course(grid)
    list(course.windows(pieces(samples, 0)))
    assert course.loudest(0, 8000) == LOWEST_DB == course.loudest(8800, 24000)
    assert course.loudest(8000, 12000) == pytest.approx(-20, abs=0.01)
    # Only whole frames count, so the end of a loud one does not.
    assert course.loudest(8400, 16000) == LOWEST_DB
    assert course.loudest(24000, 24100) == pytest.approx(-40, abs=0.03)


def test_an_envelope_is_bounded_and_holds_every_extreme():
    samples = np.random.default_rng(0).integers(-32768, 32768, 50001).astype(np.int16)
    envelope = Envelope(spans=16)
    for piece in pieces(samples, 1):
        envelope.add(piece)
    low, high, size = envelope.spans()
    assert 16 <= len(low) <= 33 and size == 64 * 2 ** round(math.log2(size / 64))
    assert len(low) == math.ceil(len(samples) / size)
    for i in range(len(low)):
        span = samples[i * size:(i + 1) * size]
        assert (low[i], high[i]) == (span.min(), span.max())
    short = Envelope()
    short.add(samples[:3])
    assert short.spans()[0].tolist() == [samples[:3].min()]


@pytest.mark.parametrize('rate', [8000, 16000, 44100])
def test_a_clip_is_silent_where_no_frame_of_a_tenth_of_a_second_is_loud(rate):
    frame, softer, louder = rate // 10, 30, 36
    quiet = np.full(5 * frame + 7, softer, np.int16)
    # 32.77 is -60 dBFS.
    assert is_silent(quiet, rate) and not is_silent(quiet, rate, -61.0) and not is_silent(quiet, rate, LOWEST_DB)
    assert is_silent(np.zeros(1, np.int16), rate) and not is_silent(np.zeros(1, np.int16), rate, LOWEST_DB)
    for first, last, silent in ((frame, 2 * frame, False), (frame, frame + frame // 4, True),
                                (5 * frame, 5 * frame + 7, False)):
        clip = quiet.copy()
        clip[first:last] = louder
        assert is_silent(clip, rate) is silent
