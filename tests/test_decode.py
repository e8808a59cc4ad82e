"""Audio bytes to int16 mono: exact where it can be, bounded, and refused by reason."""

import hashlib
import io
import struct

import numpy as np
import pytest
import soundfile
import soxr

from ser.shards.decode import BadSample, decode
from tests.shard_factory import audio_bytes, tone

RATE = 16000
WAVE = tone(3, 0.5)


def bad(kind, said, data, suffix='.flac', **options):
    with pytest.raises(BadSample) as error:
        decode(data, suffix, RATE, **options)
    assert error.value.kind == kind, str(error.value)
    assert said in str(error.value), str(error.value)


@pytest.mark.parametrize('suffix', ['flac', 'wav'])
def test_sixteen_bits_are_taken_as_they_are(suffix):
    data = audio_bytes(WAVE, RATE, suffix)
    clip = decode(data, f'.{suffix}', RATE, hashlib.sha256(data).hexdigest())
    assert clip.samples.dtype == np.int16 and (clip.clipped, clip.resampled) == (0, False)
    np.testing.assert_array_equal(clip.samples, WAVE)
    np.testing.assert_array_equal(decode(data, f'.take.{suffix.upper()}', RATE).samples, WAVE)


@pytest.mark.parametrize('suffix', ['ogg', 'mp3'])
def test_lossy_codecs_come_close(suffix):
    samples = decode(audio_bytes(WAVE, RATE, suffix), f'.{suffix}', RATE).samples
    assert len(samples) == len(WAVE)
    assert np.corrcoef(samples[1000:-1000], WAVE[1000:-1000])[0, 1] > 0.98


@pytest.mark.parametrize(('subtype', 'suffix'), [('PCM_24', 'flac'), ('PCM_24', 'wav'), ('PCM_32', 'wav'),
                                                 ('FLOAT', 'wav'), ('DOUBLE', 'wav')])
def test_wider_samples_are_rounded_once_and_clipping_is_counted(subtype, suffix):
    exact = np.array([0.0, 0.25, -0.4, 100.4, -100.6, 32767.4, -32768.0, 32767.9])
    clip = decode(audio_bytes(exact / 32768, RATE, suffix, subtype), f'.{suffix}', RATE)
    assert clip.samples.tolist() == [0, 0, 0, 100, -101, 32767, -32768, 32767]
    assert clip.clipped == 1
    if 'PCM' not in subtype:
        loud = decode(audio_bytes(np.array([0.5, 1.5, -2.0]), RATE, suffix, subtype), f'.{suffix}', RATE)
        assert loud.samples.tolist() == [16384, 32767, -32768] and loud.clipped == 2


