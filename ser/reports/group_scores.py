"""Scores of parts of a test part: of each speaker, gender, language, of short and of loud clips."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ser.evaluation.dimension_metrics import ccc_intervals, dimension_scores
from ser.evaluation.dimension_report import mean_ccc
from ser.evaluation.intervals import bootstrap_intervals
from ser.evaluation.metrics import scores
from ser.evaluation.sides import taken
from ser.files import natural

FEWEST_CLIPS = 3
"""Clips that a third of a test part needs at least; with fewer, thirds say nothing."""


@dataclass(frozen=True)
class Group:
    """Some clips of a test part and their score.

    score: UA, the mean recall of the `classes` that have clips, with its interval (low, high); of dimensions the mean
    CCC, and `classes` None. right: share of clips that are right (WA); of dimensions the mean absolute error, averaged
    over them. covers_new_speakers: False where clips alone were resampled. n_speakers: None where unknown.
    """

    name: str
    n: int
    n_speakers: int | None
    score: float
    interval: tuple
    right: float
    classes: int | None
    covers_new_speakers: bool


def speaker_groups(predictions, evaluation):
    """A Group for each known speaker, in natural order of their names."""
    return tuple(group_of(predictions, keys, name, evaluation) for name, keys in _by_speaker(predictions))


def _by_speaker(predictions):
    found = {}
    for key, speaker in zip(predictions.keys, predictions.speakers, strict=True):
        if speaker is not None:
            found.setdefault(speaker, []).append(key)
    return sorted(found.items(), key=lambda pair: natural(pair[0]))


def word_groups(predictions, value_of, evaluation):
    """A Group for each value. value_of: key -> text; clips that are missing in it are in no group."""
    found = {}
    for key in predictions.keys:
        if key in value_of:
            found.setdefault(value_of[key], []).append(key)
    return tuple(group_of(predictions, keys, name, evaluation) for name, keys in sorted(found.items()))


def third_groups(predictions, number_of, evaluation, written):
    """Groups of the lower, middle and upper third; none where clips are too few or too alike to be divided.

    number_of: key -> number. written: number -> text. Clips that are equal stay together, so thirds may be uneven.
    """
    keys = [key for key in predictions.keys if key in number_of]
    if len(keys) < 3 * FEWEST_CLIPS:
        return ()
    values = np.array([number_of[key] for key in keys])
    low, high = np.quantile(values, (1 / 3, 2 / 3))
    places = (values > low).astype(int) + (values > high)
    if len(set(places.tolist())) < 3:
        return ()
    names = (f'up to {written(low)}', f'{written(low)} to {written(high)}', f'above {written(high)}')
    return tuple(group_of(predictions, [key for key, place in zip(keys, places, strict=True) if place == third],
                          name, evaluation) for third, name in enumerate(names))


def group_of(predictions, keys, name, evaluation):
    """The Group of the clips `keys`, of which there is at least one."""
    settings = {'resamples': evaluation.bootstrap, 'confidence': evaluation.confidence, 'seed': evaluation.seed}
    if hasattr(predictions, 'truth'):
        return _of_dimensions(predictions, keys, name, settings)
    part = taken(predictions, keys)
    found = scores(part.label_ids, part.predicted_ids, part.probabilities, part.names)
    about = bootstrap_intervals(part.label_ids, part.predicted_ids, part.speakers, **settings)
    return Group(name, len(part), about.n_speakers, found['ua'], about.ua, found['wa'], len(set(part.labels)),
                 about.covers_new_speakers)


def _of_dimensions(predictions, keys, name, settings):
    wanted = set(keys)
    rows = [i for i, key in enumerate(predictions.keys) if key in wanted]
    truth, predicted = predictions.truth[rows], predictions.predicted[rows]
    found = dimension_scores(truth, predicted, predictions.names)
    about = ccc_intervals(truth, predicted, [predictions.speakers[row] for row in rows], **settings)
    return Group(name, len(rows), about.n_speakers, mean_ccc(found), about.mean_ccc,
                 float(np.mean([one['mae'] for one in found.values()])), None, about.covers_new_speakers)


def common_value(value_of, keys):
    """The one value that every key has, or None."""
    values = Counter(value_of.get(key) for key in keys)
    return next(iter(values)) if len(values) == 1 else None
