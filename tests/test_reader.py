"""What a reader process does: spans, crops, windows and bad samples."""

import itertools
import json
import os

import numpy as np
import pytest
import torch

from ser.config.data import DataConfig
from ser.errors import SerError
from ser.shards import reader
from ser.shards.index import build_index
from ser.shards.reader import EvaluationBatches, SpanReader, TrainBatches, longest, windows
from tests.shard_factory import EMOTIONS, audio_bytes, make_shards, sample, tone, write_tar


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def setup(folder, kind, members=None, *extra, **options):
    if members is not None:
        write_tar(folder / 'x.tar', members)
    data = DataConfig(shards=(str(folder),), **{'sample_rate': 16000, **options})
    index = build_index(data)
    return index, kind(index, data, EMOTIONS, *extra)


def open_files():
    return len(os.listdir('/proc/self/fd'))


@pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='counts open files in /proc')
def test_each_shard_is_opened_once_and_few_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, 'MAX_OPEN_SHARDS', 2)
    paths = make_shards(tmp_path, shard_sizes=(8,))
    index = build_index(DataConfig(shards=(str(tmp_path),)))
    before = open_files()
    spans = SpanReader(index.shards)
    for row in index.rows:
        data = spans.read(row.shard, row.offset, row.size)
        assert data == paths[row.shard].read_bytes()[row.offset:row.offset + row.size]
        assert open_files() - before <= 2
    spans.close()
    assert open_files() == before


def test_a_shard_that_changed_or_went_away(tmp_path):
    index, make = setup(tmp_path, EvaluationBatches, sample('a'))
    path, row = tmp_path / 'x.tar', index.rows[0]
    size = path.stat().st_size
    os.truncate(path, size - 512)
    with pytest.raises(SerError, match='changed since it was indexed'):
        make([0])
    os.truncate(path, size)
    make.spans.read(0, row.offset, row.size)
    os.truncate(path, row.offset + 10)
    with pytest.raises(SerError, match='changed since it was indexed'):
        make([0])
    path.unlink()
    make.close()
    with pytest.raises(SerError, match='cannot be opened'):
        make([0])


def once(epoch, *ids):
    """The spec of a micro-batch of first copies."""
    return epoch, ids, np.zeros(len(ids), np.int64)


def test_training_crops_at_a_place_of_the_samples_own(tmp_path):
    members = [m for i in range(6) for m in sample(f'k{i}', i, seconds=1.0)]
    _, make = setup(tmp_path, TrainBatches, members, 0, max_seconds=0.75)
    first = make(once(0, *range(6)))
    assert first.lengths.tolist() == [12000] * 6 and first.counters == {'cropped': 6}
    second = make(once(0, 4, 1))
    np.testing.assert_array_equal(first.waveforms[[4, 1]], second.waveforms)
    whole = [tone(i, 1.0) for i in range(6)]
    starts = [int(np.flatnonzero([(wave[s:s + 50] == got[:50]).all() for s in range(4001)])[0])
              for wave, got in zip(whole, first.waveforms.numpy(), strict=True)]
    assert len(set(starts)) == 6 and max(starts) - min(starts) > 800
    for wave, start, got in zip(whole, starts, first.waveforms.numpy(), strict=True):
        np.testing.assert_array_equal(got[:12000], wave[start:start + 12000])
    assert not np.array_equal(make(once(1, *range(6))).waveforms, first.waveforms)


def test_copies_of_a_clip_are_cropped_each_at_its_own_place(tmp_path):
    members = sample('a', 1, seconds=1.0) + sample('b', 2, seconds=1.0)
    _, make = setup(tmp_path, TrainBatches, members, 0, max_seconds=0.75)
    batch = make((2, np.array([0, 1, 0, 0]), np.array([0, 0, 2, 1])))
    assert batch.ids.tolist() == [0, 1, 0, 0] and batch.copies.tolist() == [0, 0, 2, 1]
    assert torch.equal(batch.waveforms[:2], make(once(2, 0, 1)).waveforms)
    assert torch.equal(batch.waveforms[2:3], make((2, [0], [2])).waveforms)
    assert len({row.numpy().tobytes() for row in batch.waveforms[[0, 2, 3]]}) == 3


