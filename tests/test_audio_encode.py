import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from ser.corpora.utterance import Skip, Utterance
from ser.inference.recordings import BadRecording, read_recording
from ser.shards.audio_encode import BadAudio, decode, encode, encode_audio, prepare
from tests.hostile_files import flac_bomb

RATE = 16000


def noise(frames=4000, channels=1, scale=0.3, seed=0):
    return scale * np.random.default_rng(seed).standard_normal((frames, channels)).clip(-1, 1)


def utterance(path, **fields):
    return Utterance(path=Path(path), relative=Path(path).name, corpus='c', emotion='sad', raw_label='sad', **fields)


def write(path, samples, subtype='PCM_16', rate=RATE):
    soundfile.write(path, samples, rate, subtype=subtype)
    return utterance(path)


def test_16_bit_mono_at_its_own_rate_is_not_changed(tmp_path):
    samples = (noise() * 32767).astype(np.int16)[:, 0]
    for suffix in ('wav', 'flac', 'aiff'):
        found, rate, clipped = prepare(write(tmp_path / f'a.{suffix}', samples), 'keep')
        assert (rate, clipped, found.dtype) == (RATE, 0, np.int16)
        assert np.array_equal(found, samples)


def test_a_recording_that_its_table_cannot_give_is_a_bad_skip():
    def damaged():
        raise OSError('the page is damaged.\nmore')

    found = encode(utterance('a.wav', data=damaged), 'flac', 'keep')
    assert found == Skip('a.wav', 'cannot be read', 'the page is damaged', bad=True)


@pytest.mark.parametrize('channels', [2, 5])
def test_channels_are_averaged_along_the_channel_axis(tmp_path, channels):
    samples = (noise(channels=channels) * 32767).astype(np.int16)
    found, _, _ = prepare(write(tmp_path / 'a.wav', samples), 'keep')
    assert np.array_equal(found, np.rint(samples.astype(np.float64).mean(axis=1)).astype(np.int16))


def test_the_mean_of_two_channels_is_rounded_once_after_resampling(tmp_path):
    samples = (noise(channels=2) * 32767).astype(np.int16)
    found, rate, _ = prepare(write(tmp_path / 'a.wav', samples, rate=48000), 44100)
    expected = soxr.resample(samples.mean(axis=1) / 32768, 48000, 44100, quality='HQ')
    assert rate == 44100
    assert np.array_equal(found, np.rint(expected * 32768).astype(np.int16))


def test_a_tone_survives_resampling(tmp_path):
    time = np.arange(48000) / 48000
    found, _, _ = prepare(write(tmp_path / 'a.wav', 0.5 * np.sin(2 * np.pi * 1000 * time), rate=48000), 44100)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100)
    assert len(found) == 44100
    assert np.abs(found / 32768 - expected)[500:-500].max() < 1e-4


@pytest.mark.parametrize('subtype', ['PCM_24', 'PCM_32', 'FLOAT', 'DOUBLE'])
def test_wider_samples_are_rounded_and_what_exceeds_16_bits_is_counted(tmp_path, subtype):
    wide = np.array([0.4 / 32768, 0.6 / 32768, -0.6 / 32768, 0.25, -1.0, 1.0 - 1 / 65536 / 2])
    found, _, clipped = prepare(write(tmp_path / 'a.wav', wide, subtype), 'keep')
    assert found.tolist() == [0, 1, -1, 8192, -32768, 32767]
    assert clipped == 1


def test_float_samples_beyond_full_scale_are_clipped_and_counted(tmp_path):
    found, _, clipped = prepare(write(tmp_path / 'a.wav', np.array([2.0, -1.5, 0.5]), 'FLOAT'), 'keep')
    assert (found.tolist(), clipped) == ([32767, -32768, 16384], 2)


@pytest.mark.parametrize('audio', ['flac', 'wav'])
def test_lossless_members_hold_the_samples_exactly(audio):
    samples = (noise(70000) * 32767).astype(np.int16)[:, 0]
    data = encode_audio(samples, 44100, audio)
    found, rate = soundfile.read(io.BytesIO(data), dtype='int16')
    assert rate == 44100 and np.array_equal(found, samples)
    assert encode_audio(samples, 44100, audio) == data


def test_ogg_members_repeat_to_the_byte_and_keep_their_length():
    samples = (np.sin(np.arange(150000) / 20) * 9000).astype(np.int16)
    first, second = (encode_audio(samples, 44100, 'ogg') for _ in range(2))
    assert first == second
    found, _ = soundfile.read(io.BytesIO(first), dtype='int16')
    assert len(found) == len(samples)
    assert np.abs(found.astype(int) - samples)[1000:-1000].mean() < 300


