"""A clip's fingerprint: exact samples, a descriptor that treatment hardly moves, and plain facts."""

import hashlib

import numpy as np
import pytest

from ser.shards.decode import BadSample
from ser.shards.fingerprint import DESCRIPTOR, FACTS, fingerprint, sounding_waveform, stored_samples
from tests.audit_clips import RATE, babble, coded, louder, resampled
from tests.shard_factory import audio_bytes


def of(samples, rate=RATE, suffix='flac'):
    return fingerprint(audio_bytes(samples, rate, suffix), f'.{suffix}')


def facts(samples, rate=RATE):
    return dict(zip(FACTS, of(samples, rate).facts.tolist(), strict=True))


def cosine(one, other):
    one, other = (each.descriptor.astype(float) for each in (one, other))
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def test_the_same_samples_in_another_container_are_the_same():
    samples = babble(1)
    assert of(samples).pcm == of(samples, suffix='wav').pcm == hashlib.sha256(samples.tobytes()).digest()
    assert of(samples).pcm != of(louder(samples, 0.5)).pcm
    assert of(samples).descriptor.shape == (DESCRIPTOR,) and of(samples).descriptor.dtype == np.int8


COPIES = {
    'quieter': lambda x: (louder(x, 0.1), RATE),
    'inverted': lambda x: (-x, RATE),
    'padded': lambda x: (np.pad(x, (9000, 21000)), RATE),
    'trimmed': lambda x: (x[3200:-3200], RATE),
    'shifted': lambda x: (x[37:], RATE),
    '44.1 kHz': lambda x: (resampled(x, RATE, 44100), 44100),
    '8 kHz': lambda x: (resampled(x, RATE, 8000), 8000),
    'Vorbis': lambda x: (coded(x), RATE),
    'MP3': lambda x: (coded(x, container='MP3', subtype='MPEG_LAYER_III'), RATE),
    'noisy': lambda x: (louder(x + 30 * np.random.default_rng(0).standard_normal(len(x)), 1), RATE),
}


@pytest.mark.parametrize('name', COPIES)
def test_treatment_hardly_moves_descriptor_and_spread(name):
    for seed in range(4):
        samples = babble(seed)
        one, other = of(samples), of(*COPIES[name](samples))
        assert cosine(one, other) > 0.95
        assert abs(np.log(one.spread / other.spread)) < 0.02


def test_other_recordings_are_far_off():
    prints = [of(babble(seed)) for seed in range(12)]
    assert max(cosine(one, other) for i, one in enumerate(prints) for other in prints[:i]) < 0.8


def test_duration_level_and_rate():
    tone = np.rint(16384 * np.sin(2 * np.pi * 441 * np.arange(22050) / 22050)).astype(np.int16)
    found = facts(tone, 22050)
    assert found['duration_seconds'] == 1 and found['rate_hz'] == 22050
    assert found['level_db'] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert facts(louder(tone, 0.1), 22050)['level_db'] == pytest.approx(found['level_db'] - 20, abs=0.01)


def test_silence_before_after_and_inside():
    tone = np.rint(9000 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)).astype(np.int16)
    found = facts(np.concatenate([np.zeros(4 * RATE, np.int16), tone, np.zeros(2 * RATE, np.int16), tone,
                                  np.zeros(2 * RATE, np.int16)]))
    assert [found[name] for name in ('leading_silence', 'inner_silence', 'trailing_silence')] == pytest.approx(
        [0.4, 0.2, 0.2], abs=0.005)
    noise = np.random.default_rng(1).standard_normal(6 * RATE)
    noise[:2 * RATE] *= 10 ** (-45 / 20)
    assert facts(louder(noise, 3000))['leading_silence'] == pytest.approx(1 / 3, abs=0.01)


def test_no_sound_at_all():
    found = of(np.zeros(8000, np.int16))
    assert found.spread == 0 and not found.descriptor.any()
    assert found.facts[FACTS.index('leading_silence')] == 1 and np.isnan(found.facts[FACTS.index('level_db')])
    assert len(sounding_waveform(np.zeros(8000, np.int16), RATE)) == 0


@pytest.mark.parametrize('samples', [1, 7, 400, 1023, 1024])
def test_short_clips_have_finite_fingerprints(samples):
    found = of(np.full(samples, 300, np.int16) * (-1) ** np.arange(samples, dtype=np.int16))
    assert np.isfinite(found.facts[:1]).all() and np.isfinite(found.spread)


def noise(rate, seconds=1.5, level=3000):
    return louder(np.random.default_rng(2).standard_normal(int(seconds * rate)), level)


@pytest.mark.parametrize(('original', 'stored'), [(8000, 44100), (16000, 44100), (16000, 48000), (22050, 44100),
                                                  (8000, 16000), (11025, 16000)])
def test_an_upsampled_clip_shows_its_original_rate(original, stored):
    found = facts(resampled(noise(original), original, stored), stored)
    assert found['bandwidth_hz'] == pytest.approx(original / 2, rel=0.1)


def test_bandwidth_is_full_without_a_wall_and_unknown_where_rounding_hides_it():
    assert facts(noise(44100), 44100)['bandwidth_hz'] == 22050
    assert facts(noise(16000))['bandwidth_hz'] == 8000
    clicks = resampled(noise(16000), 16000, 44100)
    clicks[::20000] = 32767
    assert facts(clicks, 44100)['bandwidth_hz'] == pytest.approx(8000, rel=0.1)
    spectrum = np.fft.rfft(np.random.default_rng(3).standard_normal(44100))
    fading = np.fft.irfft(spectrum * np.exp(-np.arange(len(spectrum)) / 1500))
    assert np.isnan(facts(louder(fading, 3000 / np.abs(fading).max()), 44100)['bandwidth_hz'])
    hum = np.sin(2 * np.pi * 50 * np.arange(44100) / 44100)
    assert np.isnan(facts(louder(hum, 3000), 44100)['bandwidth_hz'])
    assert np.isnan(facts(np.zeros(4000, np.int16))['bandwidth_hz'])


def test_what_is_compared_is_the_sound_at_8_khz():
    samples = babble(3)
    waveform = sounding_waveform(np.pad(samples, 5 * RATE), RATE)
    assert waveform.dtype == np.float32 and abs(len(waveform) - 1.2 * 8000) < 1200


def test_damaged_audio_is_refused_as_the_reader_refuses_it():
    data = audio_bytes(babble(1), RATE)
    for broken, what in ((b'', 'is empty'), (b'junk' * 9, 'is no flac'), (data[:60], 'cannot be decoded')):
        with pytest.raises(BadSample, match=what):
            fingerprint(broken, '.flac')
    with pytest.raises(BadSample, match='sha256 differs'):
        fingerprint(data, '.flac', '0' * 64)
    samples, rate = stored_samples(audio_bytes(babble(1), 11025), '.flac')
    assert rate == 11025 and np.array_equal(samples, babble(1))
