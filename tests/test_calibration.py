"""What a calibration does to probabilities, and how it is read from a run."""

import json

import numpy as np
import pytest

from ser.errors import SerError
from ser.evaluation.calibration import SMALLEST, Calibration, logits_of, read_calibration

NAMES = ('calm', 'loud', 'sad')


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize('temperature', [0.3, 1.0, 2.5])
def test_calibrated_is_the_softmax_of_divided_logits_in_any_shape(temperature):
    logits = np.random.default_rng(0).normal(0, 3, (4, 5, 3))
    calibrated = Calibration(temperature).apply(softmax(logits))
    assert calibrated.shape == (4, 5, 3) and calibrated.dtype == np.float64
    assert calibrated == pytest.approx(softmax(logits / temperature), abs=1e-12)
    assert np.array_equal(calibrated.argmax(-1), logits.argmax(-1))


def test_a_zero_stays_finite_and_the_rows_sum_to_one():
    calibrated = Calibration(3.0).apply([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    assert np.isfinite(calibrated).all() and calibrated.sum(axis=1) == pytest.approx([1, 1])
    assert calibrated[0, 1] == pytest.approx(SMALLEST ** (1 / 3)) and logits_of([0.0])[0] == np.log(SMALLEST)


def test_below_the_threshold_the_answer_is_unknown():
    calibration = Calibration(threshold=0.5)
    assert calibration.answer([0.2, 0.5, 0.3], NAMES) == ('loud', 0.5)
    assert calibration.answer([0.2, 0.49, 0.31], NAMES) == ('unknown', 0.49)
    assert Calibration().answer([0.2, 0.49, 0.31], NAMES) == ('loud', 0.49)
    assert calibration.is_sure(np.array([0.4, 0.5, 0.6])).tolist() == [False, True, True]
    assert Calibration().is_sure(np.array([0.4, 0.6])).all()


def test_a_run_without_the_file_has_no_calibration(tmp_path):
    assert read_calibration(tmp_path) is None


def test_what_is_read_is_what_was_written(tmp_path):
    facts = {'temperature': 1.5, 'threshold': None, 'risk': 0.25, 'test': {'clips': 3}}
    (tmp_path / 'calibration.json').write_text(json.dumps(facts))
    calibration = read_calibration(tmp_path)
    assert calibration == Calibration(1.5, None, 0.25) and calibration.facts == facts


@pytest.mark.parametrize('change, message', [
    ({'temperature': 0}, "'temperature' is 0; a number above 0 is wanted"),
    ({'temperature': None}, "'temperature' is None"),
    ({'temperature': True}, "'temperature' is True"),
    ({'threshold': 1.5}, "'threshold' is 1.5; a number from 0 to 1 is wanted"),
    ({'risk': 'low'}, "'risk' is 'low'"),
])
def test_a_file_that_says_something_else_is_refused(tmp_path, change, message):
    (tmp_path / 'calibration.json').write_text(json.dumps({'temperature': 1.0, **change}))
    with pytest.raises(SerError) as error:
        read_calibration(tmp_path)
    assert message in str(error.value) and str(tmp_path / 'calibration.json') in str(error.value)
