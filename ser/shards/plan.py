"""Which sample when: a pure function of the rows, the seed, the epoch and the global batch.

The state of training is two integers, (epoch, step). Neither workers nor ranks enter the order.
"""

import math

import numpy as np

from ser.errors import SerError
from ser.randomness import permutation
from ser.shards.balance import balanced_rows, expected_draws


def epoch_order(rows, shard_of, window, seed, epoch):
    """The order of an epoch: int64 (N,), a permutation of `rows`.

    rows: int64 (N,) row numbers, one several times where it is to come several times. shard_of: the shard number of
    every row of the index. window: 'all' for one uniform permutation, or how many shards share a window: then shards in
    keyed order are cut into windows and rows are permuted inside each, so that a huge set is read window by window.
    """
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    window_of = _windows_of(np.asarray(shard_of)[rows], window, seed, epoch)
    ordered = rows[np.argsort(window_of, kind='stable')]
    ends = np.cumsum(np.bincount(window_of))
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        ordered[start:end] = ordered[start:end][permutation(end - start, 'rows', seed, epoch, number)]
    return ordered


def _windows_of(shards, window, seed, epoch):
    """The window that each row falls in, int64 (N,), from the shard of each."""
    present = np.unique(shards)
    if window == 'all':
        window = max(len(present), 1)
    # The rank of each shard in the keyed order says which window its rows fall in.
    rank = np.empty(len(present), dtype=np.int64)
    rank[permutation(len(present), 'shards', seed, epoch)] = np.arange(len(present))
    return rank[np.searchsorted(present, shards)] // window


def copy_numbers(order):
    """Which copy of its row each place of an order, int64 (N,), holds, counted from 0 along the order.

    Whole numbers (N,) in as few bytes as hold them: every reader keeps an epoch of them.
    """
    _, counts = np.unique(order, return_counts=True)
    copies = np.empty(len(order), dtype=np.min_scalar_type(counts.max(initial=1) - 1))
    copies[np.argsort(order, kind='stable')] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return copies


class TrainPlan:
    """Batches of every epoch: N // B steps, the tail dropped, each row at most once an epoch where nothing is balanced.

    rows: int64 (N,) row numbers of the training part. shard_of, window, seed: as in epoch_order. batch_size: clips of a
    step over all ranks. groups: the group of every row of the index, to draw an epoch's N rows as in balanced_rows;
    None takes each row once. Raises SerError when there are fewer rows than one batch needs.
    """

    def __init__(self, rows, shard_of, window, seed, batch_size, epochs, groups=None):
        self.rows, self.shard_of = np.asarray(rows, dtype=np.int64), np.asarray(shard_of, dtype=np.int64)
        self.window, self.seed, self.batch_size, self.epochs = window, seed, batch_size, epochs
        self.groups = groups
        self.steps_per_epoch = len(self.rows) // batch_size
        self._order = self._copies = None, None
        if not self.steps_per_epoch and len(self.rows) < 2:
            raise SerError(f'{len(self.rows)} training clip{"" if len(self.rows) else "s"}: at least 2 are needed. Add '
                           'shards')
        if not self.steps_per_epoch:
            raise SerError(f'{len(self.rows)} training clips are fewer than training.batch_size {batch_size}. '
                           f'Set training.batch_size to {len(self.rows)} or less, or add shards')

    def drawn(self, epoch):
        """The rows of an epoch, int64 (N,), in no order to be trained in."""
        return self.rows if self.groups is None else balanced_rows(self.rows, self.groups, self.seed, epoch)

    def expected(self):
        """How often an epoch draws each of `rows` on average, float64 (N,)."""
        return np.ones(len(self.rows)) if self.groups is None else expected_draws(self.rows, self.groups)

    def batch(self, epoch, step):
        """Row numbers of one global batch, int64 (batch_size,); epoch and step count from 0."""
        if not 0 <= step < self.steps_per_epoch:
            raise IndexError(f'step {step} of {self.steps_per_epoch}')
        return self.order(epoch)[step * self.batch_size:(step + 1) * self.batch_size]

    def copies(self, epoch, step):
        """Which copy of its row within the epoch each of `batch` is, whole numbers (batch_size,) from 0."""
        if self.groups is None:
            return np.zeros(self.batch_size, dtype=np.int64)
        if self._copies[0] != epoch:
            self._copies = epoch, copy_numbers(self.order(epoch))
        return self._copies[1][step * self.batch_size:(step + 1) * self.batch_size]

    def order(self, epoch):
        """All rows of an epoch in their order, int64 (N,)."""
        if self._order[0] != epoch:
            self._order = epoch, epoch_order(self.drawn(epoch), self.shard_of, self.window, self.seed, epoch)
        return self._order[1]

    def windows(self, epoch):
        """[(place of its first clip in the epoch, shards in the order of their first use)] of the epoch's windows."""
        shards = self.shard_of[self.order(epoch)]
        window_of = _windows_of(shards, self.window, self.seed, epoch)
        starts = np.flatnonzero(np.diff(window_of, prepend=-1))
        return [(int(start), list(dict.fromkeys(part.tolist())))
                for start, part in zip(starts, np.split(shards, starts[1:]), strict=True)]


class EvaluationPlan:
    """Batches of a part in index order, the last one padded with -1, so that each row is there exactly once."""

    def __init__(self, rows, batch_size):
        self.rows, self.batch_size = np.asarray(rows, dtype=np.int64), batch_size
        self.steps = math.ceil(len(self.rows) / batch_size)

    def batch(self, step):
        """Row numbers of one global batch, int64 (batch_size,), -1 where there is none."""
        if not 0 <= step < self.steps:
            raise IndexError(f'step {step} of {self.steps}')
        ids = self.rows[step * self.batch_size:(step + 1) * self.batch_size]
        return np.concatenate([ids, np.full(self.batch_size - len(ids), -1)])


def rank_part(batch, rank, world, accumulate=1):
    """A rank's micro-batches of a global batch: `accumulate` arrays that share out batch[rank::world]."""
    mine = batch[rank::world]
    return [mine[micro::accumulate] for micro in range(accumulate)]
