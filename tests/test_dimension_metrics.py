"""CCC and errors against definitions, scipy and hand; the bootstrap against a plain loop, and its coverage."""

import time
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from ser.evaluation.dimension_metrics import ccc_intervals, dimension_scores


def ccc(truth, predicted):
    """Lin 1989, by the covariance matrix divided by N."""
    (variance, covariance), (_, spread) = np.cov(truth, predicted, bias=True)
    below = variance + spread + (np.mean(truth) - np.mean(predicted))**2
    return 2 * covariance / below if below > 0 else 0.0


def one(truth, predicted):
    return dimension_scores(np.array(truth, float)[:, None], np.array(predicted, float)[:, None], ('x',))['x']


def speech(rng, speakers, clips, spread=0.8, dimensions=2):
    """Truth, predictions and speakers of a test: of each speaker the model hears a level that is off by something."""
    truth = rng.normal(size=(speakers * clips, dimensions))
    off = np.repeat(spread * rng.normal(size=(speakers, dimensions)), clips, axis=0)
    return (truth, 0.7 * truth + off + 0.5 * rng.normal(size=truth.shape),
            np.repeat([f's{i}' for i in range(speakers)], clips))


def true_ccc(spread=0.8):
    """CCC over all clips of all speakers there could be: 2 cov / (var + var), both means 0."""
    return 2 * 0.7 / (1 + 0.7**2 + spread**2 + 0.5**2)


def test_a_case_by_hand():
    # Means 2 and 3, variances 2/3 and 8/3, covariance 4/3: 2 * 4/3 / (2/3 + 8/3 + 1) = 8/13.
    found = one([1, 2, 3], [1, 3, 5])
    assert found['ccc'] == pytest.approx(8 / 13) and found['pearson'] == pytest.approx(1)
    assert found['rmse'] == pytest.approx(np.sqrt(5 / 3)) and found['mae'] == pytest.approx(1)
    assert found['truth_mean'] == 2 and found['truth_sd'] == pytest.approx(np.sqrt(2 / 3))


@pytest.mark.parametrize(('level', 'unit'), [(0, 1), (4, 1e-3), (1e5, 1), (-3, 1e6)])
def test_agrees_with_numpy_and_scipy_in_any_unit(level, unit):
    truth, predicted, _ = speech(np.random.default_rng(1), 5, 20)
    truth, predicted = level + unit * truth, level + unit * predicted
    found = dimension_scores(truth, predicted, ('a', 'b'))
    assert list(found) == ['a', 'b']
    for i, scores in enumerate(found.values()):
        assert scores['ccc'] == pytest.approx(ccc(truth[:, i], predicted[:, i]), rel=1e-9)
        assert scores['pearson'] == pytest.approx(stats.pearsonr(truth[:, i], predicted[:, i]).statistic, rel=1e-9)
        assert scores['rmse'] == pytest.approx(np.sqrt(np.mean((truth[:, i] - predicted[:, i])**2)), rel=1e-9)
        assert scores['mae'] == pytest.approx(np.mean(np.abs(truth[:, i] - predicted[:, i])), rel=1e-9)


def test_what_ccc_punishes_and_correlation_does_not():
    truth = np.random.default_rng(0).normal(size=50)
    assert one(truth, truth)['ccc'] == pytest.approx(1) and one(truth, truth)['pearson'] <= 1
    assert one(truth, -truth)['pearson'] == pytest.approx(-1) and one(truth, -truth)['ccc'] < -0.9
    for predicted in (truth + 1, 0.2 * truth):
        assert one(truth, predicted)['pearson'] == pytest.approx(1) and one(truth, predicted)['ccc'] < 0.7


@pytest.mark.parametrize(('truth', 'predicted'), [([1, 2, 3], [0.1] * 3), ([0.1] * 3, [1, 2, 3]),
                                                  ([0.1] * 3, [0.1] * 3), ([0.1] * 3, [0.7] * 3), ([2], [3])])
def test_without_spread_ccc_is_0_and_there_is_no_correlation(truth, predicted):
    found = one(truth, predicted)
    assert found['ccc'] == 0 and found['pearson'] is None
    assert found['mae'] == pytest.approx(np.mean(np.abs(np.subtract(truth, predicted))))
    interval = ccc_intervals(np.array(truth)[:, None], np.array(predicted)[:, None], [None] * len(truth), resamples=50)
    assert interval.ccc[0] == pytest.approx((0, 0), abs=1e-12)


def test_predictions_that_equal_the_truth_have_no_doubt_but_resamples_without_spread():
    truth = np.array([[0.1], [0.1], [0.7]])
    found = ccc_intervals(truth, truth, [None] * 3, resamples=300)
    # 8 of 27 resamples draw the same number three times and tell nothing apart.
    assert found.ccc[0] == pytest.approx((0, 1))


