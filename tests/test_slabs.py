"""Shared memory between readers and training: pages go round, and never change under a batch that is still held."""

import dataclasses
import gc
import os
import sys

import numpy as np
import pytest
import torch

from ser.config.data import DataConfig
from ser.shards import slabs as slabs_module
from ser.shards.batch import Row, collate
from ser.shards.index import build_index
from ser.shards.plan import EvaluationPlan, TrainPlan
from ser.shards.slabs import FREE, HELD, IN_USE, SENT, Parcel, Slabs, make_slabs
from ser.shards.stream import EvaluationStream, TrainStream
from tests.shard_factory import EMOTIONS, make_shards

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='readers share memory where they fork')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=5, seconds=0.4, rate=8000)
    return DataConfig(shards=(str(folder),), sample_rate=8000, prefetch=1)


def batch_of(value, size=2, samples=5000):
    return collate([Row(i, np.full(samples, value, np.int16), i, 1.0, f'k{i}', i) for i in range(size)], size, 8000,
                   {'cropped': 1}, ['line'])


def stream_of(data, kind, workers, epochs=3, batch_size=4):
    index = build_index(data)
    rows = range(len(index.rows))
    if kind is TrainStream:
        plan = TrainPlan(rows, [row.shard for row in index.rows], 'all', 0, batch_size, epochs)
    else:
        plan = EvaluationPlan(rows, batch_size)
    return kind(index, plan, data, EMOTIONS, workers=workers)


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one.tensors(), other.tensors(), strict=True):
            assert torch.equal(a, b) and a.dtype == b.dtype
        assert (one.keys, one.counters, one.errors) == (other.keys, other.counters, other.errors)
        assert one.copies.tolist() == other.copies.tolist()


def test_a_batch_arrives_as_it_was_sent_and_its_slab_is_kept_while_a_view_of_it_lives():
    slabs, sent = Slabs(1, 2, 1 << 16), batch_of(7)
    parcel = slabs.pack(sent, 0)
    assert isinstance(parcel, Parcel) and slabs.state.tolist() == [SENT, FREE]
    found = slabs.receive(parcel)
    assert_same([found], [sent])
    assert slabs.state.tolist() == [IN_USE, FREE]
    view = found.waveforms[1, 10:20]
    del found, parcel
    gc.collect()
    assert slabs.state.tolist() == [IN_USE, FREE] and view.tolist() == [7] * 10
    del view
    assert slabs.state.tolist() == [FREE, FREE]


def test_each_reader_keeps_to_its_own_slabs_and_sends_the_ordinary_way_when_none_is_free():
    slabs = Slabs(2, 2, 1 << 16)
    assert [slabs.pack(batch_of(i), 1).slab for i in range(2)] == [2, 3]
    third = batch_of(2)
    assert slabs.pack(third, 1) is third
    assert slabs.pack(batch_of(3), 0).slab == 0
    assert slabs.receive(third) is third


def test_what_does_not_fit_goes_the_ordinary_way():
    slabs = Slabs(1, 1, 1)
    assert slabs.size == os.sysconf('SC_PAGE_SIZE')
    assert not isinstance(slabs.pack(batch_of(1), 0), Parcel)
    small = dataclasses.replace(batch_of(1), waveforms=torch.ones(2, 1024, dtype=torch.int16))
    assert isinstance(slabs.pack(small, 0), Parcel)
    failure = object()
    assert slabs.pack(failure, 0) is failure and slabs.receive(failure) is failure


def test_memory_goes_back_but_not_under_a_batch_that_is_held():
    slabs = Slabs(1, 2, 1 << 16)
    held, dropped = slabs.receive(slabs.pack(batch_of(5), 0)), slabs.receive(slabs.pack(batch_of(6), 0))
    place = slabs._array(1, (10,))
    assert place.tolist() == [6] * 10
    del dropped
    slabs.give_back()
    assert place.tolist() == [0] * 10
    assert (held.waveforms[:, :5000] == 5).all()
    assert slabs.state.tolist() == [IN_USE, FREE]


def test_a_forked_process_does_not_let_go_of_our_slab():
    slabs = Slabs(1, 1, 1 << 16)
    held = [slabs.receive(slabs.pack(batch_of(5), 0))]
    child = os.fork()
    if not child:
        held.clear()
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert slabs.state.tolist() == [IN_USE]
    held.clear()
    assert slabs.state.tolist() == [FREE]


def test_without_that_much_memory_there_are_none(monkeypatch):
    assert make_slabs(1, 1, 1 << 60) is None and make_slabs(1, 1, 1 << 80) is None
    monkeypatch.setattr(slabs_module.mmap, 'mmap', lambda *_: (_ for _ in ()).throw(OSError('no memory')))
    assert make_slabs(1, 1, 100) is None


@pytest.mark.parametrize('kind', [TrainStream, EvaluationStream])
def test_batches_that_are_all_held_stay_what_they_are(data, kind):
    with stream_of(data, kind, 0) as stream:
        expected = list(stream)
    with stream_of(data, kind, 2) as stream:
        found = list(stream)
        assert (stream._slabs.state == IN_USE).sum() == min(2 * (1 + HELD), len(found))
    assert len(found) > 2 * (1 + HELD) or kind is EvaluationStream
    # Pages given back at the end of the stream are not those of batches that live on.
    assert_same(found, expected)


def test_the_same_pages_go_round(data):
    with stream_of(data, TrainStream, 2, epochs=10) as stream:
        places = [batch.waveforms.data_ptr() for batch in stream]
    assert len(places) == 100 and len(set(places)) <= 2 * (1 + HELD)
    with stream_of(data, TrainStream, 0) as stream:
        assert stream._slabs is None


def test_iterations_left_early_lose_no_slab(data):
    with stream_of(data, EvaluationStream, 2) as stream:
        expected = [batch.ids.tolist() for batch in stream]
        for _ in range(12):
            assert next(iter(stream)).ids.tolist() == expected[0]
        places, ids = [], []
        for batch in stream:
            places.append(batch.waveforms.data_ptr())
            ids.append(batch.ids.tolist())
        first = stream._slabs.state.ctypes.data
        assert ids == expected and all(first < place < first + (1 << 24) for place in places)


def test_a_stream_knows_how_long_its_clips_can_be(data):
    with stream_of(data, TrainStream, 1) as stream:
        longest = max(batch.waveforms.nbytes for batch in stream)
        assert longest <= stream._slabs.size < 2 * longest + (1 << 13)
    index = build_index(data)
    index = dataclasses.replace(index, rows=tuple(dataclasses.replace(row, frames=None) for row in index.rows))
    short = data.model_copy(update={'max_seconds': 1.0})
    with TrainStream(index, TrainPlan(range(8), [0] * len(index.rows), 'all', 0, 4, 1), short, EMOTIONS,
                     workers=1) as stream:
        # Nothing said: data.max_seconds is what a clip can be.
        assert stream._slabs.size >= 4 * 8000 * 2


def test_a_batch_held_from_the_iteration_before_stays_what_it_is(data):
    with stream_of(data, EvaluationStream, 2) as stream:
        held = [next(iter(stream)) for _ in range(3)]
        whole = list(stream)
        again = [batch.waveforms.clone() for batch in stream]
        assert_same(held, [whole[0]] * 3)
        assert all(torch.equal(batch.waveforms, copy) for batch, copy in zip(whole, again, strict=True))
        places = [batch.waveforms.data_ptr() for batch in [*held, *whole]]
        assert len(set(places)) == len(places)
