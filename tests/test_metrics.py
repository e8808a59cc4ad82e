"""Scores against hand-computed arrays and against plain numpy."""

import json
import warnings

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from ser.evaluation.metrics import absent_classes, scores

NAMES = ('a', 'b', 'c')


def uniform(n, classes=3):
    return np.full((n, classes), 1 / classes)


def test_hand_computed():
    # a: 4 clips, 3 right, 1 taken for b. b: 2 clips, 1 right, 1 taken for a. c: 2 clips, both taken for a.
    labels = [0, 0, 0, 0, 1, 1, 2, 2]
    predicted = [0, 0, 0, 1, 1, 0, 0, 0]
    found = scores(labels, predicted, uniform(8), NAMES)
    assert found['ua'] == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert found['wa'] == pytest.approx(4 / 8)
    f1_a, f1_b = 2 * (3 / 6) * (3 / 4) / (3 / 6 + 3 / 4), 0.5
    assert found['macro_f1'] == pytest.approx((f1_a + f1_b + 0) / 3)
    assert found['weighted_f1'] == pytest.approx((4 * f1_a + 2 * f1_b) / 8)
    assert found['confusion_matrix'] == [[3, 1, 0], [1, 1, 0], [2, 0, 0]]
    assert found['per_class']['a'] == pytest.approx({'precision': 0.5, 'recall': 0.75, 'f1': f1_a, 'support': 4})
    assert found['per_class']['c'] == {'precision': 0.0, 'recall': 0.0, 'f1': 0.0, 'support': 2}
    assert found['log_loss'] == pytest.approx(np.log(3))


def test_log_loss_is_the_mean_of_minus_log_p_of_the_label():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5], [0.0, 1.0, 0.0]])
    found = scores([0, 2, 1], [0, 2, 1], probabilities, NAMES)['log_loss']
    assert found == pytest.approx(-(np.log(0.7) + np.log(0.5)) / 3)


def test_a_certain_mistake_has_a_finite_log_loss():
    found = scores([0], [1], np.array([[0.0, 1.0, 0.0]]), NAMES)['log_loss']
    assert 30 < found < 40


def test_an_absent_class_is_left_out_of_the_means():
    labels, predicted = [0, 0, 0, 1], [0, 0, 2, 1]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = scores(labels, predicted, uniform(4), NAMES)
    assert found['ua'] == pytest.approx((2 / 3 + 1) / 2)
    assert found['macro_f1'] == pytest.approx((0.8 + 1) / 2)
    assert found['per_class']['c'] == {'precision': None, 'recall': None, 'f1': None, 'support': 0}
    assert found['confusion_matrix'] == [[2, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert found['log_loss'] == pytest.approx(np.log(3))
    assert absent_classes(labels, NAMES) == ('c',) and absent_classes([0, 1, 2], NAMES) == ()


def test_one_class_alone_is_scored():
    found = scores([1, 1], [1, 0], uniform(2), NAMES)
    assert found['ua'] == found['wa'] == 0.5


def test_random_predictions_agree_with_scikit_learn_and_numpy():
    rng = np.random.default_rng(3)
    names = tuple('abcdefgh')
    labels, predicted = rng.integers(0, 8, 500), rng.integers(0, 8, 500)
    found = scores(labels, predicted, rng.dirichlet(np.ones(8), 500), names)
    assert found['ua'] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found['wa'] == pytest.approx((labels == predicted).mean())
    assert found['macro_f1'] == pytest.approx(f1_score(labels, predicted, average='macro'))
    assert found['weighted_f1'] == pytest.approx(f1_score(labels, predicted, average='weighted'))
    counts = np.array(found['confusion_matrix'])
    assert counts.sum() == 500 and found['ua'] == pytest.approx((np.diag(counts) / counts.sum(axis=1)).mean())


def test_scores_are_json_and_inputs_stay():
    labels, predicted, probabilities = np.array([0, 1]), np.array([0, 0]), uniform(2) * 0.9999
    before = probabilities.copy()
    json.dumps(scores(labels, predicted, probabilities, NAMES), allow_nan=False)
    assert np.array_equal(probabilities, before)
