"""Batches: int16 waveforms padded to a few lengths, with ids, labels and weights."""

import dataclasses
import functools
import math
from dataclasses import dataclass, field

import numpy as np
import torch

from ser.randomness import hashed, key_of

SHORTEST_SECONDS = 0.5
"""Length of the shortest padded batch."""

GROWTH = 1.15
"""Ratio of neighbouring padded lengths: at most 15 % of a batch's longest clip is padding, in few shapes."""

_COPIES = key_of('copies')


@functools.lru_cache(maxsize=64)
def _grid(rate, steps):
    return tuple(math.ceil(SHORTEST_SECONDS * rate * GROWTH**step) for step in range(steps))


def padded_length(n, rate):
    """The smallest length of the grid 0.5 s * 1.15^k (in samples at `rate` Hz, rounded up) that holds n samples."""
    step = max(0, math.ceil(math.log(max(n, 1) / (SHORTEST_SECONDS * rate), GROWTH)))
    grid = _grid(rate, step + 2)
    return next(length for length in grid[max(step - 1, 0):] if length >= n)


def draw_ids(ids, copies):
    """What chance is keyed by in place of ids int64 (n,): a first copy's id, a hash of id and copy of those after it.

    copies: whole numbers (n,), which copy of its clip each row is within the epoch, from 0.
    """
    ids, copies = np.asarray(ids, dtype=np.int64), np.asarray(copies, dtype=np.int64)
    further = hashed(_COPIES, hashed(_COPIES, copies) ^ ids.astype(np.uint64))
    return np.where(copies > 0, further.view(np.int64), ids)


@dataclass
class Row:
    """One row to be: id (row number of the index), int16 (n,) samples, class number, weight, key, copy (of the clip
    within the epoch, from 0)."""

    id: int
    samples: np.ndarray
    target: int
    weight: float
    key: str
    copy: int = 0


@dataclass
class Batch:
    """What goes to the device.

    ids int64 (B,): row numbers of the index; -1 is padding. In evaluation with `data.long: window` a clip's windows are
    rows of their own with the same id: average their probabilities per id.
    waveforms int16 (B, T), zero after `lengths` int64 (B,), at `sample_rate` Hz. targets: 'emotion' -> int64 (B,), and
    what else is learnt by name: class numbers int64 (B,), -1 where unknown, or numbers float32 (B, K).
    weights float32 (B,): 0 for padding and for a repeated row in place of a bad one, else 1. keys: '' for padding.
    copies: numpy int64 (B,), of the clip within the epoch, from 0; draws read them on the host, where they stay.
    counters: clipped_samples, resampled, cropped, bad, 'bad: KIND', empty_batches. errors: a line per bad sample.
    """

    ids: torch.Tensor
    waveforms: torch.Tensor
    lengths: torch.Tensor
    sample_rate: int
    targets: dict
    weights: torch.Tensor
    keys: tuple[str, ...]
    copies: np.ndarray
    counters: dict = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    @property
    def draw_ids(self):
        """What the rows' chance is keyed by, numpy int64 (B,), of a batch on the host (draw_ids)."""
        return draw_ids(self.ids.numpy(), self.copies)

    def tensors(self):
        """Every tensor of the batch."""
        return self.ids, self.waveforms, self.lengths, self.weights, *self.targets.values()

    def to(self, device, non_blocking=False):
        """The batch with its tensors on `device`."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self):
        """The batch in page-locked memory, for copies that do not block."""
        return self.each(lambda tensor: tensor.pin_memory())

    def each(self, change):
        """The batch with change(tensor) in place of every tensor."""
        return dataclasses.replace(
            self, ids=change(self.ids), waveforms=change(self.waveforms), lengths=change(self.lengths),
            weights=change(self.weights), targets={name: change(value) for name, value in self.targets.items()})


def collate(rows, size, rate, counters=None, errors=(), columns=None):
    """A Batch of `size` rows: `rows` (at most `size`, None for padding) and padding after them.

    columns: further targets by name, arrays whose rows are looked up by id. Padding has id -1, weight 0, class 0 (-1 in
    `columns`, where numbers are 0) and the shortest length of silence, so that features of it are finite.
    """
    rows = [*rows, *[None] * (size - len(rows))]
    silence = padded_length(1, rate)
    lengths = [silence if row is None else len(row.samples) for row in rows]
    waveforms = np.zeros((size, padded_length(max(lengths, default=1), rate)), dtype=np.int16)
    for place, row in enumerate(rows):
        if row is not None:
            waveforms[place, :len(row.samples)] = row.samples
    ids = np.array([-1 if row is None else row.id for row in rows], dtype=np.int64)
    targets = {'emotion': torch.tensor([0 if row is None else row.target for row in rows], dtype=torch.int64)}
    targets |= {name: torch.from_numpy(_taken(column, ids)) for name, column in (columns or {}).items()}
    return Batch(
        ids=torch.from_numpy(ids),
        waveforms=torch.from_numpy(waveforms),
        lengths=torch.tensor(lengths, dtype=torch.int64),
        sample_rate=rate,
        targets=targets,
        weights=torch.tensor([0.0 if row is None else row.weight for row in rows], dtype=torch.float32),
        keys=tuple('' if row is None else row.key for row in rows),
        copies=np.array([0 if row is None else row.copy for row in rows], dtype=np.int64),
        counters=dict(counters or {}), errors=tuple(errors))


def _taken(column, ids):
    """The rows of a column that belong to ids; padding is -1 among class numbers and 0 among others."""
    values = column[np.maximum(ids, 0)]
    values[ids < 0] = -1 if np.issubdtype(column.dtype, np.integer) else 0
    return values
