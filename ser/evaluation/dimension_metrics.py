"""Scores of predicted dimensions: concordance, correlation and errors, with bootstrap intervals of the concordance.

CCC is the concordance correlation coefficient (Lin 1989, "A concordance correlation coefficient to evaluate
reproducibility"): 2 cov / (var truth + var predicted + (mean truth - mean predicted)^2), all of them moments of the
clips themselves (divided by N, as Lin's estimate is). It is 1 for predictions equal to the truth and falls with noise,
with a wrong spread and with a wrong level; any guess that ignores the audio has CCC 0.
"""

from dataclasses import dataclass

import numpy as np

from ser.evaluation.intervals import FEWEST_SPEAKERS, method_words
from ser.randomness import generator

CHANCE = 0.0
# Counts of clips held at once by the bootstrap: 16 MiB.
_BLOCK_CELLS = 2**21
# In squares of the range of the numbers: below it lies rounding, not spread.
_ROUNDING = 1e-12


def dimension_scores(truth, predicted, names):
    """The scores of each dimension of N clips, as a dict from its name to a dict ready for JSON.

    truth, predicted: float (N, D), N > 0. names: D. `ccc` and `pearson` lie in [-1, 1]; `rmse`, `mae`, `truth_mean`
    and `truth_sd` (divided by N) are in the units of the numbers. Where the truth or the prediction is the same for
    every clip, `ccc` is 0 (even if both are equal: nothing was told apart) and `pearson` None.
    """
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    return {name: _scores(truth[:, i], predicted[:, i]) for i, name in enumerate(names)}


def _scores(truth, predicted):
    error, constant = predicted - truth, is_constant(truth) or is_constant(predicted)
    from_mean, also = truth - truth.mean(), predicted - predicted.mean()
    covariance, variance, spread = (from_mean * also).mean(), (from_mean**2).mean(), (also**2).mean()
    return {
        'ccc': 0.0 if constant else float(2 * covariance / (variance + spread + error.mean()**2)),
        # Rounding can lift a perfect correlation just above 1.
        'pearson': None if constant else float(np.clip(covariance / np.sqrt(variance) / np.sqrt(spread), -1, 1)),
        'rmse': float(np.sqrt((error**2).mean())), 'mae': float(np.abs(error).mean()),
        'truth_mean': float(truth.mean()), 'truth_sd': float(np.sqrt(variance)),
    }


def is_constant(values):
    """Whether the numbers of an array (N,) are all the same."""
    return bool(values.min() == values.max())


@dataclass(frozen=True)
class CCCIntervals:
    """Percentile intervals of one test part, as (low, high)."""

    ccc: tuple
    """One per dimension."""
    mean_ccc: tuple
    """Of the mean over the dimensions, taken within each resample."""
    method: str
    """How they were made, for people."""
    covers_new_speakers: bool
    """False when clips alone were resampled: then the interval says nothing about other speakers."""
    n_speakers: int | None
    """Speakers among the clips; None when any clip's speaker is unknown."""


def ccc_intervals(truth, predicted, speakers, *, resamples=2000, confidence=0.95, seed=0):
    """CCCIntervals of N clips on D dimensions, with the scheme of intervals.bootstrap_intervals.

    truth, predicted: float (N, D), N > 0. speakers: N names, or None where unknown. Speakers are drawn with
    replacement, then within each as many clips as it has; that needs at least 5 speakers, all known, otherwise clips
    are resampled as if they were independent. A resample without any spread has CCC 0. The order of the clips does
    not matter: they are sorted by speaker, then by their numbers. Memory is bounded whatever N times `resamples` is.
    """
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    known = all(speaker is not None for speaker in speakers)
    count = len(set(speakers)) if known else None
    two_stage = known and count >= FEWEST_SPEAKERS
    groups = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)[1] if two_stage else \
        np.zeros(len(truth), dtype=np.int64)
    # Clips that tie in everything are interchangeable.
    order = np.lexsort((*predicted.T, *truth.T, groups))
    values = resampled_ccc(truth[order], predicted[order], np.bincount(groups), resamples,
                           generator('bootstrap', seed))
    edges = (0.5 - confidence / 2, 0.5 + confidence / 2)
    low, high = np.quantile(values, edges, axis=0).tolist()
    mean = tuple(float(edge) for edge in np.quantile(values.mean(axis=1), edges))
    method = method_words(two_stage, count, resamples, confidence)
    return CCCIntervals(tuple(zip(low, high, strict=True)), mean, method, two_stage, count)


def resampled_ccc(truth, predicted, sizes, resamples, rng):
    """CCC of each dimension in each resample, float64 (R, D).

    truth, predicted: float64 (N, D), the clips of each group side by side; sizes: clips per group, int (G,), sum N.
    A resample is how often each clip was drawn; its moments are those counts times the clips' own sums, so that a
    block of resamples is one matrix product.
    """
    moments = _moments(truth, predicted)
    block = max(1, _BLOCK_CELLS // len(truth))
    values = []
    for start in range(0, resamples, block):
        counts = np.stack([_drawn(sizes, rng) for _ in range(min(block, resamples - start))])
        sums = counts.astype(np.float64) @ moments / counts.sum(axis=1, keepdims=True)
        values.append(_ccc(*np.split(sums, 5, axis=1)))
    return np.concatenate(values)


def _moments(truth, predicted):
    """What each clip adds to the sums of x, y, xx, yy and xy, float64 (N, 5 D).

    CCC is the same in any common unit and level; these keep squares from drowning differences.
    """
    spread = np.maximum(np.ptp(truth, axis=0), np.ptp(predicted, axis=0))
    unit, level = np.where(spread > 0, spread, 1), truth.mean(axis=0)
    x, y = (truth - level) / unit, (predicted - level) / unit
    return np.concatenate([x, y, x * x, y * y, x * y], axis=1)


def _drawn(sizes, rng):
    """How often each clip is in one resample, int64 (N,): groups with replacement, then clips within each."""
    groups = rng.integers(len(sizes), size=len(sizes))
    # One entry per draw of a clip: the group it comes from.
    owner = np.repeat(groups, sizes[groups])
    first = np.cumsum(sizes) - sizes
    return np.bincount(first[owner] + rng.integers(sizes[owner]), minlength=sizes.sum())


def _ccc(x, y, xx, yy, xy):
    """CCC of means of products, each (R, D)."""
    below = xx - x**2 + yy - y**2 + (x - y)**2
    some = below > _ROUNDING
    return np.divide(2 * (xy - x * y), below, out=np.zeros(below.shape), where=some)
