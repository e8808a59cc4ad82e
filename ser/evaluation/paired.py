"""How sure a difference of UA or WA is: both answers scored on the same resampled speakers and clips.

Two systems find the same clips hard, so the difference on the same clips is far surer than the two intervals
suggest. Bootstrap of paired scores: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 8;
speakers before clips as in `intervals`. The exact test of discordant pairs: McNemar 1947, Psychometrika 12.
"""

from dataclasses import dataclass, replace

import numpy as np

from ser.evaluation.intervals import FEWEST_SPEAKERS, bootstrap_intervals, resampled_outcomes
from ser.randomness import generator


@dataclass(frozen=True, eq=False)
class Answers:
    """How often each of N clips was answered right.

    labels: class indices, int64 (N,). speakers: N names, None where unknown. times: int64 (N,), how many of `repeats`
    predictions (one per seed; a single run has one) were right.
    """

    labels: np.ndarray
    speakers: tuple
    times: np.ndarray
    repeats: int

    @classmethod
    def of(cls, parts):
        """The Answers of Predictions of the same clips in the same order, one per seed."""
        labels = parts[0].label_ids
        return cls(labels, parts[0].speakers, sum((part.predicted_ids == labels).astype(np.int64) for part in parts),
                   len(parts))

    @property
    def shares(self):
        """What a clip counts that was right 0, 1, ... times: float64 (repeats + 1,)."""
        return np.arange(self.repeats + 1) / self.repeats


@dataclass(frozen=True)
class Difference:
    """Second minus first, as shares in [-1, 1]; intervals are (low, high)."""

    ua: float
    ua_interval: tuple
    wa: float
    wa_interval: tuple
    second_better: float
    """Share of resamples where the second's UA is the higher one; equal ones count half."""
    paired: bool
    method: str
    """How it was made, for people."""
    covers_new_speakers: bool
    """False when clips alone were resampled."""


def mean_intervals(answers, predicted, *, resamples, confidence, seed):
    """Intervals of UA and WA, the mean over repeats: each resample's clips are scored by every seed's answers.

    predicted: one repeat's class indices, int (N,). With one repeat it is `intervals.bootstrap_intervals`.
    """
    plain = bootstrap_intervals(answers.labels, predicted, answers.speakers, resamples=resamples,
                                confidence=confidence, seed=seed)
    if answers.repeats == 1:
        return plain
    table, _ = _table(answers.labels, answers.times, answers.speakers, answers.repeats + 1)
    drawn = resampled_outcomes(table, resamples, generator('bootstrap', seed))
    ua, wa = (_quantiles(values, confidence) for values in ua_and_wa(drawn, answers.shares))
    return replace(plain, ua=ua, wa=wa, method=f'{plain.method}; of the mean over {answers.repeats} seeds, which are '
                                               'kept as they are')


def paired_difference(first, second, *, resamples=2000, confidence=0.95, seed=0):
    """The Difference of two Answers to the same clips in the same order.

    Each resample draws speakers with replacement, then clips of each, and scores both on it; with fewer than 5
    speakers, or unknown ones, clips alone. A class absent from a resample is left out of both its means. Exchanging
    first and second exchanges the result.
    """
    if not np.array_equal(first.labels, second.labels):
        raise ValueError('answers to the same clips have the same labels')
    speakers = first.speakers if None not in first.speakers else second.speakers
    ways = (first.repeats + 1, second.repeats + 1)
    table, two_stage = _table(first.labels, first.times * ways[1] + second.times, speakers, ways[0] * ways[1])
    table = table.reshape(*table.shape[:2], *ways)
    # The draws follow the order of the cells: a fixed choice of who comes first makes the result the same both ways.
    turned = table.transpose(0, 1, 3, 2)
    exchanged = (ways[1], turned.tobytes()) < (ways[0], table.tobytes())
    cells = (turned if exchanged else table).reshape(*table.shape[:2], -1)
    drawn = resampled_outcomes(cells, resamples, generator('paired bootstrap', seed))
    drawn = drawn.reshape(*drawn.shape[:2], *(ways[::-1] if exchanged else ways))
    if exchanged:
        drawn = drawn.transpose(0, 1, 3, 2)
    changes = [b - a for a, b in zip(ua_and_wa(drawn.sum(axis=3), first.shares),
                                     ua_and_wa(drawn.sum(axis=2), second.shares), strict=True)]
    what = 'speakers with replacement, then clips within each' if two_stage else 'clips with replacement'
    return _difference(first, second, changes, confidence, True, two_stage,
                       f'paired bootstrap ({what}, the same for both), {_tail(resamples, confidence)}')


