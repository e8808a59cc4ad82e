"""Padding, collation, and what goes to the device."""

import itertools
import pickle

import numpy as np
import pytest
import torch

from ser.shards.batch import GROWTH, Row, collate, draw_ids, padded_length


@pytest.mark.parametrize('rate', [8000, 16000, 44100])
def test_lengths_lie_on_a_geometric_grid(rate):
    lengths = sorted({padded_length(n, rate) for n in range(1, 12 * rate, 37)})
    assert lengths[0] == rate // 2
    assert all(length >= n for n in range(1, 12 * rate, 997) for length in [padded_length(n, rate)])
    for shorter, longer in itertools.pairwise(lengths):
        assert longer / shorter == pytest.approx(GROWTH, abs=1e-3)
        assert padded_length(shorter, rate) == shorter and padded_length(shorter + 1, rate) == longer
    assert len(lengths) < 30


def test_rows_are_padded_with_zeros_and_silence():
    rows = [Row(7, np.arange(1, 6, dtype=np.int16), 2, 1.0, 'a'), None, Row(3, np.full(9000, 5, np.int16), 1, 0.0, 'b')]
    batch = collate(rows, 4, 16000, {'cropped': 1}, ['e'])
    assert batch.ids.tolist() == [7, -1, 3, -1] and batch.ids.dtype == torch.int64
    assert batch.lengths.tolist() == [5, 8000, 9000, 8000] and batch.lengths.dtype == torch.int64
    assert batch.weights.tolist() == [1, 0, 0, 0] and batch.weights.dtype == torch.float32
    assert batch.targets['emotion'].tolist() == [2, 0, 1, 0] and batch.targets['emotion'].dtype == torch.int64
    assert batch.keys == ('a', '', 'b', '')
    assert batch.waveforms.shape == (4, 9200) and batch.waveforms.dtype == torch.int16
    assert batch.waveforms[0, :6].tolist() == [1, 2, 3, 4, 5, 0]
    assert batch.waveforms[[1, 3]].abs().sum() == 0 and batch.waveforms[2, 9000:].abs().sum() == 0
    assert (batch.counters, batch.errors, batch.sample_rate) == ({'cropped': 1}, ('e',), 16000)


def test_chance_is_keyed_by_the_id_of_a_first_copy_and_by_a_hash_of_id_and_copy_after_it():
    ids = np.arange(-1, 5000)
    first, *further = (draw_ids(ids, np.full(len(ids), copy, np.uint8)) for copy in range(40))
    np.testing.assert_array_equal(first, ids)
    assert all(found.dtype == np.int64 for found in (first, *further))
    assert len(np.unique(np.concatenate([first, *further]))) == 40 * len(ids)
    # Pinned, so that a run resumes under another version as it began.
    assert draw_ids([7, 7, 7, 8], [0, 1, 2, 1]).tolist() == [
        7, -2226524661300884339, 679838370427889668, -5082974729164832351]


def test_a_batch_knows_its_copies():
    rows = [Row(7, np.ones(5, np.int16), 0, 1.0, 'a', copy) for copy in (0, 3)]
    batch = collate([*rows, None], 4, 8000)
    assert batch.copies.tolist() == [0, 3, 0, 0] and batch.copies.dtype == np.int64
    assert batch.draw_ids.tolist() == [7, draw_ids([7], [3])[0], -1, -1]


def test_a_batch_travels():
    batch = collate([Row(1, np.ones(3, np.int16), 0, 1.0, 'a', 2)], 2, 8000)
    moved = batch.to('cpu', non_blocking=True)
    again = pickle.loads(pickle.dumps(batch))
    for other in (moved, again):
        assert all(torch.equal(a, b) for a, b in zip(batch.tensors(), other.tensors(), strict=True))
        assert other.keys == batch.keys and other.draw_ids.tolist() == batch.draw_ids.tolist()
    assert len(batch.tensors()) == 5
    meta = batch.to('meta')
    assert all(tensor.device.type == 'meta' for tensor in meta.tensors())
    assert batch.waveforms.device.type == 'cpu'


@pytest.mark.skipif(not torch.cuda.is_available(), reason='pinned memory needs CUDA')
def test_pinned_memory():
    assert all(t.is_pinned() for t in collate([], 1, 8000).pin_memory().tensors())
