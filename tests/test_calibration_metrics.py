"""Calibration error, Brier score and their intervals against tables and loops."""

import math

import numpy as np
import pytest

from ser.config.evaluation import EvaluationConfig
from ser.evaluation import calibration_metrics
from ser.evaluation.calibration_metrics import (
    BINS,
    Confidences,
    clip_weights,
    part_facts,
    reliability_rows,
    risk_rows,
    scores,
)
from ser.evaluation.intervals import resampled_outcomes
from ser.evaluation.metrics import mean_log_loss
from ser.evaluation.predictions import Predictions
from ser.randomness import generator

NAMES = ('a', 'b', 'c')
FAST = EvaluationConfig(bootstrap=300)


def confidences(confidence, correct):
    zeros = np.zeros(len(confidence))
    return Confidences(np.array(confidence, dtype=float), np.array(correct, dtype=bool), zeros, zeros)


def ece_of(found):
    return scores(found.columns().sum(axis=0), len(found.confidence))[0]


def ece_by_loops(confidence, correct, bins=15):
    """Guo et al. 2017, equations 2 and 3, in words: bin after bin, clip after clip."""
    total = 0.0
    for number in range(bins):
        inside = [i for i, value in enumerate(confidence) if number / bins < value <= (number + 1) / bins]
        if inside:
            right = sum(bool(correct[i]) for i in inside) / len(inside)
            promised = math.fsum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(right - promised)
    return total


