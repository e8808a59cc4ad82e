"""The paired bootstrap against a plain loop over clips, McNemar's test by hand, and what swapping the sides does."""

import time
from math import comb

import numpy as np
import pytest

from ser.evaluation.intervals import bootstrap_intervals
from ser.evaluation.paired import Answers, mcnemar, mean_intervals, paired_difference, rates, unpaired_difference
from ser.evaluation.predictions import Predictions


def ua(labels, right):
    """Mean over the classes present of the mean share that is right."""
    return np.mean([right[labels == c].mean() for c in np.unique(labels)])


def answers(rng, speakers=7, clips=12, classes=3, repeats=1, ease=0.6, labels=None):
    """Answers of speakers that are easy or hard, with some clips missing."""
    who = np.repeat([f's{i}' for i in range(speakers)], clips)
    labels = rng.integers(0, classes, len(who)) if labels is None else labels
    chance = np.clip(ease + 0.2 * rng.normal(size=speakers), 0, 1)[np.repeat(np.arange(speakers), clips)]
    return Answers(labels, tuple(who), rng.binomial(repeats, chance), repeats)


def pair(seed, **second):
    rng = np.random.default_rng(seed)
    first = answers(rng)
    return first, answers(rng, labels=first.labels, **second)


def loop(first, second, resamples, seed=0):
    """(difference of UA, of WA) of each resample, clip by clip, the same clips for both."""
    rng, speakers = np.random.default_rng(seed), np.array(first.speakers)
    names, draws = np.unique(speakers), []
    a, b = first.times / first.repeats, second.times / second.repeats
    for _ in range(resamples):
        chosen = [np.flatnonzero(speakers == name) for name in rng.choice(names, len(names))]
        clips = np.concatenate([rng.choice(own, len(own)) for own in chosen])
        labels = first.labels[clips]
        draws.append((ua(labels, b[clips]) - ua(labels, a[clips]), b[clips].mean() - a[clips].mean()))
    return np.array(draws)


@pytest.mark.parametrize('second', [{'ease': 0.8}, {'repeats': 3, 'ease': 0.7}])
def test_agrees_with_a_plain_loop_over_clips(second):
    first, second = pair(1, **second)
    draws = loop(first, second, 3000)
    found = paired_difference(first, second, resamples=4000)
    assert found.ua == pytest.approx(ua(second.labels, second.times / second.repeats) - ua(first.labels, first.times))
    assert found.wa == pytest.approx(second.times.mean() / second.repeats - first.times.mean())
    expected = np.quantile(draws, (0.025, 0.975), axis=0)
    assert found.ua_interval == pytest.approx(expected[:, 0], abs=0.015)
    assert found.wa_interval == pytest.approx(expected[:, 1], abs=0.015)
    better = (draws[:, 0] > 1e-12).mean() + 0.5 * (np.abs(draws[:, 0]) <= 1e-12).mean()
    assert found.second_better == pytest.approx(better, abs=0.02)
    assert found.paired and found.covers_new_speakers and found.method.startswith('paired bootstrap (speakers')


@pytest.mark.parametrize('test', [paired_difference, unpaired_difference])
def test_swapping_the_sides_swaps_the_result(test):
    for seed, second in ((1, {}), (2, {'ease': 0.9}), (3, {'repeats': 2})):
        first, second = pair(seed, **second)
        there, back = test(first, second, resamples=300), test(second, first, resamples=300)
        assert there.ua == pytest.approx(-back.ua) and there.wa == pytest.approx(-back.wa)
        assert there.ua_interval == pytest.approx([-edge for edge in back.ua_interval[::-1]])
        assert there.wa_interval == pytest.approx([-edge for edge in back.wa_interval[::-1]])
        assert there.second_better == pytest.approx(1 - back.second_better)


def test_the_same_answers_differ_by_nothing():
    first, _ = pair(4)
    found = paired_difference(first, first, resamples=200)
    assert (found.ua, found.ua_interval, found.wa_interval, found.second_better) == (0, (0, 0), (0, 0), 0.5)
    other = unpaired_difference(first, first, resamples=200)
    assert other.ua == 0 and other.ua_interval[0] < 0 < other.ua_interval[1]


def test_pairing_is_surer_than_two_bootstraps():
    first, _ = pair(5)
    times = first.times.copy()
    times[np.flatnonzero(times == 0)[:5]] = 1
    second = Answers(first.labels, first.speakers, times, 1)
    paired, unpaired = (test(first, second) for test in (paired_difference, unpaired_difference))
    assert paired.ua == unpaired.ua > 0
    assert np.diff(paired.ua_interval) < 0.5 * np.diff(unpaired.ua_interval)
    assert unpaired.method.startswith('unpaired: two independent bootstraps') and not unpaired.paired


