"""The two numbers that validation chooses: the temperature, and the least confidence at which a class is named.

The threshold is selection by the empirical risk (El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective
Classification"): of all thresholds that keep the stated risk on validation, the one that names most clips.
"""

from dataclasses import dataclass

import numpy as np

from ser.evaluation.calibration import logits_of

TEMPERATURES = (0.1, 10.0)
"""The temperature is looked for between these."""
FEWEST_NAMED = 20
"""A threshold names at least so many validation clips: the risk of fewer is no estimate."""
FEWEST_FITTED = 20
"""A temperature is fitted to at least so many validation clips: fewer may even every answer out by chance."""
# Slopes of the mean log loss at both bounds under which it is flat between them.
FLAT = 1e-12


@dataclass(frozen=True)
class Temperature:
    """A temperature, and what to know of it where it is no minimum inside TEMPERATURES."""

    value: float
    note: str | None = None


@dataclass(frozen=True)
class Threshold:
    """Least confidence at which a class is named, or None with the reason why there is none."""

    value: float | None
    reason: str | None = None


def fit_temperature(labels, probabilities):
    """The Temperature whose calibrated probabilities have the least mean log loss on N clips.

    labels: class indices, int (N,). probabilities: uncalibrated, (N, C). The log loss is convex in 1 / temperature, so
    its slope has one root, or none between the bounds: then the nearer bound is taken and said. A zero counts as
    `calibration.SMALLEST`. 1 for fewer than FEWEST_FITTED clips.
    """
    if len(labels) < FEWEST_FITTED:
        return Temperature(1.0, f'{len(labels)} validation clips are too few to fit a temperature; at least '
                                f'{FEWEST_FITTED} are wanted')
    logits = logits_of(probabilities)
    true = logits[np.arange(len(logits)), np.asarray(labels, dtype=np.int64)]

    def slope(inverse):
        powers = np.exp(inverse * (logits - logits.max(axis=1, keepdims=True)))
        expected = (powers * logits).sum(axis=1) / powers.sum(axis=1)
        return float((expected - true).mean())

    coldest, hottest = TEMPERATURES
    at_coldest, at_hottest = slope(1 / coldest), slope(1 / hottest)
    if max(abs(at_coldest), abs(at_hottest)) < FLAT:
        return Temperature(1.0, 'no temperature changes the log loss on validation')
    if at_coldest <= 0:
        return Temperature(coldest, f'{coldest:g} is the lowest allowed, and the log loss on validation still falls '
                                    'there')
    if at_hottest >= 0:
        return Temperature(hottest, f'{hottest:g} is the highest allowed, and the log loss on validation still falls '
                                    'there')
    from scipy.optimize import brentq  # slow to import

    return Temperature(1 / brentq(slope, 1 / hottest, 1 / coldest, xtol=1e-13))


def choose_threshold(confidence, correct, risk, least=0.0):
    """The Threshold that names most of N clips while at most the share `risk` of those it names are wrong.

    confidence: calibrated, float64 (N,). correct: bool (N,). risk: in [0, 1], or None for no threshold. least: the
    lowest confidence there can be, 1 / C. Clips of one confidence are named together, and at least FEWEST_NAMED are.
    The threshold lies midway between the last confidence named and the next below, so that rounding moves no clip.
    """
    if risk is None:
        return Threshold(None, 'evaluation.unknown_risk is null')
    if len(confidence) < FEWEST_NAMED:
        return Threshold(None, f'{len(confidence)} validation clips are too few; at least {FEWEST_NAMED} are wanted')
    cuts, named, wrong = selections(confidence, correct)
    enough = np.flatnonzero(named >= FEWEST_NAMED)
    risks = wrong[enough] / named[enough]
    kept = enough[risks <= risk]
    if not len(kept):
        at = enough[np.argmin(risks)]
        return Threshold(None, f'no threshold that names at least {FEWEST_NAMED} validation clips has a risk of '
                               f'{100 * risk:g} % or less; the least is {100 * risks.min():.1f} %, naming {named[at]}')
    last = kept[-1]
    below = cuts[last + 1] if last + 1 < len(cuts) else min(least, cuts[last])
    middle = below + (cuts[last] - below) / 2
    return Threshold(float(middle if middle > below else cuts[last]))


def selections(confidence, correct):
    """What each possible threshold names: (confidences, clips named, of those wrong), each (K,), the surest first.

    K is the number of different confidences among N clips: those of one confidence are named together.
    """
    confidence, correct = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    order = np.argsort(-confidence, kind='stable')
    sorted_confidence, wrong = confidence[order], np.cumsum(~correct[order])
    last = np.flatnonzero(np.append(sorted_confidence[1:] != sorted_confidence[:-1], True))
    return sorted_confidence[last], last + 1, wrong[last]