def test_agrees_with_a_plain_loop_over_clips():
    rng = np.random.default_rng(5)
    truth, predicted, speakers = speech(rng, speakers=7, clips=13)
    kept = rng.random(len(truth)) < 0.8     # speakers with different numbers of clips
    truth, predicted, speakers = truth[kept], predicted[kept], speakers[kept]
    names, draws = np.unique(speakers), []
    for _ in range(2000):
        chosen = [np.flatnonzero(speakers == name) for name in rng.choice(names, len(names))]
        clips = np.concatenate([rng.choice(own, len(own)) for own in chosen])
        draws.append([ccc(truth[clips, i], predicted[clips, i]) for i in range(2)])
    expected = np.quantile(draws, (0.025, 0.975), axis=0)
    found = ccc_intervals(truth, predicted, speakers, resamples=4000)
    assert np.transpose(found.ccc) == pytest.approx(expected, abs=0.025)
    assert found.mean_ccc == pytest.approx(np.quantile(np.mean(draws, axis=1), (0.025, 0.975)), abs=0.025)


def test_the_clip_bootstrap_agrees_with_scipys():
    truth, predicted, _ = speech(np.random.default_rng(2), 4, 20, dimensions=1)
    other = stats.bootstrap((truth[:, 0], predicted[:, 0]), ccc, paired=True, vectorized=False, n_resamples=2000,
                            method='percentile', rng=0).confidence_interval
    found = ccc_intervals(truth, predicted, [None] * len(truth), resamples=4000)
    assert found.ccc[0] == pytest.approx(tuple(other), abs=0.02) and found.mean_ccc == found.ccc[0]


def test_two_thousand_resamples_of_ten_thousand_clips_are_quick_and_small():
    truth, predicted, speakers = speech(np.random.default_rng(0), speakers=400, clips=25, dimensions=3)
    tracemalloc.start()
    # Of this process alone: the machine may be busy.
    start = time.process_time()
    ccc_intervals(truth, predicted, speakers, resamples=2000)
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 10 and peak < 100e6


def test_same_seed_same_interval_whatever_the_order_of_the_clips():
    truth, predicted, speakers = speech(np.random.default_rng(1), speakers=6, clips=12)
    order = np.random.default_rng(2).permutation(len(truth))
    found = ccc_intervals(truth, predicted, speakers, seed=3)
    assert found == ccc_intervals(truth[order], predicted[order], speakers[order], seed=3)
    assert found.ccc != ccc_intervals(truth, predicted, speakers, seed=4).ccc


def test_blocks_change_nothing(monkeypatch):
    truth, predicted, speakers = speech(np.random.default_rng(1), speakers=6, clips=12)
    whole = ccc_intervals(truth, predicted, speakers, resamples=100)
    monkeypatch.setattr('ser.evaluation.dimension_metrics._BLOCK_CELLS', 7 * len(truth))
    found = ccc_intervals(truth, predicted, speakers, resamples=100)
    assert np.array(found.ccc) == pytest.approx(np.array(whole.ccc), rel=1e-12)


@pytest.mark.parametrize(('speakers', 'method', 'covers', 'count'), [
    (list('aabbccddee'), 'two-stage bootstrap (speakers with replacement, then clips within each), 500 resamples, '
     '90 % percentile interval', True, 5),
    (list('aabbccdddd'), 'clip bootstrap, 500 resamples, 90 % percentile interval; 4 speakers are too few to '
     'resample, so it does not cover new speakers', False, 4),
    (['a'] * 10, 'clip bootstrap, 500 resamples, 90 % percentile interval; 1 speaker is too few to resample, '
     'so it does not cover new speakers', False, 1),
    ([None, *'aabbccdde'], 'clip bootstrap, 500 resamples, 90 % percentile interval; speakers are unknown, so it '
     'does not cover new speakers', False, None),
])
def test_the_method_is_said(speakers, method, covers, count):
    truth, predicted, _ = speech(np.random.default_rng(1), speakers=1, clips=10)
    found = ccc_intervals(truth, predicted, speakers, resamples=500, confidence=0.9)
    assert (found.method, found.covers_new_speakers, found.n_speakers) == (method, covers, count)
    assert all(-1 <= low <= high <= 1 for low, high in (*found.ccc, found.mean_ccc))


def test_covers_new_speakers_where_the_clip_interval_does_not():
    truth, held, widths = true_ccc(), np.zeros(2), np.zeros(2)
    for repeat in range(80):
        labels, predicted, who = speech(np.random.default_rng([7, repeat]), speakers=12, clips=20, dimensions=1)
        for i, known in enumerate((who, [None] * len(who))):
            low, high = ccc_intervals(labels, predicted, known, resamples=150, seed=repeat).mean_ccc
            held[i] += low <= truth <= high
            widths[i] += high - low
    assert held[0] >= 0.88 * 80 and held[1] < 0.8 * 80
    assert widths[0] > 1.4 * widths[1]