def unpaired_difference(first, second, *, resamples=2000, confidence=0.95, seed=0):
    """The Difference of two Answers to different clips: two bootstraps, independent of each other."""
    sides = [_table(side.labels, side.times, side.speakers, side.repeats + 1) for side in (first, second)]
    # Who draws from which stream must not depend on who comes first.
    order = (0, 1) if sides[0][0].tobytes() <= sides[1][0].tobytes() else (1, 0)
    drawn = {side: resampled_outcomes(sides[side][0], resamples, generator('unpaired bootstrap', seed, stream))
             for stream, side in enumerate(order)}
    changes = [b - a for a, b in zip(ua_and_wa(drawn[0], first.shares), ua_and_wa(drawn[1], second.shares),
                                     strict=True)]
    two_stage = sides[0][1] and sides[1][1]
    what = 'speakers with replacement, then clips within each' if two_stage else \
        'clips with replacement where speakers are unknown or too few'
    return _difference(first, second, changes, confidence, False, two_stage,
                       f'unpaired: two independent bootstraps ({what}), {_tail(resamples, confidence)}')


def _difference(first, second, changes, confidence, paired, two_stage, method):
    """changes: second minus first in each resample, of UA and of WA, float64 (R,) each."""
    (ua, wa), (ua_drawn, wa_drawn) = (b - a for a, b in zip(rates(first), rates(second), strict=True)), changes
    # Sums in another order differ in the last digit; that is no difference.
    ua_drawn = np.where(np.abs(ua_drawn) < 1e-12, 0.0, ua_drawn)
    better = float((ua_drawn > 0).mean() + 0.5 * (ua_drawn == 0).mean())
    if not two_stage:
        method += '; it does not cover new speakers'
    return Difference(ua, _quantiles(ua_drawn, confidence), wa, _quantiles(wa_drawn, confidence), better, paired,
                      method, two_stage)


def rates(answers):
    """(UA, WA) of some Answers, the mean over repeats, as floats."""
    table, _ = _table(answers.labels, answers.times, answers.speakers, answers.repeats + 1)
    return tuple(float(value) for value in ua_and_wa(table.sum(axis=0), answers.shares))


def ua_and_wa(counts, shares):
    """UA and WA, float64 (...,) each, of clips per class and cell, int (..., C, K).

    shares: float64 (K,), how much a clip of each cell counts as right. A class without clips is left out.
    """
    clips, right = counts.sum(axis=-1), counts @ shares
    present = clips > 0
    recall = np.divide(right, clips, out=np.zeros(clips.shape), where=present)
    return recall.sum(axis=-1) / present.sum(axis=-1), right.sum(axis=-1) / clips.sum(axis=-1)


def _table(labels, cells, speakers, n_cells):
    """(clips per group, class and cell: int64 (G, C, K), whether groups are speakers rather than all clips)."""
    two_stage = None not in speakers and len(set(speakers)) >= FEWEST_SPEAKERS
    names = np.asarray(speakers if two_stage else ['all'] * len(labels), dtype=object).astype(str)
    _, group = np.unique(names, return_inverse=True)
    table = np.zeros((group.max() + 1, labels.max() + 1, n_cells), dtype=np.int64)
    np.add.at(table, (group, labels, cells), 1)
    return table, two_stage


def _quantiles(values, confidence):
    edges = np.quantile(values, (0.5 - confidence / 2, 0.5 + confidence / 2))
    return tuple(float(edge) for edge in edges)


def _tail(resamples, confidence):
    return f'{resamples} resamples, {100 * confidence:g} % percentile interval'


def mcnemar(first, second):
    """McNemar's exact test of two Answers of one repeat each: (only first right, only second right, p value).

    Two-sided: how often a fair coin divides the clips that one alone has right so unevenly. It takes clips as
    independent of each other, which clips of one speaker are not: p errs on the small side.
    """
    from scipy.stats import binomtest  # slow to import

    only_first = int(((first.times == 1) & (second.times == 0)).sum())
    only_second = int(((first.times == 0) & (second.times == 1)).sum())
    discordant = only_first + only_second
    p = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return only_first, only_second, p
