import numpy as np
import pytest

from ser.corpora.voice import (
    BANDWIDTHS_HZ,
    SAMPLE_RATE,
    STEP_SECONDS,
    VOWELS_HZ,
    Controls,
    Quality,
    articulate,
    formant_response,
    pulse_times,
    render,
    smooth,
)
from ser.randomness import generator

STEPS = 200


def held(vowel='a', pitch_hz=120.0):
    return Controls(np.full(STEPS, pitch_hz), np.ones(STEPS), np.tile(VOWELS_HZ[vowel], (STEPS, 1)).astype(float),
                    np.zeros(STEPS), np.full((STEPS, 2), 1000.0))


def spectrum(waveform):
    power = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))) ** 2
    return np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE), power


@pytest.mark.parametrize('pitch_hz', [90.0, 120.0, 251.3])
def test_a_held_vowel_has_its_pitch(pitch_hz):
    steady = Quality(jitter=0.0, shimmer_db=0.0, breath=0.0)
    waveform = render(held(pitch_hz=pitch_hz), steady, generator('test'))
    assert len(waveform) == round(STEPS * STEP_SECONDS * SAMPLE_RATE)
    lag = np.fft.irfft(np.abs(np.fft.rfft(waveform, 2 * len(waveform))) ** 2)[:2000]
    best = lag[60:].argmax() + 60
    assert SAMPLE_RATE / best == pytest.approx(pitch_hz, rel=0.005)


@pytest.mark.parametrize('vowel', list(VOWELS_HZ))
def test_resonances_lie_at_the_formants(vowel):
    frequency = np.arange(50.0, 4500.0)
    level = np.abs(formant_response(frequency, np.array(VOWELS_HZ[vowel], dtype=float)))
    peaks = frequency[1:-1][(level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])]
    for formant, bandwidth in zip(VOWELS_HZ[vowel], BANDWIDTHS_HZ, strict=True):
        assert np.abs(peaks - formant).min() < bandwidth


def test_one_resonance_is_1_at_0_hz_and_f_over_b_at_its_peak():
    level = np.abs(formant_response(np.array([0.0, 1000.0]), np.array([1000.0]), (50.0,)))
    assert level == pytest.approx([1.0, 20.0])


def test_a_larger_tilt_leaves_less_high_frequency():
    shares = []
    for tilt in (3.0, 6.0, 12.0):
        frequency, power = spectrum(render(held(), Quality(tilt_db=tilt), generator('test')))
        shares.append(power[frequency > 2000].sum() / power.sum())
    assert shares[0] > 2 * shares[1] > 4 * shares[2]


def test_pulses_follow_the_pitch_curve_and_jitter_perturbs_periods_by_its_share():
    pitch = np.linspace(100.0, 200.0, 1001)
    times = pulse_times(pitch, 0.0, generator('test'))
    assert len(times) == pytest.approx(5 * 150, abs=1)
    assert 1 / np.diff(times)[[1, -1]] == pytest.approx([100, 200], rel=0.01)
    periods = np.diff(pulse_times(np.full(2001, 100.0), 0.03, generator('test')))
    assert periods.std() / periods.mean() == pytest.approx(0.03, rel=0.15)


def test_syllables_become_curves_of_the_asked_length():
    voicing, formants, noise, noise_hz, vowel = articulate(['-', 'sa', 'mi'], [0.1, 0.3, 0.2], 1.1)
    assert len(voicing) == len(formants) == len(noise) == len(noise_hz) == len(vowel) == round(0.6 / STEP_SECONDS)
    assert voicing[:10].max() == 0 and voicing[-5] == pytest.approx(1.0)
    assert formants[-1] == pytest.approx(np.array(VOWELS_HZ['i']) * 1.1)
    assert noise[30] > 0.1 and voicing[28] == 0
    assert set(vowel) == {-1, 1, 2}


def test_smoothing_keeps_constants_and_length():
    curve = np.random.default_rng(0).standard_normal((50, 3))
    assert smooth(np.full(20, 3.0), 7) == pytest.approx(np.full(20, 3.0))
    expected = np.mean([np.pad(curve, ((2, 2), (0, 0)), mode='edge')[i:i + 50] for i in range(5)], axis=0)
    assert smooth(curve, 5) == pytest.approx(expected)


def test_silence_and_the_same_draws_give_the_same_waveform():
    quiet = Controls(np.full(STEPS, 120.0), np.zeros(STEPS), held().formants_hz, np.zeros(STEPS), held().noise_hz)
    assert np.abs(render(quiet, Quality(), generator('test'))).max() < 1e-12
    one, two = (render(held(), Quality(), generator('test')) for _ in range(2))
    assert np.array_equal(one, two)