def test_unpaired_is_two_bootstraps_of_their_own():
    rng = np.random.default_rng(6)
    first, second = answers(rng, ease=0.4), answers(rng, speakers=9, ease=0.8)
    a, b = (bootstrap_intervals(side.labels, np.where(side.times, side.labels, 9), side.speakers, resamples=4000)
            for side in (first, second))
    found = unpaired_difference(first, second, resamples=4000)
    spread = np.hypot(np.diff(a.ua), np.diff(b.ua))
    assert np.diff(found.ua_interval) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize('speakers', [[None] * 10, list('aabbccdddd')])
def test_few_or_unknown_speakers_resample_clips(speakers):
    labels, times = np.arange(10) % 2, np.array([0, 1] * 5)
    sides = [Answers(labels, tuple(speakers), value, 1) for value in (times, np.ones(10, int))]
    for test in (paired_difference, unpaired_difference):
        found = test(*sides, resamples=300)
        assert not found.covers_new_speakers and found.method.endswith('it does not cover new speakers')


def test_speakers_that_one_side_does_not_know_are_taken_from_the_other():
    first, second = pair(7)
    blind = Answers(first.labels, (None,) * len(first.labels), first.times, 1)
    assert paired_difference(blind, second) == paired_difference(first, second)


def test_other_clips_are_no_pair():
    first, second = pair(8)
    with pytest.raises(ValueError, match='same labels'):
        paired_difference(first, Answers(second.labels[::-1], second.speakers, second.times, 1))


def test_the_order_of_the_clips_does_not_matter_and_the_seed_does():
    first, second = pair(9)
    order = np.random.default_rng(0).permutation(len(first.labels))
    turned = [Answers(side.labels[order], tuple(np.array(side.speakers)[order]), side.times[order], 1)
              for side in (first, second)]
    found = paired_difference(first, second, seed=3)
    assert found == paired_difference(*turned, seed=3) and found != paired_difference(first, second, seed=4)


def test_the_interval_of_a_mean_agrees_with_a_plain_loop_and_of_one_run_is_its_own():
    rng = np.random.default_rng(10)
    several = answers(rng, repeats=4)
    speakers, names = np.array(several.speakers), np.unique(several.speakers)
    draws = []
    for _ in range(3000):
        clips = np.concatenate([rng.choice(own, len(own)) for own in
                                [np.flatnonzero(speakers == name) for name in rng.choice(names, len(names))]])
        draws.append(ua(several.labels[clips], several.times[clips] / 4))
    found = mean_intervals(several, several.labels, resamples=4000, confidence=0.95, seed=0)
    assert found.ua == pytest.approx(np.quantile(draws, (0.025, 0.975)), abs=0.015)
    assert found.method.endswith('of the mean over 4 seeds, which are kept as they are') and found.n_speakers == 7
    single = answers(rng)
    predicted = np.where(single.times, single.labels, (single.labels + 1) % 3)
    settings = {'resamples': 500, 'confidence': 0.9, 'seed': 2}
    assert mean_intervals(single, predicted, **settings) == bootstrap_intervals(
        single.labels, predicted, single.speakers, **settings)


def predictions(predicted):
    names = ('a', 'b')
    return Predictions([f'k{i}' for i in range(len(predicted))], ['s'] * len(predicted), ['a', 'b'] * 4, predicted,
                       np.full((len(predicted), 2), 0.5), names)


def test_answers_count_the_repeats_that_are_right():
    found = Answers.of([predictions(list('abababab')), predictions(list('aaaaaaaa')), predictions(list('babababa'))])
    assert found.times.tolist() == [2, 1] * 4 and found.repeats == 3
    assert found.shares.tolist() == [0, 1 / 3, 2 / 3, 1]
    assert rates(found) == (pytest.approx(0.5), pytest.approx(0.5))


@pytest.mark.parametrize(('only_first', 'only_second'), [(0, 0), (1, 0), (3, 8), (6, 6), (0, 12), (25, 9)])
def test_mcnemar_by_hand(only_first, only_second):
    first = np.repeat([1, 0, 1, 0], [only_first, only_second, 5, 4])
    second = np.repeat([0, 1, 1, 0], [only_first, only_second, 5, 4])
    sides = [Answers(np.arange(len(times)) % 2, ('s',) * len(times), times, 1) for times in (first, second)]
    n, low = only_first + only_second, min(only_first, only_second)
    p = min(1.0, 2 * sum(comb(n, k) for k in range(low + 1)) / 2**n)
    assert mcnemar(*sides) == (only_first, only_second, pytest.approx(p))
    assert mcnemar(*sides[::-1]) == (only_second, only_first, pytest.approx(p))


def test_two_thousand_resamples_of_two_thousand_clips_take_under_two_seconds():
    rng = np.random.default_rng(0)
    first = answers(rng, speakers=50, clips=40, classes=8, repeats=3)
    second = answers(rng, speakers=50, clips=40, classes=8, repeats=3, labels=first.labels)
    start = time.perf_counter()
    paired_difference(first, second, resamples=2000)
    assert time.perf_counter() - start < 2
