"""What is learnt of each row of an index, as columns that readers cut batches from."""

import dataclasses
import math
from collections import Counter

import numpy as np

from ser.errors import SerError, did_you_mean
from ser.files import natural
from ser.labels import DIMENSIONS, canonical
from ser.shards.labelling import Labelled

UNKNOWN = -1
"""The class number of a row whose value is not known; losses and scores pass over it."""

STRATA = ('low', 'middle', 'high')


def class_column(index, names):
    """The emotion's column: int64 (N,), the class number of each row, UNKNOWN for a dropped label."""
    number = {name: i for i, name in enumerate(names)}
    return np.array([number.get(row.emotion, UNKNOWN) for row in index.rows], dtype=np.int64)


def auxiliary_values(index, rows, name, key):
    """The classes of an auxiliary target: its values among the training rows, in natural order.

    name: the target's. key: the JSON key that holds it. rows: numbers of the training rows.
    Raises SerError when no row has the key, and when there are fewer than two values.
    """
    values = {text_value(index.rows[row], key) for row in rows} - {None}
    if len(values) < 2:
        known = sorted({found for row in index.rows for found, value in row.metadata.items() if value is not None})
        said = f'is always {values.pop()}' if values else 'is in no training clip'
        raise SerError(f"task.auxiliary.{name}: JSON '{key}' {said}; a second head needs at least two values. "
                       f'Keys with values: {", ".join(known)}.{did_you_mean(key, known)}')
    return tuple(sorted(values, key=natural))


def auxiliary_column(index, key, values):
    """int64 (N,): the number of each row's value, UNKNOWN where there is none or training has not met it."""
    number = {value: i for i, value in enumerate(values)}
    return np.array([number.get(text_value(row, key), UNKNOWN) for row in index.rows], dtype=np.int64)


def text_value(row, key):
    """A row's metadata value as text, lower-cased; None where unknown. Raises SerError for a list or an object."""
    value = row.metadata.get(key)
    if isinstance(value, (list, dict)):
        raise SerError(f"{row.key}: JSON '{key}' is a {type(value).__name__}; text or a number is wanted")
    text = '' if value is None else str(value).strip().lower()
    return text or None


def vote_column(index, names, class_of):
    """float32 (N, C): the shares of each row's votes among the classes; the label alone where it has none.

    class_of: label -> class or None. Votes for a label that the run drops, or does not know, do not count.
    Raises SerError for votes that are not label -> count.
    """
    number = {name: i for i, name in enumerate(names)}
    shares = np.zeros((len(index.rows), len(names)), dtype=np.float32)
    for place, row in enumerate(index.rows):
        for label, count in _votes(row).items():
            name = class_of.get(canonical(label), canonical(label))
            if name in number:
                shares[place, number[name]] += count
        if not shares[place].any() and row.emotion in number:
            shares[place, number[row.emotion]] = 1
    return shares / np.maximum(shares.sum(1, keepdims=True), 1e-12)


def _votes(row):
    votes = row.metadata.get('votes')
    if votes is None:
        return {}
    if not isinstance(votes, dict) or not all(_is_number(count) and count >= 0 for count in votes.values()):
        raise SerError(f"{row.key}: JSON 'votes' must be an object of label: count, not {str(votes)[:60]}")
    return votes


def voted_labels(index):
    """The canonical labels that any row has votes for. Raises SerError as vote_column."""
    return {canonical(label) for row in index.rows for label in _votes(row)}


def with_votes(index):
    """How many rows have votes."""
    return sum(1 for row in index.rows if any(_votes(row).values()))


def dimension_names(index, wanted):
    """The JSON keys of a DimensionsTask: `wanted`, or for 'auto' those of DIMENSIONS that any row has a number for.

    Raises SerError when none has.
    """
    if wanted != 'auto':
        return wanted
    names = tuple(name for name in DIMENSIONS if any(_is_number(row.metadata.get(name)) for row in index.rows))
    if not names:
        raise SerError(f"task.dimensions: no clip has a number for {', '.join(DIMENSIONS)}. Keys with numbers: "
                       f'{", ".join(_numeric_keys(index)) or "none"}; name those to learn: --set task.dimensions=[...]')
    return names


def dimension_column(index, names):
    """float32 (N, D): each row's numbers under the JSON keys `names`, NaN where one is unknown.

    Raises SerError for a value that is no number, and for a key that no row has.
    """
    column = np.full((len(index.rows), len(names)), np.nan, dtype=np.float32)
    for place, row in enumerate(index.rows):
        for i, name in enumerate(names):
            value = row.metadata.get(name)
            if value is None:
                continue
            if not _is_number(value):
                raise SerError(f"{row.key}: JSON '{name}' is {value!r}; task.dimensions needs numbers")
            column[place, i] = value
    for i, name in enumerate(names):
        if not np.isfinite(column[:, i]).any():
            known = _numeric_keys(index)
            raise SerError(f"task.dimensions: no clip has a number under the JSON key '{name}'. Keys with numbers: "
                           f'{", ".join(known) or "none"}.{did_you_mean(name, known)}')
    return column


def _numeric_keys(index):
    return sorted({key for row in index.rows for key, value in row.metadata.items()
                   if _is_number(value) and key not in ('sample_rate', 'frames')})


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def stratified(index, column):
    """The Labelled of an Index: rows labelled by thirds of the mean of their standardised dimensions.

    So that protocols draw parts whose ranges are alike. column: of dimension_column; a row with an unknown value is
    dropped. Raises SerError when fewer rows than strata are left.
    """
    known = np.isfinite(column).all(1)
    if known.sum() < len(STRATA):
        raise SerError(f'task.dimensions: {int(known.sum())} clips have all of them; too few to train on')
    values = column[known].astype(np.float64)
    spread = values.std(0)
    mean = ((values - values.mean(0)) / np.where(spread > 0, spread, 1)).mean(1)
    third = np.full(len(known), UNKNOWN)
    # Ranks, so that thirds are equal however many values tie.
    third[known] = np.argsort(np.argsort(mean, kind='stable'), kind='stable') * len(STRATA) // len(mean)
    rows = tuple(dataclasses.replace(row, emotion=STRATA[part] if part >= 0 else '')
                 for row, part in zip(index.rows, third, strict=True))
    dropped = Counter({'without a number for every dimension': int((~known).sum())} if not known.all() else {})
    return Labelled(dataclasses.replace(index, rows=rows), STRATA, dropped, {}, index.digest)
