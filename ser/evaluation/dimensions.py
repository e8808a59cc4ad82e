"""Predicted dimensions of a test part: one clip a row, in memory and as predictions.csv."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ser.errors import SerError
from ser.evaluation.reading import read_rows, run_remedy
from ser.files import write_rows

FIXED_COLUMNS = ('key', 'speaker')
PREDICTED = '_predicted'


@dataclass(frozen=True, eq=False)
class DimensionPredictions:
    """What a model said about N clips on D dimensions, such as arousal and valence.

    keys: N distinct sample keys. speakers: N names, None where unknown. truth, predicted: float64 (N, D), finite, in
    the units of the corpus. names: D different names of dimensions, in the order of the columns.
    Raises SerError for no clip, a repeated key, a number that is not finite, and names that are empty or repeated.
    """

    keys: tuple
    speakers: tuple
    truth: np.ndarray
    predicted: np.ndarray
    names: tuple

    def __post_init__(self):
        for field in ('keys', 'speakers', 'names'):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        for field in ('truth', 'predicted'):
            values = np.array(getattr(self, field), dtype=np.float64)
            values.flags.writeable = False
            object.__setattr__(self, field, values)
        shape = (len(self.keys), len(self.names))
        if {self.truth.shape, self.predicted.shape} != {shape} or len(self.speakers) != len(self.keys):
            raise ValueError(f'{shape[0]} keys and {shape[1]} dimensions, but truth {self.truth.shape}, predicted '
                             f'{self.predicted.shape} and {len(self.speakers)} speakers')
        self._check()

    def _check(self):
        if not self.keys:
            raise SerError('no predictions: the test part has no clip')
        if not are_names(self.names):
            raise SerError(f"dimensions {', '.join(map(str, self.names)) or '(none)'}: at least one is wanted, and "
                           'different names')
        key, times = Counter(self.keys).most_common(1)[0]
        if times > 1:
            raise SerError(f'clip {key} was predicted {times} times; every clip counts once')
        for what, values, hint in (('label', self.truth, 'Every test clip needs a number there'),
                                   ('prediction', self.predicted, 'Did the training diverge?')):
            for clip, i in np.argwhere(~np.isfinite(values))[:1]:
                raise SerError(f'clip {self.keys[clip]}: the {what} of {self.names[i]} is {values[clip, i]}, not a '
                               f'finite number. {hint}')

    def __len__(self):
        return len(self.keys)

    def write_csv(self, path):
        """Write predictions.csv: key, speaker (empty: unknown), then `<name>` and `<name>_predicted` per dimension.

        Columns are known by place. Numbers are written with the digits that restore them exactly.
        """
        header = [column for name in self.names for column in (name, name + PREDICTED)]
        pairs = np.stack([self.truth, self.predicted], axis=2).reshape(len(self), -1).tolist()
        rows = [[key, speaker or '', *(repr(value) for value in row)]
                for key, speaker, row in zip(self.keys, self.speakers, pairs, strict=True)]
        write_rows(path, [[*FIXED_COLUMNS, *header], *rows])


def read_csv(path, remedy=None):
    """The DimensionPredictions of a predictions.csv (see DimensionPredictions.write_csv).

    Raises SerError with file, line and remedy: missing file or column, a cell that is no finite number, a repeated
    dimension, a repeated key, no row.
    """
    remedy = remedy or run_remedy(path)
    (first, header), *rows = read_rows(path, remedy)
    names = _names(header, f'{path}:{first}', remedy)
    if not rows:
        raise SerError(f'{path}: no clip below the header. {remedy}')
    line_of, values = {}, []
    for line, (key, _, *cells) in rows:
        if key in line_of:
            raise SerError(f'{path}:{line}: clip {key} is in line {line_of[key]} already. {remedy}')
        line_of[key] = line
        values.append([_finite(cell, column, f'{path}:{line}', remedy)
                       for column, cell in zip(header[len(FIXED_COLUMNS):], cells, strict=True)])
    values = np.array(values).reshape(len(rows), len(names), 2)
    return DimensionPredictions([cells[0] for _, cells in rows], [cells[1] or None for _, cells in rows],
                                values[:, :, 0], values[:, :, 1], names)


def are_names(names):
    """Whether these are names of dimensions: at least one, texts that are not empty, no two alike."""
    return bool(names) and all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names)


def _names(header, place, remedy):
    """The dimensions that a header names."""
    start = len(FIXED_COLUMNS)
    names = tuple(header[start::2])
    wanted = [*FIXED_COLUMNS, *(column for name in names for column in (name, name + PREDICTED))]
    for i, column in enumerate(wanted):
        if i >= len(header) or header[i] != column:
            raise SerError(f"{place}: column {i + 1} must be '{column}'; wanted: {', '.join(FIXED_COLUMNS)}, then "
                           f'NAME and NAME{PREDICTED} of each dimension. {remedy}')
    if not are_names(names):
        raise SerError(f"{place}: dimensions '{', '.join(names)}'; at least one is wanted after {FIXED_COLUMNS[-1]}, "
                       f'and different names. {remedy}')
    return names


def _finite(cell, column, place, remedy):
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SerError(f"{place}: {column} is '{cell}', a finite number is wanted. {remedy}")
    return value
