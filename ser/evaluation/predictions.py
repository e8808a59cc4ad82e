"""Predictions of a test part: one clip a row, in memory and as predictions.csv."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ser.errors import SerError, did_you_mean
from ser.evaluation.reading import read_rows, run_remedy
from ser.files import write_rows

FIXED_COLUMNS = ('key', 'speaker', 'label', 'predicted')
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model said about N clips among C classes.

    keys: N distinct sample keys. speakers: N names, None where unknown. labels, predicted: N class names.
    probabilities: float64 (N, C), rows of [0, 1] that sum to 1, uncalibrated. names: C class names in index order.
    Raises SerError for no clip, a repeated key or class, an unknown class, and probabilities that are none.
    """

    keys: tuple
    speakers: tuple
    labels: tuple
    predicted: tuple
    probabilities: np.ndarray
    names: tuple

    def __post_init__(self):
        for field in ('keys', 'speakers', 'labels', 'predicted', 'names'):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        probabilities = np.array(self.probabilities, dtype=np.float64)
        probabilities.flags.writeable = False
        object.__setattr__(self, 'probabilities', probabilities)
        n = len(self.keys)
        if probabilities.shape != (n, len(self.names)) or {len(self.speakers), len(self.labels),
                                                           len(self.predicted)} != {n}:
            raise ValueError(f'{n} keys and {len(self.names)} classes, but probabilities {probabilities.shape} and '
                             f'{len(self.speakers)}, {len(self.labels)}, {len(self.predicted)} further values')
        self._check()

    def _check(self):
        if not self.keys:
            raise SerError('no predictions: the test part has no clip')
        if len(self.names) < 2 or len(set(self.names)) < len(self.names):
            raise SerError(f"classes {', '.join(self.names) or '(none)'}: at least two different ones are wanted")
        key, times = Counter(self.keys).most_common(1)[0]
        if times > 1:
            raise SerError(f'clip {key} was predicted {times} times; every clip counts once')
        for name in (*self.labels, *self.predicted):
            if name not in self._number:
                raise SerError(_unknown(name, self.names))
        for key, row in zip(self.keys, self.probabilities, strict=True):
            fault = _fault(row)
            if fault:
                raise SerError(f'clip {key}: {fault}. Did the training diverge?')

    @classmethod
    def from_probabilities(cls, keys, speakers, label_ids, probabilities, names):
        """Predictions of the likeliest class. label_ids: N class indices; probabilities: (N, C); the rest as above."""
        probabilities = np.asarray(probabilities, dtype=np.float64).reshape(len(keys), len(names))
        return cls(keys, speakers, [names[i] for i in label_ids], [names[i] for i in probabilities.argmax(axis=1)],
                   probabilities, names)

    @cached_property
    def _number(self):
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def label_ids(self):
        """Indices of the labels, int64 (N,)."""
        return np.array([self._number[name] for name in self.labels], dtype=np.int64)

    @cached_property
    def predicted_ids(self):
        """Indices of the predicted classes, int64 (N,)."""
        return np.array([self._number[name] for name in self.predicted], dtype=np.int64)

    def __len__(self):
        return len(self.keys)

    def write_csv(self, path):
        """Write predictions.csv: key, speaker (empty: unknown), label, predicted, one probability column per class.

        The first four columns are known by place, the class columns follow in index order and are headed by the
        class, so a class may be called 'key'. Probabilities are written with the digits that restore them exactly.
        """
        columns = zip(self.keys, self.speakers, self.labels, self.predicted, self.probabilities.tolist(), strict=True)
        rows = [[key, speaker or '', label, predicted, *(repr(value) for value in row)]
                for key, speaker, label, predicted, row in columns]
        write_rows(path, [[*FIXED_COLUMNS, *self.names], *rows])


def read_csv(path, remedy=None):
    """The Predictions of a predictions.csv (see Predictions.write_csv).

    Raises SerError with file, line and remedy: missing file or column, a cell that is no probability, a row that
    does not sum to 1 within 0.001, an unknown or repeated class, a repeated key, no row.
    """
    remedy = remedy or run_remedy(path)
    (first, header), *rows = read_rows(path, remedy)
    names = tuple(header[len(FIXED_COLUMNS):])
    for place, column in enumerate(FIXED_COLUMNS):
        if place >= len(header) or header[place] != column:
            raise SerError(f"{path}:{first}: column {place + 1} must be '{column}'; wanted: "
                           f"{', '.join(FIXED_COLUMNS)}, then one column per class. {remedy}")
    if len(names) < 2 or len(set(names)) < len(names) or '' in names:
        raise SerError(f"{path}:{first}: class columns '{', '.join(names)}'; at least two different names are "
                       f'wanted after {FIXED_COLUMNS[-1]}. {remedy}')
    if not rows:
        raise SerError(f'{path}: no clip below the header. {remedy}')
    line_of, probabilities = {}, []
    for line, cells in rows:
        key, _, label, predicted = cells[:len(FIXED_COLUMNS)]
        if key in line_of:
            raise SerError(f'{path}:{line}: clip {key} is in line {line_of[key]} already. {remedy}')
        line_of[key] = line
        for name in (label, predicted):
            if name not in names:
                raise SerError(f'{path}:{line}: {_unknown(name, names)} {remedy}')
        probabilities.append(_probabilities(cells[len(FIXED_COLUMNS):], names, f'{path}:{line}', remedy))
    keys, speakers, labels, predicted = zip(*(cells[:len(FIXED_COLUMNS)] for _, cells in rows), strict=True)
    return Predictions(keys, [speaker or None for speaker in speakers], labels, predicted, probabilities, names)


def _probabilities(cells, names, place, remedy):
    values = []
    for name, cell in zip(names, cells, strict=True):
        try:
            values.append(float(cell))
        except ValueError:
            raise SerError(f"{place}: probability of {name}: '{cell}' is not a number. {remedy}") from None
    fault = _fault(np.array(values))
    if fault:
        raise SerError(f'{place}: {fault}. {remedy}')
    return values


def _fault(row):
    """What is wrong with one clip's probabilities, or None."""
    if not np.isfinite(row).all():
        return 'a probability is not finite'
    if row.min() < 0 or row.max() > 1 + SUM_TOLERANCE:
        return f'probabilities between {row.min():g} and {row.max():g}, allowed: 0 to 1'
    if abs(row.sum() - 1) > SUM_TOLERANCE:
        return f'probabilities sum to {row.sum():.4f}, not 1'
    return None


def _unknown(name, names):
    return f"unknown class '{name}'; classes: {', '.join(names)}.{did_you_mean(name, names)}"
