"""Temperature and threshold against searches written plainly."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from ser.evaluation.calibration import Calibration
from ser.evaluation.calibration_fit import FEWEST_NAMED, TEMPERATURES, choose_threshold, fit_temperature, selections


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def clips(seed, sharpness=1.0, n=300, classes=4):
    """(labels, probabilities): labels drawn from the softmax of logits, probabilities of those logits * sharpness."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    labels = np.array([rng.choice(classes, p=row) for row in softmax(logits)])
    return labels, softmax(logits * sharpness)


def loss(temperature, labels, probabilities):
    calibrated = Calibration(temperature).apply(probabilities)
    return -np.log(calibrated[np.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize('sharpness', [0.4, 1.0, 3.0])
def test_the_temperature_is_the_minimum_that_a_search_finds_and_undoes_the_sharpness(sharpness):
    labels, probabilities = clips(1, sharpness)
    found = fit_temperature(labels, probabilities)
    searched = minimize_scalar(lambda log: loss(np.exp(log), labels, probabilities), method='bounded',
                               bounds=np.log(TEMPERATURES), options={'xatol': 1e-10})
    assert found.note is None and found.value == pytest.approx(np.exp(searched.x), rel=1e-5)
    assert loss(found.value, labels, probabilities) <= searched.fun + 1e-12
    assert found.value == pytest.approx(sharpness, rel=0.2)
    assert fit_temperature(labels, probabilities) == found


def test_a_fitted_temperature_needs_no_second_one():
    labels, probabilities = clips(2, 2.5)
    once = Calibration(fit_temperature(labels, probabilities).value).apply(probabilities)
    assert fit_temperature(labels, once).value == pytest.approx(1, abs=1e-9)


def test_zeros_neither_break_the_fit_nor_its_loss():
    labels, probabilities = clips(3)
    hard = np.eye(4)[[0, 1]]
    right = fit_temperature([*labels, 0, 1], np.vstack([probabilities, hard]))
    assert right.value == pytest.approx(fit_temperature(labels, probabilities).value, rel=1e-9)
    # A label whose probability is 0 asks for more doubt, and gets it.
    wrong = fit_temperature([*labels, 1, 0], np.vstack([probabilities, hard]))
    assert wrong.value > 1.5 * right.value and np.isfinite(loss(wrong.value, [1], hard[:1]))


def test_bounds_are_taken_and_said():
    always = softmax(np.random.default_rng(0).normal(0, 0.5, (50, 3)))
    coldest = fit_temperature(always.argmax(1), always)
    assert coldest.value == TEMPERATURES[0] and coldest.note.startswith('0.1 is the lowest allowed')
    hottest = fit_temperature(always.argmin(1), always)
    assert hottest.value == TEMPERATURES[1] and hottest.note.startswith('10 is the highest allowed')


def test_where_nothing_depends_on_the_temperature_it_is_one():
    flat = fit_temperature([0, 1, 2, 1] * 5, np.full((20, 4), 0.25))
    assert flat.value == 1 and flat.note == 'no temperature changes the log loss on validation'
    assert fit_temperature([0, 1] * 10, np.tile(np.eye(2), (10, 1))).value == 1


def test_few_clips_fit_no_temperature():
    always = softmax(np.random.default_rng(0).normal(0, 0.5, (19, 3)))
    few = fit_temperature(always.argmin(1), always)
    assert few.value == 1 and few.note == '19 validation clips are too few to fit a temperature; at least 20 are wanted'


def best_by_trying(confidence, correct, risk):
    """(clips named) of every confidence tried as a threshold, or None."""
    best = None
    for cut in set(confidence):
        named = confidence >= cut
        if named.sum() >= FEWEST_NAMED and (named & ~correct).sum() / named.sum() <= risk:
            best = max(best or 0, int(named.sum()))
    return best


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('risk', [0.05, 0.25, 0.5])
def test_the_threshold_names_what_trying_every_one_names(seed, risk):
    rng = np.random.default_rng(seed)
    # Two digits: many clips share a confidence.
    confidence = rng.uniform(0.3, 1, 120).round(2)
    correct = rng.random(120) < confidence * (0.6 + 0.08 * seed)
    found, best = choose_threshold(confidence, correct, risk, 0.25), best_by_trying(confidence, correct, risk)
    assert (found.value is None) == (best is None)
    if best is None:
        assert found.reason.startswith('no threshold that names at least 20 validation clips has a risk of')
    else:
        named = confidence >= found.value
        assert named.sum() == best and found.reason is None
        # Rounding moves no clip over it.
        assert np.abs(confidence - found.value).min() > 1e-3


def test_a_tie_is_named_together_or_not_at_all():
    confidence = np.r_[np.full(20, 0.9), np.full(10, 0.6)]
    correct = np.r_[np.ones(20, bool), np.arange(10) < 2]
    # All thirty: 8 of 30 are wrong; two more of the ten would keep the risk, but no threshold parts them.
    assert choose_threshold(confidence, correct, 0.26).value == pytest.approx(0.75)
    assert choose_threshold(confidence, correct, 8 / 30, 0.2).value == pytest.approx(0.4)


def test_neighbouring_floats_are_told_apart():
    below, above = 0.5, np.nextafter(0.5, 1)
    confidence = np.r_[np.full(20, above), below]
    found = choose_threshold(confidence, np.r_[np.ones(20, bool), False], 0.0)
    assert found.value == above and (confidence >= found.value).sum() == 20


def test_one_confidence_for_all_is_named_with_all():
    assert choose_threshold(np.full(30, 0.25), np.ones(30, bool), 0.1, 0.25).value == 0.25
    assert choose_threshold(np.full(30, 0.25), np.zeros(30, bool), 0.1, 0.25).value is None


def test_why_there_is_no_threshold():
    assert choose_threshold(np.ones(30), np.ones(30, bool), None).reason == 'evaluation.unknown_risk is null'
    few = choose_threshold(np.ones(19), np.ones(19, bool), 0.5).reason
    assert few == '19 validation clips are too few; at least 20 are wanted'
    wrong = np.arange(40) % 2 == 0
    assert choose_threshold(np.linspace(1, 0.3, 40), wrong, 0.1).reason == (
        'no threshold that names at least 20 validation clips has a risk of 10 % or less; the least is 47.6 %, '
        'naming 21')


def test_selections_are_counted_by_hand():
    cuts, named, wrong = selections([0.4, 0.9, 0.9, 0.7], [False, True, False, True])
    assert (cuts.tolist(), named.tolist(), wrong.tolist()) == ([0.9, 0.7, 0.4], [2, 3, 4], [1, 1, 2])
