"""What a reader process does: spans of shards to clips, clips to batches."""

import dataclasses
import itertools
import math
import os
from collections import Counter, OrderedDict

from ser.errors import SerError
from ser.randomness import uniform
from ser.shards.batch import Row, collate, draw_ids
from ser.shards.decode import BadSample, decode

MAX_OPEN_SHARDS = 128
"""Shards that one process holds open, oldest use closed first."""


class SpanReader:
    """Byte spans of shards by position; each shard is opened once and shared by nobody's file offset."""

    def __init__(self, shards):
        self.shards = shards
        self._open = OrderedDict()

    def read(self, shard, offset, size):
        """`size` bytes at `offset` of shard number `shard`. Raises SerError when the shard has changed."""
        handle = self._handle(shard)
        parts, left = [], size
        while left:
            try:
                part = _pread(handle, left, offset + size - left)
            except OSError as error:
                raise SerError(f'{self.shards[shard].path}: cannot be read ({error.strerror or error})') from None
            if not part:
                raise self._changed(shard)
            parts.append(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b''.join(parts)

    def close(self):
        """Close every shard; the next read opens again."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _handle(self, shard):
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        try:
            handle = self.shards[shard].open()
        except OSError as error:
            raise SerError(f'{self.shards[shard].path}: cannot be opened ({error.strerror or error})') from None
        if self.shards[shard].store is not None:
            self._close_evicted()
        self._open[shard] = handle
        if os.fstat(handle).st_size != self.shards[shard].size:
            raise self._changed(shard)
        if len(self._open) > MAX_OPEN_SHARDS:
            os.close(self._open.popitem(last=False)[1])
        return handle

    def _close_evicted(self):
        # A shard that the cache has given up takes room on the disk for as long as it is open.
        for shard in [shard for shard, handle in self._open.items() if not os.fstat(handle).st_nlink]:
            os.close(self._open.pop(shard))

    def _changed(self, shard):
        return SerError(f'{self.shards[shard].path}: changed since it was indexed. Start again')

    def __getstate__(self):
        return {'shards': self.shards, '_open': OrderedDict()}

    def __del__(self):
        self.close()


def _pread(handle, count, offset):
    if hasattr(os, 'pread'):
        return os.pread(handle, count, offset)
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, count)


def longest(max_seconds, sample_rate):
    """Samples of the longest clip within max_seconds, at least 1."""
    return max(math.ceil(max_seconds * sample_rate), 1)


def windows(samples, max_seconds, sample_rate):
    """A clip (n,) as consecutive windows of equal length to a sample, as few as keep each within max_seconds."""
    count = math.ceil(len(samples) / longest(max_seconds, sample_rate))
    edges = [len(samples) * i // count for i in range(count + 1)]
    return [samples[start:end] for start, end in itertools.pairwise(edges)]


class _Batches:
    """What training and evaluation share: a row number to a Row of the batch."""

    def __init__(self, index, data, names, columns=None):
        """columns: further targets by name, arrays with a row for each row of the index."""
        self.index, self.data, self.columns = index, data, columns or {}
        self.spans = SpanReader(index.shards)
        self.class_of = {name: number for number, name in enumerate(names)}
        self.max_samples = longest(data.max_seconds, data.sample_rate)

    def close(self):
        """Close the shards."""
        self.spans.close()

    def most_samples(self, numbers):
        """Samples of the longest row of a batch of these row numbers, as far as their JSON tells."""
        rate, rows = self.data.sample_rate, (self.index.rows[number] for number in numbers)
        most = max((row.frames * rate / row.sample_rate if row.frames and row.sample_rate else math.inf
                    for row in rows), default=0)
        return min(self.max_samples, math.ceil(min(most, self.max_samples)) + 1)

    def _row(self, number, counters):
        """The Row of a row number. Raises BadSample, its message naming shard and key."""
        row = self.index.rows[number]
        data = self.spans.read(row.shard, row.offset, row.size)
        try:
            clip = decode(data, row.suffix, self.data.sample_rate, row.audio_sha256)
        except BadSample as bad:
            raise BadSample(bad.kind, self._said(row, bad)) from None
        if clip.clipped:
            counters['clipped_samples'] += clip.clipped
        if clip.resampled:
            counters['resampled'] += 1
        return Row(int(number), clip.samples, self.class_of[row.emotion], 1.0, row.key)

    def _said(self, row, what):
        return f'{self.index.shards[row.shard].path}: {row.key}{row.suffix} {what}'


class TrainBatches(_Batches):
    """(epoch, ids, copies) to a Batch. Longer clips are cropped at a place keyed by (seed, epoch, id, copy).

    With data.on_error 'skip', a bad row gives way to the next good one of the micro-batch at weight 0; where none is
    good the batch is silence of weight 0. The rows that follow do not shift.
    """

    def __init__(self, index, data, names, seed, columns=None):
        super().__init__(index, data, names, columns)
        self.seed = seed

    def __call__(self, spec):
        epoch, ids, copies = spec
        counters, errors, rows = Counter(), [], []
        for number, copy in zip(ids, copies, strict=True):
            try:
                row = self._row(number, counters)
                row.copy = int(copy)
                rows.append(self._crop(row, epoch, counters))
            except BadSample as bad:
                if self.data.on_error == 'raise':
                    raise
                rows.append(None)
                errors.append(str(bad))
                counters['bad'] += 1
                counters[f'bad: {bad.kind}'] += 1
        if not any(rows):
            counters['empty_batches'] += 1
        return collate(_filled(rows), len(ids), self.data.sample_rate, counters, errors, self.columns)

    def _crop(self, row, epoch, counters):
        spare = len(row.samples) - self.max_samples
        if spare > 0:
            start = int(uniform(draw_ids([row.id], [row.copy]), 1, 'crop', self.seed, epoch)[0, 0] * (spare + 1))
            row.samples = row.samples[start:start + self.max_samples]
            counters['cropped'] += 1
        return row


def _filled(rows):
    """Each missing row replaced by the next good one, round about, at weight 0."""
    filled = list(rows)
    for place, row in enumerate(rows):
        if row is None:
            following = next((other for other in rows[place + 1:] + rows[:place] if other is not None), None)
            if following is not None:
                filled[place] = dataclasses.replace(following, weight=0.0)
    return filled


class EvaluationBatches(_Batches):
    """Row numbers (-1 for padding) to a list of Batches, each row once; a bad clip is always an error.

    With data.long 'window', a clip over max_seconds becomes consecutive windows of equal length, rows of the same id;
    rows beyond the batch go to further batches of the same size.
    """

    def __call__(self, ids):
        counters, rows = Counter(), []
        for number in ids:
            rows += [None] if number < 0 else self._windows(self._row(number, counters), counters)
        size, rate = len(ids), self.data.sample_rate
        batches = [collate(rows[start:start + size], size, rate, columns=self.columns)
                   for start in range(0, len(rows), size)]
        batches[0].counters = dict(counters)
        return batches

    def check_lengths(self, ids):
        """Raises SerError for a clip whose JSON says that it is too long, before any audio is read."""
        if self.data.long == 'window':
            return
        for number in ids:
            row = self.index.rows[number]
            if row.frames and row.sample_rate and row.frames > self.data.max_seconds * row.sample_rate + 1:
                raise self._too_long(row, row.frames / row.sample_rate)

    def _windows(self, row, counters):
        pieces = windows(row.samples, self.data.max_seconds, self.data.sample_rate)
        if len(pieces) == 1:
            return [row]
        if self.data.long == 'error':
            raise self._too_long(self.index.rows[row.id], len(row.samples) / self.data.sample_rate)
        counters['windowed'] += 1
        return [Row(row.id, piece, row.target, 1.0, row.key) for piece in pieces]

    def _too_long(self, row, seconds):
        return SerError(self._said(row, f'lasts {seconds:.1f} s, over data.max_seconds {self.data.max_seconds:g}. '
                                        'Raise it, or use --set data.long=window'))
