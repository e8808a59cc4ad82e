"""The bootstrap against a plain loop, and its coverage on speakers that differ."""

import time

import numpy as np
import pytest

from ser.evaluation.intervals import bootstrap_intervals, chance_level, excludes


def ua(labels, predicted):
    return np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)])


def speech(rng, speakers, clips, classes=4, spread=1.0):
    """Labels, predictions and speakers of a test: each speaker is easy or hard, in each class a little differently."""
    ease = 0.5 + spread * rng.normal(size=(speakers, 1)) + 0.5 * spread * rng.normal(size=(speakers, classes))
    who, labels = np.repeat(np.arange(speakers), clips), np.tile(np.arange(clips) % classes, speakers)
    right = rng.random(len(who)) < 1 / (1 + np.exp(-ease[who, labels]))
    return labels, np.where(right, labels, (labels + rng.integers(1, classes, len(who))) % classes), who.astype(str)


def true_ua(spread=1.0):
    """The UA over all speakers there could be: the mean of the logistic of a normal ease (numerical)."""
    ease = 0.5 + spread * np.sqrt(1.25) * np.random.default_rng(0).normal(size=1_000_000)
    return (1 / (1 + np.exp(-ease))).mean()




def test_agrees_with_a_plain_loop_over_clips():
    rng = np.random.default_rng(5)
    labels, predicted, speakers = speech(rng, speakers=7, clips=13)
    kept = rng.random(len(labels)) < 0.8     # speakers with different numbers of clips
    labels, predicted, speakers = labels[kept], predicted[kept], speakers[kept]
    names, draws = np.unique(speakers), []
    for _ in range(4000):
        chosen = [np.flatnonzero(speakers == name) for name in rng.choice(names, len(names))]
        clips = np.concatenate([rng.choice(own, len(own)) for own in chosen])
        draws.append((ua(labels[clips], predicted[clips]), (labels == predicted)[clips].mean()))
    expected = np.quantile(draws, (0.025, 0.975), axis=0)
    found = bootstrap_intervals(labels, predicted, speakers, resamples=4000)
    assert found.ua == pytest.approx(expected[:, 0], abs=0.015)
    assert found.wa == pytest.approx(expected[:, 1], abs=0.015)


def test_the_clip_bootstrap_agrees_with_the_binomial():
    labels, predicted = np.zeros(100, int), np.repeat([0, 1], [70, 30])
    found = bootstrap_intervals(labels, predicted, [None] * 100, resamples=20000)
    half = 1.96 * np.sqrt(0.7 * 0.3 / 100)
    assert found.wa == pytest.approx((0.7 - half, 0.7 + half), abs=0.012)
    assert found.ua == found.wa


def test_a_class_absent_from_a_resample_is_left_out_of_its_mean():
    # The one clip of class 1 is wrong: resamples without it have UA 1, those with it 0.5, never in between.
    labels, predicted = np.array([0] * 9 + [1]), np.zeros(10, int)
    found = bootstrap_intervals(labels, predicted, [None] * 10)
    assert found.ua == (0.5, 1.0)


def test_two_thousand_resamples_of_two_thousand_clips_take_under_a_second():
    labels, predicted, speakers = speech(np.random.default_rng(0), speakers=50, clips=40, classes=8)
    start = time.perf_counter()
    bootstrap_intervals(labels, predicted, speakers, resamples=2000)
    assert time.perf_counter() - start < 1


def test_same_seed_same_interval_whatever_the_order_of_the_clips():
    labels, predicted, speakers = speech(np.random.default_rng(1), speakers=6, clips=12)
    order = np.random.default_rng(2).permutation(len(labels))
    found = bootstrap_intervals(labels, predicted, speakers, seed=3)
    assert found == bootstrap_intervals(labels[order], predicted[order], speakers[order], seed=3)
    assert found.ua != bootstrap_intervals(labels, predicted, speakers, seed=4).ua


def test_global_random_state_is_untouched():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    bootstrap_intervals([0, 1], [0, 0], ['a', 'b'], resamples=10)
    assert np.array_equal(np.random.get_state()[1], before)


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
    found = bootstrap_intervals([0, 1] * 5, [0, 0] * 5, speakers, resamples=500, confidence=0.9)
    assert (found.method, found.covers_new_speakers, found.n_speakers) == (method, covers, count)
    assert 0 <= found.ua[0] <= found.ua[1] <= 1


def test_more_confidence_is_wider():
    labels, predicted, speakers = speech(np.random.default_rng(1), speakers=8, clips=12)
    wide = bootstrap_intervals(labels, predicted, speakers, confidence=0.99)
    narrow = bootstrap_intervals(labels, predicted, speakers, confidence=0.5)
    assert wide.ua[0] < narrow.ua[0] < narrow.ua[1] < wide.ua[1]


def test_chance_counts_the_classes_present():
    assert chance_level([0, 1, 2, 3, 3]) == 0.25 and chance_level(np.array([0, 4])) == 0.5
    assert excludes((0.3, 0.4), 0.25) and excludes((0.1, 0.2), 0.25)
    assert not excludes((0.2, 0.4), 0.25) and not excludes((0.25, 0.4), 0.25)


def coverage(speakers, clips, repeats, resamples):
    """Share of tests whose interval holds the true UA: two-stage, clips alone; and their mean widths."""
    truth, held, widths = true_ua(), np.zeros(2), np.zeros(2)
    for repeat in range(repeats):
        labels, predicted, who = speech(np.random.default_rng([speakers, repeat]), speakers, clips)
        for i, known in enumerate((who, [None] * len(who))):
            low, high = bootstrap_intervals(labels, predicted, known, resamples=resamples, seed=repeat).ua
            held[i] += low <= truth <= high
            widths[i] += high - low
    return held / repeats, widths / repeats


def test_covers_new_speakers_where_the_clip_interval_does_not():
    held, widths = coverage(speakers=6, clips=24, repeats=300, resamples=400)
    assert held[0] >= 0.9
    assert held[1] < 0.75
    assert widths[0] > 1.5 * widths[1]


@pytest.mark.slow
@pytest.mark.parametrize('speakers', [6, 10, 24])
def test_coverage_with_more_speakers(speakers):
    held, widths = coverage(speakers, clips=40, repeats=1000, resamples=1000)
    assert 0.9 <= held[0] <= 0.99
    assert widths[0] > 1.5 * widths[1]
