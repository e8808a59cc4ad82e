"""What is done to test clips, each measured by something that knows nothing of how it was made."""

import numpy as np
import pytest

from ser.errors import SerError
from ser.reports.corruptions import CLIPPED_AT, Babble, Heard, corruptions, room

RATE = 16000
NAMES = [one.name for one in corruptions()]
BY_NAME = {one.name: one for one in corruptions()}


def voice(seed, seconds=1.3):
    """int16 (n,): harmonics that come and go, and a little breath."""
    rng, times = np.random.default_rng(seed), np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * (110 + 7 * seed) * k * times + k) / k for k in range(1, 40))
    wave *= np.abs(np.sin(3 * times + seed)) + 0.05
    return np.rint(3000 * wave + 20 * rng.standard_normal(len(times))).astype(np.int16)


BABBLE = Babble([(f'k{n}', f's{n % 4}', voice(n, 0.7 + 0.2 * n)) for n in range(9)])


def heard(seed=1, seconds=1.3, key='k1', speaker='s1', samples=None):
    samples = voice(seed, seconds) if samples is None else samples
    return Heard(key, speaker, samples.astype(np.float32) / np.float32(32768), RATE, BABBLE)


def power(samples):
    return float(np.mean(np.square(samples, dtype=np.float64)))


def db(ratio):
    return 10 * np.log10(ratio)