def made(n=200, speakers=8, seed=0):
    """(Predictions of three classes, sharpened probabilities)."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet((1, 1, 1), n)
    labels = [rng.choice(3, p=row) for row in probabilities]
    sharp = probabilities ** 2 / (probabilities ** 2).sum(axis=1, keepdims=True)
    who = [f's{i % speakers}' if speakers else None for i in range(n)]
    return Predictions.from_probabilities([f'k{i:03d}' for i in range(n)], who, labels, sharp, NAMES), probabilities


def test_the_error_of_a_table_made_by_hand():
    # Bin (0.6, 0.667]: promised 0.62, kept 1/2. Bin (0.867, 0.933]: promised 0.9, kept 2/3.
    found = confidences([0.61, 0.63, 0.9, 0.89, 0.91], [1, 0, 1, 1, 0])
    assert ece_of(found) == pytest.approx((2 * 0.12 + 3 * (0.9 - 2 / 3)) / 5, abs=1e-15)
    assert ece_of(confidences([1.0, 1.0], [1, 1])) == 0 and ece_of(confidences([1.0, 1.0], [0, 0])) == 1


def test_gaps_of_one_bin_cancel_and_those_of_two_do_not():
    assert ece_of(confidences([0.71, 0.71], [1, 0])) == pytest.approx(0.21)
    assert ece_of(confidences([0.5, 0.9], [1, 0])) == pytest.approx(0.7)


@pytest.mark.parametrize('seed', range(4))
def test_the_error_is_that_of_plain_loops(seed):
    rng = np.random.default_rng(seed)
    # Edges of bins among them.
    confidence = np.r_[rng.uniform(0.2, 1, 300), np.arange(3, 16) / 15]
    correct = rng.random(len(confidence)) < 0.6
    assert ece_of(confidences(confidence, correct)) == pytest.approx(ece_by_loops(confidence, correct), abs=1e-12)


def test_brier_and_log_loss_by_hand_and_by_the_scores_of_a_run():
    values = [[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]]
    found = Confidences.of([0, 2], [0, 1], values)
    assert found.brier == pytest.approx([0.09 + 0.04 + 0.01, 2.0]) and found.correct.tolist() == [True, False]
    assert found.log_loss[0] == pytest.approx(-math.log(0.7)) and np.isfinite(found.log_loss[1])
    predictions, _ = made()
    found = Confidences.of(predictions.label_ids, predictions.predicted_ids, predictions.probabilities)
    assert found.log_loss.mean() == pytest.approx(
        mean_log_loss(predictions.label_ids, predictions.probabilities, np.arange(3)), abs=1e-12)


def test_facts_of_a_part_hold_together():
    predictions, calibrated = made()
    named = calibrated.max(axis=1) >= 0.6
    facts = part_facts(predictions, calibrated, named, FAST)
    assert facts['clips'] == 200 and facts['speakers'] == 8 and facts['named'] == named.sum()
    right = predictions.label_ids == predictions.predicted_ids
    for name, values in (('before', predictions.probabilities), ('after', calibrated)):
        assert facts[name]['ece'] == pytest.approx(ece_by_loops(values.max(axis=1), right), abs=1e-12)
        assert facts[name]['log_loss'] == pytest.approx(
            -np.log(values[np.arange(200), predictions.label_ids]).mean())
        for score in ('ece', 'log_loss', 'brier'):
            low, high = facts[name][f'{score}_interval']
            assert low < high and facts['change'][score] == pytest.approx(facts['after'][score]
                                                                          - facts['before'][score])
    # Labels were drawn from these probabilities, so they are calibrated and the sharpened ones are not.
    assert facts['after']['ece'] < 2 * facts['after']['ece_if_calibrated'] < facts['before']['ece']
    assert facts['change']['log_loss_interval'][1] < 0
    assert facts['coverage'] == pytest.approx(named.mean()) and facts['coverage_interval'][0] < facts['coverage']
    assert facts['risk'] == pytest.approx((named & ~right).sum() / named.sum())
    assert facts['risk_of_all'] == pytest.approx(1 - right.mean())
    assert facts['covers_new_speakers'] and facts['interval_method'].startswith('two-stage bootstrap')


def test_neither_the_order_of_clips_nor_how_many_are_held_at_a_time_matters(monkeypatch):
    predictions, calibrated = made()
    order = np.random.default_rng(1).permutation(len(predictions))
    columns = {field: [getattr(predictions, field)[i] for i in order]
               for field in ('keys', 'speakers', 'labels', 'predicted')}
    turned = Predictions(**columns, probabilities=predictions.probabilities[order], names=NAMES)
    facts = part_facts(predictions, calibrated, np.ones(200, bool), FAST)
    assert part_facts(turned, calibrated[order], np.ones(200, bool), FAST) == facts
    monkeypatch.setattr(calibration_metrics, '_MOST', 1000)
    few = part_facts(predictions, calibrated, np.ones(200, bool), FAST)
    assert few['after']['ece'] == facts['after']['ece']
    assert few['after']['ece_interval'] == pytest.approx(facts['after']['ece_interval'], abs=0.03)


@pytest.mark.parametrize('speakers, words', [(0, 'speakers are unknown'), (3, '3 speakers are too few')])
def test_few_speakers_are_not_resampled_and_that_is_said(speakers, words):
    predictions, calibrated = made(speakers=speakers)
    facts = part_facts(predictions, calibrated, np.ones(200, bool), FAST)
    assert not facts['covers_new_speakers'] and words in facts['interval_method']
    assert facts['speakers'] == (speakers or None) and facts['coverage_interval'] == [1, 1]


def test_where_nothing_is_named_there_is_no_risk():
    predictions, calibrated = made()
    facts = part_facts(predictions, calibrated, np.zeros(200, bool), FAST)
    assert (facts['risk'], facts['risk_interval'], facts['coverage']) == (None, None, 0)


def test_the_interval_is_that_of_a_bootstrap_written_plainly():
    predictions, calibrated = made(n=60, speakers=6)
    facts = part_facts(predictions, calibrated, np.ones(60, bool), EvaluationConfig(bootstrap=2000))
    rng, who = np.random.default_rng(5), np.array(predictions.speakers)
    found = Confidences.of(predictions.label_ids, predictions.predicted_ids, calibrated)
    drawn = []
    for _ in range(800):
        chosen = [rng.choice(np.flatnonzero(who == speaker), size=10) for speaker in rng.choice(sorted(set(who)), 6)]
        chosen = np.concatenate(chosen)
        drawn.append((ece_by_loops(found.confidence[chosen], found.correct[chosen]), found.brier[chosen].mean()))
    for score, values in zip(('ece', 'brier'), np.transpose(drawn), strict=True):
        low, high = np.quantile(values, [0.025, 0.975])
        assert facts['after'][f'{score}_interval'] == pytest.approx([low, high], abs=0.15 * (high - low))


def test_clips_are_drawn_as_the_intervals_of_a_score_draw_them():
    groups = np.repeat([0, 1, 2, 3, 4], [5, 10, 20, 3, 12])
    mine = np.concatenate(list(clip_weights(50, groups, 4000, generator('x', 0))))
    assert mine.shape == (4000, 50) and mine.mean(axis=0) == pytest.approx(np.ones(50), abs=0.12)
    # Each clip a class of its own, and of the outcome 0.
    outcomes = np.zeros((5, 50, 2), dtype=np.int64)
    outcomes[groups, np.arange(50), 0] = 1
    theirs = resampled_outcomes(outcomes, 4000, generator('y', 0))[:, :, 0]
    for pair in ((0, 1), (0, 49), (20, 20), (35, 36)):
        assert np.cov(mine[:, pair[0]], mine[:, pair[1]])[0, 1] == pytest.approx(
            np.cov(theirs[:, pair[0]], theirs[:, pair[1]])[0, 1], abs=0.15)
    alone = np.concatenate(list(clip_weights(50, None, 300, generator('x', 0))))
    assert (alone.sum(axis=1) == 50).all()


def test_what_chance_alone_shows_is_the_mean_over_drawn_answers():
    found = confidences(np.linspace(0.3, 1, 60), np.ones(60))
    rng = np.random.default_rng(3)
    drawn = [ece_by_loops(found.confidence, rng.random(60) < found.confidence) for _ in range(400)]
    assert found.ece_if_calibrated(4000, generator('x', 0)) == pytest.approx(np.mean(drawn), abs=0.006)
    assert confidences([1.0, 1.0], [1, 0]).ece_if_calibrated(10, generator('x', 0)) == 0


def test_rows_of_the_tables():
    found = confidences([0.61, 0.63, 0.9], [1, 0, 1])
    rows = list(reliability_rows(found))
    assert len(rows) == BINS and sum(row[2] for row in rows) == 3
    assert rows[9] == (0.6, 10 / 15, 2, pytest.approx(0.62), 0.5) and rows[0][2:] == (0, None, None)
    assert list(risk_rows(found)) == [(0.9, 1, 0, 1 / 3, 0.0), (0.63, 2, 1, 2 / 3, 0.5), (0.61, 3, 1, 1.0, 1 / 3)]
