"""Confidence intervals of UA and WA: a bootstrap that resamples speakers, then the clips of each.

Clips of one speaker resemble each other, so a test part holds less evidence than its number of clips suggests and
an interval that resamples clips alone is far too narrow for speakers nobody has heard yet. Two-stage resampling of
clustered data: Davison and Hinkley 1997, "Bootstrap Methods and their Application", section 3.8.
"""

from dataclasses import dataclass

import numpy as np

from ser.randomness import generator

FEWEST_SPEAKERS = 5


@dataclass(frozen=True)
class Intervals:
    """Percentile intervals of one test part, as (low, high) shares in [0, 1]."""

    ua: tuple
    wa: tuple
    method: str
    """How they were made, for people."""
    covers_new_speakers: bool
    """False when clips alone were resampled: then the interval says nothing about other speakers."""
    n_speakers: int | None
    """Speakers among the clips; None when any clip's speaker is unknown."""


def bootstrap_intervals(labels, predicted, speakers, *, resamples=2000, confidence=0.95, seed=0):
    """Intervals of UA and WA for N clips.

    labels, predicted: class indices, int (N,), N > 0. speakers: N names, or None where unknown. The two-stage
    bootstrap needs at least 5 speakers, all known; otherwise clips are resampled as if they were independent.
    A class absent from a resample is left out of that resample's mean. The order of the clips does not matter.
    """
    labels, predicted = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    known = all(speaker is not None for speaker in speakers)
    count = len(set(speakers)) if known else None
    two_stage = known and count >= FEWEST_SPEAKERS
    groups = speakers if two_stage else ['all'] * len(labels)
    outcomes = _outcomes(labels, predicted, groups)
    drawn = resampled_outcomes(outcomes, resamples, generator('bootstrap', seed))
    edges = (0.5 - confidence / 2, 0.5 + confidence / 2)
    ua, wa = (tuple(float(edge) for edge in np.quantile(values, edges)) for values in _ua_and_wa(drawn))
    return Intervals(ua, wa, method_words(two_stage, count, resamples, confidence), two_stage, count)


def method_words(two_stage, n_speakers, resamples, confidence):
    """How intervals were made, for people. n_speakers: None where unknown."""
    tail = f'{resamples} resamples, {100 * confidence:g} % percentile interval'
    if two_stage:
        return f'two-stage bootstrap (speakers with replacement, then clips within each), {tail}'
    reason = 'speakers are unknown' if n_speakers is None else \
        f'{n_speakers} speaker{"s are" if n_speakers > 1 else " is"} too few to resample'
    return f'clip bootstrap, {tail}; {reason}, so it does not cover new speakers'


def _outcomes(labels, predicted, groups):
    """Clips per group, class and outcome (0 wrong, 1 right): int64 (G, C, 2), groups in sorted order."""
    _, group = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    outcomes = np.zeros((group.max() + 1, labels.max() + 1, 2), dtype=np.int64)
    np.add.at(outcomes, (group, labels, (labels == predicted).astype(np.int64)), 1)
    return outcomes


def resampled_outcomes(outcomes, resamples, rng):
    """Clips per class and outcome in each resample, int64 (R, C, 2), of `outcomes` (G, C, 2).

    G groups are drawn with replacement, then as many clips as the group has within each drawn group. Drawing a
    group m times means m n clips of it, each any of its n clips, so the counts over its cells are multinomial:
    drawing those directly is the same distribution without touching single clips. One group: a plain bootstrap.
    """
    groups = len(outcomes)
    times = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    drawn = np.zeros((resamples, *outcomes.shape[1:]), dtype=np.int64)
    for group, cells in enumerate(outcomes):
        filled = np.nonzero(cells)
        clips = cells[filled]
        picked = np.flatnonzero(times[:, group])
        counts = rng.multinomial(times[picked, group] * clips.sum(), clips / clips.sum())
        drawn[picked[:, None], filled[0][None, :], filled[1][None, :]] += counts
    return drawn


def _ua_and_wa(outcomes):
    """UA and WA, float64 (R,) each, of counts (R, C, 2)."""
    clips = outcomes.sum(axis=2)
    present = clips > 0
    recall = np.divide(outcomes[:, :, 1], clips, out=np.zeros(clips.shape), where=present)
    return recall.sum(axis=1) / present.sum(axis=1), outcomes[:, :, 1].sum(axis=1) / clips.sum(axis=1)


def chance_level(labels):
    """The UA that guessing without listening can reach: 1 / (classes present among the labels).

    Any guess that ignores the audio shares a total recall of at most 1 among the classes, however it is skewed.
    """
    return 1 / len(set(np.asarray(labels).tolist()))


def excludes(interval, value):
    """Whether `value` lies outside `interval` (low, high)."""
    low, high = interval
    return not low <= value <= high