def band_power(samples, low, high):
    """Power between two frequencies, by an FFT."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64)))**2
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    return spectrum[(frequencies >= low) & (frequencies < high)].sum()


def test_clean_is_the_very_same_and_the_first():
    clip = heard()
    assert NAMES[0] == 'clean' and np.array_equal(corruptions()[0].apply(clip), clip.samples)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize('name', [name for name in NAMES if name.endswith(' dB')])
def test_the_ratio_that_is_said_is_the_ratio_that_is_heard(name):
    snr = float(name.split(', ')[1].removesuffix(' dB'))
    for clip in (heard(), heard(5, 0.4, 'other', 's3')):
        made = BY_NAME[name].apply(clip)
        added = made.astype(np.float64) - clip.samples
        assert len(made) == len(clip.samples) and made.dtype == np.float32
        assert abs(db(power(clip.samples) / power(added)) - snr) < 0.1


def test_white_noise_is_flat_and_normal():
    clip = heard(seconds=6)
    added = BY_NAME['white noise, 0 dB'].apply(clip) - clip.samples
    halves = [band_power(added, low, low + 2000) for low in (0, 2000, 4000, 6000)]
    assert max(halves) / min(halves) < 1.1
    z = added / added.std()
    assert abs(np.mean(z**3)) < 0.05 and abs(np.mean(z**4) - 3) < 0.1


def test_noise_is_the_clip_s_own_at_every_ratio_and_another_clip_s_is_another():
    clip, other = heard(), heard(key='k2')
    for kind in ('white noise', 'babble'):
        ten, none = (BY_NAME[f'{kind}, {snr} dB'].apply(clip) - clip.samples for snr in (10, 0))
        np.testing.assert_allclose(ten * 10**0.5, none, atol=1e-4)
        theirs = BY_NAME[f'{kind}, 0 dB'].apply(other) - other.samples
        assert abs(np.corrcoef(none, theirs)[0, 1]) < 0.2


@pytest.mark.parametrize('one', corruptions(), ids=NAMES)
def test_every_corruption_repeats_to_the_bit_and_stays_finite(one):
    clip = heard()
    first, again = one.apply(clip), one.apply(heard())
    assert first.dtype == np.float32 and first.ndim == 1 and np.array_equal(first, again)
    for odd in (np.zeros(700, dtype=np.int16), np.array([5], dtype=np.int16), voice(2, 0.01)):
        made = one.apply(heard(samples=odd))
        assert 1 <= len(made) <= len(odd) and np.isfinite(made).all()
        assert odd.any() or not made.any(), 'silence is given noise'


def test_babble_is_of_other_speakers_at_one_level():
    clip = heard()
    alone = Babble([('k1', 's1', voice(1)), ('a', 's1', voice(3)), ('b', 's2', np.full(10, 7, dtype=np.int16))])
    np.testing.assert_allclose(alone.under(clip), 1.0)
    # Where nobody else speaks, other clips of the same speaker do; the order of the talkers changes nothing.
    same = [('k1', 's1', voice(1)), ('a', 's1', voice(3)), ('b', 's1', voice(4))]
    found = Babble(same).under(clip)
    assert np.array_equal(found, Babble(same[::-1]).under(clip)) and abs(power(found) - 2) < 0.5
    with pytest.raises(SerError, match='at least two are needed'):
        Babble(same[:1])


def test_bands_are_what_they_say():
    rng = np.random.default_rng(0)
    clip = heard(samples=np.rint(3000 * rng.standard_normal(4 * RATE)).astype(np.int16))
    telephone = BY_NAME['telephone band (300 to 3400 Hz)'].apply(clip)
    low = BY_NAME['low-pass at 4 kHz'].apply(clip)
    for made, inside, outside in ((telephone, (400, 3300), [(0, 200), (3500, 8000)]),
                                  (low, (0, 3900), [(4100, 8000)])):
        assert abs(db(band_power(made, *inside) / band_power(clip.samples, *inside))) < 0.1
        for band in outside:
            assert db(band_power(made, *band) / band_power(clip.samples, *band)) < -40


def test_codecs_end_at_half_their_rate_and_have_few_levels():
    clip = heard(seconds=2)
    good, coarse = (BY_NAME[f'{kind} kHz)'].apply(clip) for kind in
                    ('telephone codec (8 bits, mu-law, 8', 'coarse codec (4 bits, mu-law, 8'))
    assert len(good) == len(coarse) == len(clip.samples)
    assert band_power(good, 4300, 8000) < 1e-3 * band_power(good, 0, 3800)
    error = [power(x - BY_NAME['low-pass at 4 kHz'].apply(clip)) / power(clip.samples) for x in (good, coarse)]
    assert db(error[0]) < -25 < -15 < db(error[1])


def test_levels():
    clip = heard()
    softer, flat = BY_NAME['20 dB softer, 16 bits'].apply(clip), BY_NAME['cut off at 0.25 of its peak'].apply(clip)
    assert abs(db(power(softer) / power(clip.samples)) + 20) < 0.1
    assert np.array_equal(softer * 32768, np.rint(softer * 32768))
    peak = np.abs(clip.samples).max()
    assert np.abs(flat).max() == pytest.approx(CLIPPED_AT * peak)
    inside = np.abs(clip.samples) < CLIPPED_AT * peak
    assert np.array_equal(flat[inside], clip.samples[inside]) and not inside.all()


def test_cuts_by_hand():
    clip = heard(seconds=3)
    n = len(clip.samples)
    assert np.array_equal(BY_NAME['first 1 s'].apply(clip), clip.samples[:RATE])
    assert np.array_equal(BY_NAME['centre 0.5 s'].apply(clip), clip.samples[n // 2 - 4000:n // 2 + 4000])
    short = heard(seconds=0.3)
    assert all(np.array_equal(BY_NAME[f'{place} 0.5 s'].apply(short), short.samples) for place in ('first', 'centre'))


@pytest.mark.parametrize('seconds', [0.3, 0.8])
def test_a_room_decays_as_it_says_and_keeps_the_power(seconds):
    response = room(seconds, RATE, 'k1')
    assert response[0] == 1.0 and np.sum(response[1:]**2) == pytest.approx(1.0)
    # Schroeder's backward integration; from 5 to 35 dB below, taken twice.
    decay = db(np.cumsum(response[1:][::-1]**2)[::-1])
    decay -= decay[0]
    times = [np.argmax(decay < level) / RATE for level in (-5, -35)]
    assert 2 * (times[1] - times[0]) == pytest.approx(seconds, rel=0.1)
    clip = heard()
    made = BY_NAME[f'reverberation, {seconds:g} s'].apply(clip)
    assert len(made) == len(clip.samples) and abs(db(power(made) / power(clip.samples))) < 0.01
    assert np.corrcoef(made, clip.samples)[0, 1] > 0.4
