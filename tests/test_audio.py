"""Uploaded audio: read as `ser predict` reads it; what is hostile is refused fast, with memory flat."""

import io
import resource
import time

import numpy as np
import pytest
import soundfile

from ser.inference.recordings import read_bytes
from ser.serving.audio import read_header, read_samples
from ser.serving.limits import Limits
from ser.serving.refusal import Refusal
from ser.serving.upload import Upload
from tests.served import clip, flac_claiming, silent_flac, wav_of_floats
from tests.shard_factory import audio_bytes, tone

LIMITS = Limits(max_seconds=60.0)


def read(data, limits=LIMITS, name='clip.wav', deadline=None):
    upload = Upload(name, io.BytesIO(data))
    header = read_header(upload, limits)
    return header, read_samples(upload, 16000, limits, time.monotonic() + 60 if deadline is None else deadline)


def refusal(data, **options):
    with pytest.raises(Refusal) as refused:
        read(data, **options)
    return refused.value.status, refused.value.sentence


@pytest.mark.parametrize('suffix', ['wav', 'flac', 'ogg', 'mp3'])
@pytest.mark.parametrize('rate, channels', [(16000, 1), (44100, 2)])
def test_samples_are_those_of_ser_predict(suffix, rate, channels):
    sound = np.stack([tone(i, 1.0, rate) for i in range(channels)], axis=1)
    data = audio_bytes(sound, rate, suffix)
    header, samples = read(data)
    assert (header.sample_rate, header.channels) == (rate, channels) and abs(header.seconds - 1) < 0.1
    assert samples.dtype == np.int16
    np.testing.assert_array_equal(samples, read_bytes(data, 16000))


@pytest.mark.parametrize('data, told', [
    (b'just some words, \xc3\xa4 and so on\n' * 50, 'it is text'), (b'abc', 'it is text'),
    (b'\xc3\xa4' * 256 + b'\xc3', 'it is text'),
    (b'\x89PNG\r\n\x1a\n' + bytes(100), 'of no such format'), (b'PK\x03\x04' + bytes(100), 'of no such format'),
    (b'\x1f\x8b\x08' + bytes(100), 'of no such format'), (bytes(1000), 'of no such format')])
def test_what_is_no_audio_is_told_in_plain_words(data, told):
    status, sentence = refusal(data, name='notes.wav')
    assert status == 400 and sentence.startswith('notes.wav is not audio: ') and told in sentence
    assert sentence.endswith('WAV, FLAC, OGG and MP3 files can be read')


@pytest.mark.parametrize('changes, told', [
    ({'frames': (1 << 36) - 1}, 'more than its'), ({'frames': 0}, ''), ({'frames': 20000}, ''), ({'channels': 8}, ''),
    ({'rate': 1}, 'absurd sample rate, 1 Hz')])
def test_lying_flac_headers(changes, told):
    status, sentence = refusal(flac_claiming(clip(suffix='flac', seconds=1.0), **changes))
    assert status == 400 and sentence.startswith('clip.wav') and told in sentence


def test_damaged_audio():
    whole = clip(seconds=2.0)
    assert 'cut short: its header claims' in refusal(whole[:-9000])[1]
    assert refusal(b'RIFF\x00\x00\x00\x00WAVE')[0] == 400
    assert refusal(b'fLaC' + bytes(60))[1].startswith('clip.wav cannot be decoded: ')
    for start in (b'OggS', b'ID3', b'\xff\xfb'):
        assert refusal(start + bytes(600))[0] == 400
    assert 'empty' in refusal(audio_bytes(np.zeros(0, np.int16), 16000, 'wav'))[1]


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(value):
    status, sentence = refusal(wav_of_floats([0.1] * 5000 + [value] + [0.1] * 5000))
    assert status == 400 and 'holds NaN or infinite samples' in sentence


def test_other_containers_are_named():
    held = io.BytesIO()
    soundfile.write(held, tone(1), 16000, format='AIFF', subtype='PCM_16')
    assert 'of no such format' in refusal(held.getvalue())[1]


def test_too_long_and_too_wide():
    short = Limits(max_seconds=1.0)
    status, sentence = refusal(clip(seconds=1.6), limits=short)
    assert status == 413 and sentence.startswith('clip.wav is 2 s long by its header; 1 s are the most that')
    assert read(clip(seconds=1.0), limits=short)[0].seconds == 1.0
    status, sentence = refusal(silent_flac(16, 192000, 2))
    assert status == 413 and 'more than 60 s of stereo at 48 kHz. Save it with fewer channels' in sentence
    # An MP3 whose header leaves the length open is still read no further.
    assert refusal(clip(seconds=3.0, suffix='mp3'), limits=short)[0] == 413


def test_no_more_is_read_than_is_wanted():
    upload, whole = Upload('a.flac', io.BytesIO(clip(2, 40.0, 'flac'))), read(clip(2, 40.0, 'flac'))[1]
    for most in (5000, len(whole), 10 * len(whole)):
        found = read_samples(upload, 16000, LIMITS, time.monotonic() + 60, most)
        np.testing.assert_array_equal(found, whole[:most])


def test_late_decoding_is_given_up():
    assert refusal(clip(), deadline=time.monotonic() - 1)[0] == 504


def test_bombs_are_refused_fast_and_with_flat_memory():
    bomb = silent_flac(8, 96000, 8)
    assert len(bomb) * 500 < 8 * 96000 * 8 * 2
    largest = silent_flac(58, 48000, 2)
    read(clip(suffix='flac'))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for _ in range(20):
        assert refusal(bomb)[0] == 413
        assert refusal(flac_claiming(clip(suffix='flac'), frames=1 << 35, rate=655350))[0] == 400
    assert time.process_time() - started < 1
    # 11 MB of stereo at 48 kHz are at most their 2 MB of mono at 16 kHz, twice, and a few blocks.
    assert len(read(largest)[1]) == 58 * 16000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 24 << 10
