"""Smoothing and segments against plain slow versions of the same rules."""

from itertools import pairwise

import numpy as np
import pytest

from ser.evaluation.calibration import Calibration
from ser.inference.emotion_segments import answers_of, merged, segments_of, smoothed


def takers(runs, i):
    near = [runs[j] for j in (i - 1, i + 1) if 0 <= j < len(runs) and runs[j][2] is not None]
    return sorted(near, key=lambda run: (run[0] - run[1], run[0]))


def slowly_merged(pieces, shortest):
    """The rule as it is written, run by run from the start each time."""
    runs = []
    for start, end, answer in pieces:
        if runs and runs[-1][2] == answer:
            runs[-1][1] = end
        else:
            runs.append([start, end, answer])
    while True:
        short = [(end - start, start, i) for i, (start, end, _) in enumerate(runs)
                 if end - start < shortest and takers(runs, i)]
        if not short:
            return [tuple(run) for run in runs]
        i = min(short)[2]
        runs[i][2] = takers(runs, i)[0][2]
        runs = [list(run) for run in slowly_merged(runs, 0)]


@pytest.mark.parametrize('seed', range(60))
def test_short_runs_are_merged_as_the_rule_says(seed):
    generator = np.random.default_rng(seed)
    ends = np.cumsum(generator.integers(1, 9, generator.integers(1, 40))).tolist()
    answers = generator.choice(['a', 'b', 'silence', 'unknown', None], len(ends)).tolist()
    pieces = list(zip([0, *ends[:-1]], ends, answers, strict=True))
    for shortest in (0, 3, 8, 10**6):
        found = merged(pieces, shortest)
        assert found == slowly_merged(pieces, shortest)
        assert [start for start, _, _ in found] == [0, *(end for _, end, _ in found[:-1])]
        assert found[-1][1] == ends[-1]
        assert all(one[2] != other[2] for one, other in pairwise(found))


def test_a_pause_goes_into_speech_and_a_word_between_silences_stays():
    assert merged([(0, 9, 'a'), (9, 10, None), (10, 15, 'b')], 2) == [(0, 10, 'a'), (10, 15, 'b')]
    apart = [(0, 9, None), (9, 10, 'a'), (10, 19, None)]
    assert merged(apart, 5) == apart
    assert merged([(0, 1, 'a')], 5) == [(0, 1, 'a')]


def test_merging_many_runs_takes_no_quadratic_time():
    pieces = [(i, i + 1, 'ab'[i % 2]) for i in range(20_000)]
    assert len(merged(pieces, 10**6)) == 1


def test_smoothing_is_the_mean_weighted_by_cover():
    generator = np.random.default_rng(1)
    length, hop, window = 1037, 100, 230
    starts = [*range(0, length - window + 1, hop), length - window]
    spans = [(start, start + window) for start in starts]
    values = generator.dirichlet(np.ones(3), len(spans))
    values[4] = np.nan
    edges = np.append(np.arange(0, length, hop), length)
    rows = np.zeros((length, 3))
    counts = np.zeros(length)
    for (start, end), row in zip(spans, values, strict=True):
        if not np.isnan(row[0]):
            rows[start:end] += row
            counts[start:end] += 1
    # Sample by sample: sums over a step divided by how often its samples were covered.
    expected = [rows[low:high].sum(0) / counts[low:high].sum() for low, high in pairwise(edges)]
    assert smoothed(spans, values, edges, hop) == pytest.approx(np.array(expected))
    alone = smoothed([(0, 50), (50, 100)], np.array([[1.0, 0.0], [np.nan, np.nan]]), np.array([0, 50, 100]), 50)
    assert alone[0].tolist() == [1.0, 0.0] and np.isnan(alone[1]).all()


def test_classes_called_silence_and_unknown_are_classes():
    names, values = ('silence', 'unknown'), np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]])
    answers = [answer for answer, _ in answers_of(values, names, Calibration())]
    assert answers == ['silence', None, 'unknown']
    found = segments_of(np.array([0, 10, 20, 30]), answers, values, names, 10, 0)
    assert [(segment.start, segment.emotion, segment.confidence) for segment in found] == [
        (0, 'silence', 0.9), (1, 'silence', None), (2, 'unknown', 0.8)]


def test_answers_know_silence_and_doubt():
    values = np.array([[0.9, 0.1], [0.55, 0.45], [np.nan, np.nan]])
    assert answers_of(values, ('a', 'b'), Calibration(threshold=0.6)) == [('a', 0.9), ('unknown', 0.55),
                                                                          (None, None)]


@pytest.mark.parametrize('seed', range(20))
def test_segments_cover_the_recording_and_confidence_is_the_mean(seed):
    generator = np.random.default_rng(seed)
    steps, rate = int(generator.integers(1, 60)), 100
    length = int((steps - 1) * 50 + generator.integers(1, 51))
    edges = np.append(np.arange(0, length, 50), length)
    values = generator.dirichlet(np.ones(3) * 0.4, steps)
    values[generator.random(steps) < 0.3] = np.nan
    names = ('a', 'b', 'c')
    answers = [answer for answer, _ in answers_of(values, names, Calibration(threshold=0.5))]
    found = segments_of(edges, answers, values, names, rate, 130)
    assert found[0].start == 0 and found[-1].end == length / rate
    for one, other in pairwise(found):
        assert one.end == other.start and one.emotion != other.emotion
    for segment in found:
        inside = values[(edges[:-1] / rate >= segment.start) & (edges[1:] / rate <= segment.end)]
        inside = inside[~np.isnan(inside[:, 0])]
        if segment.emotion == 'silence':
            assert segment.confidence is None
        else:
            of = inside.max(1) if segment.emotion == 'unknown' else inside[:, names.index(segment.emotion)]
            assert segment.confidence == pytest.approx(of.mean())