def test_evaluation_refuses_long_clips_or_windows_them(tmp_path):
    members = sample('a', 1) + sample('long', 2, seconds=2.5) + sample('b', 3)
    _, make = setup(tmp_path, EvaluationBatches, members, max_seconds=1.0)
    for refuse in (lambda: make([0, 1]), lambda: make.check_lengths([0, 1])):
        with pytest.raises(SerError, match=r'x.tar: long.flac lasts 2.5 s, over data.max_seconds 1. Raise it, or use '
                                           '--set data.long=window'):
            refuse()
    make.check_lengths([0, 2])
    _, make = setup(tmp_path, EvaluationBatches, None, max_seconds=1.0, long='window')
    make.check_lengths([0, 1, 2])
    batches = make([0, 1, 2, -1])
    assert [batch.ids.tolist() for batch in batches] == [[0, 1, 1, 1], [2, -1, -1, -1]]
    assert [batch.weights.tolist() for batch in batches] == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert batches[0].counters == {'windowed': 1} and batches[1].counters == {}
    first = batches[0]
    joined = np.concatenate([first.waveforms[i, :first.lengths[i]] for i in (1, 2, 3)])
    np.testing.assert_array_equal(joined, tone(2, 2.5))
    assert first.lengths[1:].max() - first.lengths[1:].min() <= 1


def test_a_clip_of_exactly_max_seconds_is_whole_at_any_rate(tmp_path):
    for rate in (16000, 22050, 44100):
        members = sample('a', 1, rate=rate, seconds=1.0)
        _, make = setup(tmp_path / str(rate), EvaluationBatches, members, max_seconds=1.0)
        batch, = make([0])
        assert batch.lengths.tolist() == [16000]
        assert batch.counters.get('resampled', 0) == (rate != 16000)


def broken(key):
    """A sample whose FLAC is damaged in the middle, as a careless writer packed it."""
    audio = bytearray(audio_bytes(tone(9)))
    audio[len(audio) // 2] ^= 255
    return [(f'{key}.flac', bytes(audio)), (f'{key}.json', json.dumps({'emotion': 'sad', 'speaker': 's'}).encode())]


def test_a_bad_sample_stops_training_with_shard_and_key(tmp_path):
    _, make = setup(tmp_path, TrainBatches, sample('a') + broken('b'), 0)
    with pytest.raises(SerError, match=r'x.tar: b.flac cannot be decoded as flac'):
        make(once(0, 0, 1))


def test_skip_repeats_the_next_good_row_at_weight_0(tmp_path):
    members = sample('a', 1) + broken('b') + broken('c') + sample('d', 2) + broken('e')
    _, make = setup(tmp_path, TrainBatches, members, 0, on_error='skip')
    batch = make((0, np.arange(5), np.array([1, 0, 0, 2, 0])))
    assert batch.ids.tolist() == [0, 3, 3, 3, 0]
    assert batch.weights.tolist() == [1, 0, 0, 1, 0]
    assert batch.keys == ('a', 'd', 'd', 'd', 'a') and batch.copies.tolist() == [1, 2, 2, 2, 1]
    np.testing.assert_array_equal(batch.waveforms[4], batch.waveforms[0])
    assert batch.counters == {'bad': 3, 'bad: undecodable': 3}
    assert len(batch.errors) == 3 and 'b.flac' in batch.errors[0]
    empty = make(once(0, 1, 2))
    assert empty.ids.tolist() == [-1, -1] and empty.weights.tolist() == [0, 0]
    assert empty.counters['empty_batches'] == 1


def test_evaluation_never_skips(tmp_path):
    _, make = setup(tmp_path, EvaluationBatches, sample('a') + broken('b'), on_error='skip')
    with pytest.raises(SerError, match=r'b.flac cannot be decoded'):
        make([0, 1])


def test_damage_that_only_the_recorded_hash_shows(tmp_path):
    audio, described = sample('a', suffix='wav')
    data = bytearray(audio[1])
    data[1000] ^= 1
    with pytest.raises(SerError, match=r"x.tar: at byte 512: the bytes of 'a.wav' are not those its JSON recorded"):
        setup(tmp_path, EvaluationBatches, [(audio[0], bytes(data)), described])
    _, make = setup(tmp_path, EvaluationBatches, on_error='skip')
    with pytest.raises(SerError, match=r'x.tar: a.wav its bytes are not those that were recorded'):
        make([0])


@pytest.mark.parametrize('n', [1, 7999, 8000, 8001, 16000, 24001])
def test_windows_share_a_clip_evenly(n):
    samples = np.arange(n)
    pieces = windows(samples, 0.5, 16000)
    assert np.array_equal(np.concatenate(pieces), samples)
    assert max(map(len, pieces)) <= 8000
    assert len(pieces) == -(-n // 8000)
    assert all(abs(len(a) - len(b)) <= 1 for a, b in itertools.pairwise(pieces))


def test_a_length_that_is_no_whole_number_of_samples_is_rounded_up():
    # 0.29 s at 22050 Hz are 6394.5 samples.
    assert (longest(0.29, 22050), longest(0.5, 16000), longest(1e-9, 8000)) == (6395, 8000, 1)
    assert len(windows(np.zeros(6395), 0.29, 22050)) == 1 and len(windows(np.zeros(6396), 0.29, 22050)) == 2