def test_other_depths():
    for subtype, scale in (('PCM_U8', 256), ('PCM_S8', 256)):
        suffix = 'wav' if subtype == 'PCM_U8' else 'flac'
        data = audio_bytes((WAVE // scale * scale).astype(np.int16), RATE, suffix, subtype)
        np.testing.assert_array_equal(decode(data, f'.{suffix}', RATE).samples, WAVE // scale * scale)


def test_channels_are_averaged_along_the_right_axis_and_rounded():
    stereo = np.stack([WAVE, WAVE // 3], axis=1)
    expected = np.rint(stereo.astype(float).mean(axis=1))
    for suffix in ('flac', 'wav'):
        np.testing.assert_array_equal(decode(audio_bytes(stereo, RATE, suffix), f'.{suffix}', RATE).samples, expected)
    same = decode(audio_bytes(np.stack([WAVE, WAVE], axis=1), RATE), '.flac', RATE)
    np.testing.assert_array_equal(same.samples, WAVE)
    assert decode(audio_bytes(np.full((3, 2), 32767, np.int16), RATE), '.flac', RATE).samples.tolist() == [32767] * 3


@pytest.mark.parametrize('source', [8000, 22050, 44100])
def test_another_rate_is_resampled_by_soxr(source):
    wave = tone(1, 0.3, source)
    clip = decode(audio_bytes(wave, source), '.flac', RATE)
    expected = np.rint(soxr.resample(wave.astype(np.float64), source, RATE, quality='HQ'))
    assert clip.resampled
    np.testing.assert_array_equal(clip.samples, np.clip(expected, -32768, 32767))
    assert abs(len(clip.samples) - len(wave) * RATE / source) <= 1


def test_damage_is_noticed_and_named():
    flac, wav = audio_bytes(WAVE, RATE), audio_bytes(WAVE, RATE, 'wav')
    for position in range(flac.index(b'\xff\xf8'), len(flac), len(flac) // 60):
        flipped = bytearray(flac)
        flipped[position] ^= 16
        bad('undecodable', 'cannot be decoded as flac', bytes(flipped))
    bad('undecodable', 'cannot be decoded', flac[:len(flac) // 2])
    bad('truncated', 'its header claims 16000 bytes of samples, 9956 are there', wav[:10000], '.wav')
    bad('undecodable', "No 'data' chunk", wav[:36], '.wav')
    bad('truncated', 'frames', audio_bytes(tone(1, 3), RATE, 'mp3')[:3000], '.mp3')
    bad('sha256', 'its bytes are not those that were recorded', wav, '.wav', sha256='0' * 64)
    with pytest.raises(BadSample):
        decode(b'fLaC' + bytes(100), '.flac', RATE)


def test_wrong_kinds_are_named():
    flac, wav = audio_bytes(WAVE, RATE), audio_bytes(WAVE, RATE, 'wav')
    bad('magic', "is no flac: it starts with b'RIFF'", wav)
    for suffix in ('.wav', '.ogg', '.mp3', '.opus'):
        bad('magic', f"is no {suffix[1:]}: it starts with b'fLaC'", flac, suffix)
    bad('empty', 'no bytes at all', b'')
    bad('empty', 'it holds no samples', audio_bytes(WAVE[:0], RATE, 'wav'), '.wav')
    bad('empty', 'too short for a single sample at 16000 Hz', audio_bytes(WAVE[:1], 192000, 'wav'), '.wav')


def test_what_is_not_finite_is_refused():
    for value in (np.nan, np.inf):
        data = audio_bytes(np.array([0.1, value, 0.2]), RATE, 'wav', 'FLOAT')
        bad('not finite', 'NaN or infinite', data, '.wav')


def test_claims_are_checked_before_decoding():
    flac = bytearray(audio_bytes(WAVE, RATE))
    fields = int.from_bytes(flac[18:26], 'big')
    for frames in ((1 << 36) - 1, 3500 * RATE):
        flac[18:26] = (fields >> 36 << 36 | frames).to_bytes(8, 'big')
        bad('header', f'claims {frames} frames, more than its 2000 bytes can hold', bytes(flac[:2000]))
    wav = bytearray(audio_bytes(WAVE, RATE, 'wav'))
    wav[24:28] = struct.pack('<I', 4_000_000)
    bad('header', 'an absurd sample rate, 4000000 Hz (allowed: 2000 to 768000)', bytes(wav), '.wav')
    bad('header', 'has 100 channels (allowed: 1 to 64)', audio_bytes(np.zeros((4, 100)), RATE, 'wav'), '.wav')
    assert len(decode(audio_bytes(np.ones(5_000_000, np.int16), 2000, 'wav'), '.wav', 2000).samples) == 5_000_000
    bad('too long', 'allowed: 3600 s', audio_bytes(np.zeros(7_300_000, np.int16), 2000, 'wav'), '.wav')


def test_streams_of_unknown_length():
    flac = bytearray(audio_bytes(WAVE, RATE))
    fields = int.from_bytes(flac[18:26], 'big')
    flac[18:26] = (fields >> 36 << 36).to_bytes(8, 'big')
    bad('header', 'does not say how many frames it has', bytes(flac))


# As ffmpeg leaves it, as sox and eSpeak do, as arecord does, and the most that fits 31 bits; less a header of 44 bytes.
@pytest.mark.parametrize('claimed', [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFF00, 0x7FFFFFFF, 0xFFFFFFFF - 44, 0x7FFFFFFF - 44])
def test_a_wav_that_was_written_to_a_pipe_goes_on_to_its_end(claimed):
    wav = bytearray(audio_bytes(WAVE, RATE, 'wav'))
    wav[4:8], wav[40:44] = (min(claimed + 36, 0xFFFFFFFF)).to_bytes(4, 'little'), claimed.to_bytes(4, 'little')
    np.testing.assert_array_equal(decode(bytes(wav), '.wav', RATE).samples, WAVE)
    np.testing.assert_array_equal(decode(bytes(wav[:1001]), '.wav', RATE).samples, WAVE[:478])


def test_other_lengths_beyond_the_end_are_a_cut_file():
    wav = bytearray(audio_bytes(WAVE, RATE, 'wav'))
    for claimed in (0x7FFFEFFE, 0x80000000, len(wav) - 42):
        wav[40:44] = claimed.to_bytes(4, 'little')
        bad('truncated', f'its header claims {claimed} bytes of samples', bytes(wav), '.wav')


def test_real_recordings_match_soundfile(real_corpora):
    for path in [*sorted(real_corpora.glob('ravdess/Actor_01/*'))[:20], *sorted(real_corpora.glob('emodb/*'))[:20]]:
        data = path.read_bytes()
        expected, rate = soundfile.read(io.BytesIO(data), dtype='int16', always_2d=True)
        np.testing.assert_array_equal(decode(data, path.suffix, rate).samples, np.rint(expected.mean(axis=1)))
