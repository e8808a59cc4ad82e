"""What a run's probabilities are worth: a temperature and a threshold for "unknown", both chosen on validation.

Temperature scaling is Guo et al. 2017, "On Calibration of Modern Neural Networks". It changes no decision: the order of
the classes stays.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ser.errors import SerError
from ser.evaluation.reading import read_json, run_remedy

CALIBRATION = 'calibration.json'
VALIDATION = 'predictions-validation.csv'
"""What it is fitted to, in the form of predictions.csv. No auxiliary head may be called validation."""
UNKNOWN = 'unknown'
"""What is said instead of a class where the confidence lies below the threshold."""
SMALLEST = float(np.finfo(np.float64).tiny)
"""What a probability of 0 stands for: one that was too small for a float64."""


@dataclass(frozen=True)
class Calibration:
    """How a model's probabilities become those that people are shown."""

    temperature: float = 1.0
    """Above 1: the model was surer than it was right, and its probabilities are evened out."""
    threshold: float | None = None
    """Least calibrated confidence at which a class is named; None where none was chosen."""
    risk: float | None = None
    """The share of wrong answers among the named ones that the threshold was chosen for, on validation."""
    facts: dict = field(default_factory=dict, compare=False)
    """The rest of calibration.json: how it was fitted and what it changed."""

    @property
    def fitted(self):
        """Whether a run has it, in its calibration.json; else probabilities stay the model's own."""
        return bool(self.facts) and self.why_not is None

    @property
    def why_not(self):
        """Why the run's calibration.json has no temperature of its own, such as too few clips; None where it has."""
        return why_not_fitted(self.facts)

    def apply(self, probabilities):
        """Calibrated probabilities, float64 (..., C) with rows that sum to 1, of uncalibrated ones of that shape.

        The softmax of logits / temperature, from their softmax: p ** (1 / temperature), normalised; 0 is SMALLEST.
        """
        probabilities = np.asarray(probabilities, dtype=np.float64)
        if self.temperature == 1:
            return probabilities
        logits = logits_of(probabilities) / self.temperature
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def answer(self, probabilities, names):
        """(answer, confidence) of calibrated probabilities (C,): the likeliest of `names`, or UNKNOWN below the
        threshold."""
        best = int(np.argmax(probabilities))
        confidence = float(probabilities[best])
        return names[best] if self.is_sure(confidence) else UNKNOWN, confidence

    def is_sure(self, confidence):
        """Whether a class is named at that calibrated confidence; of an array, a bool array of its shape."""
        return np.asarray(confidence) >= (0.0 if self.threshold is None else self.threshold)


def why_not_fitted(facts):
    """Why what calibration.json says holds no temperature of the run's own; None where it does, and of {}."""
    return facts.get('temperature_note') if facts.get('temperature') == 1 else None


def logits_of(probabilities):
    """Logits, float64 (..., C), whose softmax is `probabilities`."""
    return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), SMALLEST))


def read_calibration(run):
    """The Calibration of a run directory, or None where it has none (regression, runs of earlier versions).

    Raises SerError for a file that says something else.
    """
    path = Path(run) / CALIBRATION
    if not path.is_file():
        return None
    facts = read_json(path, dict)
    temperature = _number(path, facts, 'temperature', lambda value: value > 0)
    threshold = _number(path, facts, 'threshold', lambda value: 0 <= value <= 1, optional=True)
    risk = _number(path, facts, 'risk', lambda value: 0 <= value <= 1, optional=True)
    return Calibration(temperature, threshold, risk, facts)


def _number(path, facts, key, allowed, optional=False):
    value = facts.get(key)
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not allowed(value):
        wanted = 'above 0' if key == 'temperature' else 'from 0 to 1'
        raise SerError(f"{path}: '{key}' is {value!r}; a number {wanted} is wanted. {run_remedy(path)}")
    return float(value)
