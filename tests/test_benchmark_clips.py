"""Made clips: exact lengths, the same every time, and shards that the project reads."""

import io
import json
import tarfile

import numpy as np
import pytest
import soundfile

from ser.benchmarks.clips import clip, made_batch, make_shards, reel, waveforms
from ser.config.data import DataConfig
from ser.shards.batch import padded_length
from ser.shards.index import build_index


@pytest.mark.parametrize(('seconds', 'rate'), [(0.02, 16000), (3.5, 44100), (30.0, 16000)])
def test_a_clip_has_its_length_and_is_speech_and_not_silence(seconds, rate):
    samples = clip(3, seconds, rate)
    assert samples.dtype == np.int16 and len(samples) == round(seconds * rate)
    assert np.abs(samples.astype(int)).max() > 300
    assert np.array_equal(samples, clip(3, seconds, rate))
    assert not np.array_equal(samples, clip(4, seconds, rate))


def test_a_long_clip_goes_round():
    voices = reel(16000)
    samples = clip(0, 30.0, 16000)
    assert np.array_equal(samples[:len(voices)], voices)
    assert np.array_equal(samples[len(voices):], voices[:len(samples) - len(voices)])


def test_a_batch_is_padded_as_the_readers_pad():
    batch = made_batch(5, 0.7, 16000, classes=3)
    assert batch.waveforms.shape == (5, padded_length(11200, 16000)) and batch.lengths.tolist() == [11200] * 5
    assert batch.targets['emotion'].tolist() == [0, 1, 2, 0, 1] and batch.weights.tolist() == [1.0] * 5
    assert np.array_equal(batch.waveforms[4, :11200].numpy(), clip(4, 0.7, 16000))
    assert not batch.waveforms[:, 11200:].any()


def test_waveforms_are_the_clips_without_padding():
    batch = made_batch(2, 0.7, 16000)
    one, other = waveforms(batch)
    assert one.dtype == np.float32 and np.array_equal(other * 32768, clip(1, 0.7, 16000)) and len(one) == 11200


def test_shards_hold_what_was_asked_for(tmp_path):
    paths = make_shards(tmp_path / 'set', 25, 0.3, 16000, shard_size=10, distinct=4)
    assert [path.name for path in paths] == ['made-00000.tar', 'made-00001.tar', 'made-00002.tar']
    index = build_index(DataConfig(shards=(str(tmp_path / 'set'),), sample_rate=16000))
    assert len(index.rows) == 25 and {row.frames for row in index.rows} == {4800}
    assert len({row.speaker for row in index.rows}) == 8 and len({row.emotion for row in index.rows}) >= 3
    with tarfile.open(paths[0]) as tar:
        samples, rate = soundfile.read(io.BytesIO(tar.extractfile('made-000001.flac').read()), dtype='int16')
        assert json.load(tar.extractfile('made-000001.json'))['speaker'] == 's1'
    assert rate == 16000 and np.array_equal(samples, clip(1, 0.3, 16000))


def test_the_same_call_writes_the_same_bytes(tmp_path):
    for name in ('a', 'b'):
        make_shards(tmp_path / name, 6, 0.2, 16000, audio='wav')
    assert (tmp_path / 'a' / 'made-00000.tar').read_bytes() == (tmp_path / 'b' / 'made-00000.tar').read_bytes()