@pytest.mark.parametrize(('make', 'reason'), [
    (lambda path: path.write_bytes(b''), 'empty file'),
    (lambda path: path.write_bytes(b'this is not audio' * 40), 'cannot be decoded'),
    (lambda path: soundfile.write(path, np.zeros(0), RATE), 'no samples'),
    (lambda path: soundfile.write(path, np.array([0.1, np.nan]), RATE, subtype='FLOAT'), 'NaN or infinite samples'),
    (lambda path: soundfile.write(path, np.array([0.1, np.inf]), RATE, subtype='FLOAT'), 'NaN or infinite samples'),
    (lambda path: soundfile.write(path, np.zeros(10), 100), 'absurd sample rate'),
    (lambda path: soundfile.write(path, np.zeros((4, 65)), RATE), 'too many channels'),
    (lambda path: soundfile.write(path, np.zeros(3601 * 2000, np.int16), 2000), 'longer than 3600 s'),
])
def test_bad_recordings_are_told_apart(tmp_path, make, reason):
    make(tmp_path / 'a.wav')
    found = encode(utterance(tmp_path / 'a.wav'), 'flac', 'keep')
    assert isinstance(found, Skip)
    assert (found.relative, found.reason, found.bad) == ('a.wav', reason, True)
    assert str(tmp_path) not in found.detail and '\n' not in found.detail


def test_a_flac_that_is_cut_or_claims_far_too_much_is_refused_without_allocating(tmp_path):
    path = tmp_path / 'a.flac'
    soundfile.write(path, noise(40000), RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    assert encode(utterance(path), 'flac', 'keep').reason in ('cut short', 'cannot be decoded')
    # STREAMINFO's 36-bit number of samples: bytes 21 (low half) to 25.
    bomb = bytearray(whole)
    bomb[21] |= 0x0F
    bomb[22:26] = b'\xff' * 4
    path.write_bytes(bomb)
    assert encode(utterance(path), 'flac', 'keep').reason == 'longer than 3600 s'


def test_a_small_file_that_would_grow_out_of_all_proportion_is_not_decoded(tmp_path):
    (tmp_path / 'a.flac').write_bytes(flac_bomb())
    found = encode(utterance(tmp_path / 'a.flac'), 'flac', 'keep')
    assert found.reason == 'header claims too much' and re.match(r'would grow \d+ times', found.detail)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(BadAudio, match='cannot be read.*No such file or directory'):
        decode(tmp_path / 'none.wav')
    with pytest.raises(BadAudio, match='not a plain file'):
        decode(tmp_path)


@pytest.mark.parametrize(('suffix', 'subtype'), [
    ('wav', 'PCM_16'), ('wav', 'PCM_24'), ('aiff', 'PCM_16'), ('au', 'PCM_16'), ('w64', 'PCM_16'), ('rf64', 'PCM_16'),
    ('sph', 'PCM_16'), ('voc', 'PCM_16'), ('mp3', 'MPEG_LAYER_III'), ('wav', 'MS_ADPCM')])
def test_a_cut_recording_is_refused_here_and_where_single_files_are_read(tmp_path, suffix, subtype):
    path, container = tmp_path / f'a.{suffix}', {'sph': 'NIST'}.get(suffix, suffix.upper())
    soundfile.write(path, noise(16000), RATE, subtype, format=container)
    whole = path.read_bytes()
    assert encode(utterance(path), 'flac', 'keep').frames >= 16000
    path.write_bytes(whole[:len(whole) // 2])
    found = encode(utterance(path), 'flac', 'keep')
    assert (found.reason, found.bad) == ('cut short', True)
    assert re.fullmatch(r'\d+ of (16000|\d+) (frames|bytes)', found.detail)
    with pytest.raises(BadRecording, match='cut short'):
        read_recording(path, RATE)


@pytest.mark.parametrize(('samples', 'doubt'), [
    (np.zeros(RATE), 'nothing but silence'), (np.full(96, 0.1), 'shorter than 0.1 s'),
    (np.full(RATE // 10 - 1, 0.1), 'shorter than 0.1 s'), (np.full(RATE // 10, 0.1), ''),
    (np.zeros(96), 'nothing but silence')])
def test_a_clip_that_says_nothing_is_kept_and_doubted(tmp_path, samples, doubt):
    assert encode(write(tmp_path / 'a.wav', samples), 'flac', 'keep').doubt == doubt


def test_a_name_does_not_matter(tmp_path):
    samples = (noise()[:, 0] * 32767).astype(np.int16)
    for name in (b'a.raw', b'\xff\xfe.wav', b'a\nb'):
        path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
        with open(path, 'wb') as file:
            soundfile.write(file, samples, RATE, format='WAV', subtype='PCM_16')
        assert np.array_equal(prepare(utterance(path), 'keep')[0], samples)


def test_a_rate_that_flac_cannot_hold_is_reported(tmp_path):
    found = encode(write(tmp_path / 'a.wav', noise(), rate=700000), 'flac', 'keep')
    assert found.reason == 'cannot be written as flac'


def test_a_synthesised_utterance_is_not_decoded():
    samples = np.arange(-50, 50, dtype=np.int16)
    found = encode(utterance('none', read=lambda: (samples, RATE)), 'wav', 'keep')
    assert (found.frames, found.sample_rate) == (100, RATE)
    assert np.array_equal(soundfile.read(io.BytesIO(found.data), dtype='int16')[0], samples)
