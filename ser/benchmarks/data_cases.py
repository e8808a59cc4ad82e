"""The cases of reading: index, spans, decoding, batching, whole streams beside webdataset's, and the first batch."""

import contextlib
import math
import os
import tempfile
import time
from dataclasses import dataclass, replace

import numpy as np

from ser.benchmarks.timing import Case, Took
from ser.benchmarks.webdataset_path import WebDatasetReader
from ser.config.data import DataConfig
from ser.labels import ordered
from ser.shards.batch import Row, collate
from ser.shards.decode import decode
from ser.shards.index import Index, build_index
from ser.shards.plan import TrainPlan
from ser.shards.reader import SpanReader
from ser.shards.stream import TrainStream, resolve_workers

STAGES = ('index', 'read', 'decode', 'batch', 'read_decode', 'first_batch')

FIRST_WORKERS = 2
"""Readers of `first_batch`."""

FEWEST_BATCHES = 8
"""Batches for each reader, at least, in one call of `read_decode`: filling and emptying the queues counts little."""


def data_cases(options):
    """The cases of this module's stages that `options` asks for; the index depends on no batch and is there once.

    Raises SerError for shards that cannot be indexed.
    """
    if not {*options.stages} & {*STAGES}:
        return []
    source = Source.of(options)
    cases = [_index(source, options.batches[0])] if 'index' in options.stages else []
    for batch in options.batches:
        cases += [make(source, batch) for stage, make in _PARTS.items() if stage in options.stages]
        for stage, make in (('read_decode', _read_decode), ('first_batch', _first_batch)):
            if stage in options.stages:
                cases += [make(source, batch, name) for name in ('ser', 'webdataset') if options.wants(name)]
    return cases


@dataclass(frozen=True)
class Source:
    """The shards that the cases read. seconds: mean length of a clip."""

    data: DataConfig
    index: Index
    names: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, options):
        """The shards of BenchmarkOptions, every clip of them."""
        data = options.config.data.model_copy(update={'shards': options.shards, 'valid_shards': (), 'test_shards': ()})
        index = build_index(data)
        return cls(data, index, ordered({row.emotion for row in index.rows}), options.shard_seconds)

    @property
    def clips(self):
        """Clips of the set."""
        return len(self.index.rows)

    def some(self, batch):
        """`batch` rows of the index in an order of their own, round and round where there are fewer."""
        order = np.random.default_rng(0).permutation(self.clips)
        return [self.index.rows[order[i % self.clips]] for i in range(batch)]

    def members(self, batch):
        """`batch` rows and the bytes of their audio members."""
        rows = self.some(batch)
        with contextlib.closing(SpanReader(self.index.shards)) as spans:
            return [(row, spans.read(row.shard, row.offset, row.size)) for row in rows]

    def decoded(self, row, content):
        """The Clip of a row's bytes, checked as in training."""
        return decode(content, row.suffix, self.data.sample_rate, row.audio_sha256)

    def stream(self, batch, epochs, workers):
        """The training stream over all clips. Raises SerError where they do not fill one batch."""
        plan = TrainPlan(range(self.clips), [row.shard for row in self.index.rows], self.data.shuffle_window_shards, 0,
                         batch, epochs)
        return TrainStream(self.index, plan, self.data, self.names, workers=workers)

    def webdataset(self, batch, passes, workers):
        """Plain webdataset over all clips."""
        class_of = {name: number for number, name in enumerate(self.names)}
        labels = {row.key: class_of[row.emotion] for row in self.index.rows}
        paths = [shard.local_path() for shard in self.index.shards]
        return WebDatasetReader(paths, batch, self.data.sample_rate, labels, workers, passes=passes,
                                prefetch=self.data.prefetch)


@contextlib.contextmanager
def empty_cache():
    """Inside, no shard was ever indexed: the index cache is an empty folder, deleted at the end."""
    before = os.environ.get('XDG_CACHE_HOME')
    with tempfile.TemporaryDirectory(prefix='ser-benchmark-') as folder:
        os.environ['XDG_CACHE_HOME'] = folder
        try:
            yield
        finally:
            os.environ.pop('XDG_CACHE_HOME')
            if before is not None:
                os.environ['XDG_CACHE_HOME'] = before


def _index(source, batch):
    """The strict pass over every shard, as the first run makes it; the facts say what a later run pays."""
    def call():
        with empty_cache():
            build_index(source.data)

    def facts(call):
        build_index(source.data)
        started = time.perf_counter()
        build_index(source.data)
        return {'cached_ms_per_clip': 1000 * (time.perf_counter() - started) / source.clips}

    return Case('index', 'ser', batch, source.seconds, lambda stack: call, clips=source.clips, facts=facts)


def _read(source, batch):
    """Spans of shards to bytes, in random order."""
    def start(stack):
        rows = source.some(batch)
        spans = stack.enter_context(contextlib.closing(SpanReader(source.index.shards)))

        def call():
            for row in rows:
                spans.read(row.shard, row.offset, row.size)

        return call

    return Case('read', 'ser', batch, source.seconds, start)


def _decode(source, batch):
    """Bytes to int16 clips, checks included."""
    def start(stack):
        members = source.members(batch)

        def call():
            for row, content in members:
                source.decoded(row, content)

        return call

    return Case('decode', 'ser', batch, source.seconds, start)


def _batch(source, batch):
    """Clips to a padded batch."""
    def start(stack):
        rows = [Row(number, source.decoded(row, content).samples, 0, 1.0, row.key)
                for number, (row, content) in enumerate(source.members(batch))]
        return lambda: collate(rows, batch, source.data.sample_rate)

    return Case('batch', 'ser', batch, source.seconds, start)


def _read_decode(source, batch, implementation):
    """A whole stream with the config's number of readers, which stay from call to call; batches are dropped."""
    steps = max(source.clips // batch, 1)
    workers = resolve_workers(source.data.workers, steps)
    passes = math.ceil(FEWEST_BATCHES * max(workers, 1) / steps)

    def start(stack):
        make = source.stream if implementation == 'ser' else source.webdataset
        stream = stack.enter_context(contextlib.closing(make(batch, passes, workers)))

        def call():
            for _ in stream:
                pass

        return call

    # Training leaves out the clips that do not fill a batch; webdataset batches across passes.
    clips = passes * (steps * batch if implementation == 'ser' else source.clips)
    return Case('read_decode', implementation, batch, source.seconds, start, clips=clips,
                facts=lambda call: {'workers': workers})


def _first_batch(source, batch, implementation):
    """From the call that starts two readers to the first batch, with the index in memory; the facts add it."""
    held = []

    def first(source):
        make = source.stream if implementation == 'ser' else source.webdataset
        started = time.perf_counter()
        with contextlib.closing(make(batch, 1, FIRST_WORKERS)) as stream:
            next(iter(stream))
            return time.perf_counter() - started

    def call():
        held.append(first(source))
        return Took(held[-1])

    def facts(call):
        said = {'workers': FIRST_WORKERS, 'first_batch_seconds': float(np.median(held))}
        if implementation == 'ser':
            with empty_cache():
                started = time.perf_counter()
                index = build_index(source.data)
                said['first_batch_seconds_unindexed'] = (time.perf_counter() - started
                                                         + first(replace(source, index=index)))
        return said

    return Case('first_batch', implementation, batch, source.seconds, lambda stack: call, facts=facts)


_PARTS = {'read': _read, 'decode': _decode, 'batch': _batch}
