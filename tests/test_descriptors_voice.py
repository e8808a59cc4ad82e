"""Pitch of tones whose pitch is known; voicing, noise, and how pitch and level vary."""

import numpy as np
import pytest
import torch

from ser.config.baselines import FunctionalsConfig
from ser.features.descriptors import Descriptors
from ser.features.descriptors_voice import REFERENCE_HZ

RATE = 16000


@pytest.fixture(scope='module')
def descriptors():
    return Descriptors(FunctionalsConfig(), RATE, -80.0)


def voice(pitch_hz, seconds=0.5, harmonics=12, noise=0.0, seed=0):
    """Harmonics that fall by 6 dB an octave; pitch_hz a number or an array of samples."""
    pitch = np.broadcast_to(pitch_hz, round(seconds * RATE))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    wave = sum(np.sin(k * phase) / k for k in range(1, harmonics + 1) if k * pitch.max() < RATE / 2)
    return 0.2 * wave + noise * np.random.default_rng(seed).standard_normal(len(wave))


def described(d, *waves):
    """(name -> float64 (B, N), voiced (B, N))."""
    with torch.no_grad():
        frames = d(torch.from_numpy(np.stack(waves)).float(), torch.tensor([len(wave) for wave in waves]))
    return dict(zip(d.names, frames.values.double().numpy().swapaxes(0, 1), strict=True)), frames.voiced[:, 0].numpy()


def hertz(semitones):
    return REFERENCE_HZ * 2 ** (semitones / 12)


def test_the_pitch_of_harmonic_tones_is_within_two_per_cent(descriptors):
    wanted = np.array([70, 82.4, 110, 147, 200, 261.6, 330, 415, 523, 590])
    found, voiced = described(descriptors, *(voice(hz) for hz in wanted))
    assert voiced.all()
    np.testing.assert_allclose(hertz(found['pitch']), np.broadcast_to(wanted[:, None], voiced.shape), rtol=0.02)
    # Most are far closer.
    np.testing.assert_allclose(hertz(np.median(found['pitch'], axis=1)), wanted, rtol=0.003)


def test_a_missing_fundamental_and_noise_do_not_hide_the_pitch(descriptors):
    time = np.arange(RATE // 2) / RATE
    missing = sum(0.1 * np.sin(2 * np.pi * 150 * k * time) for k in (2, 3, 4, 5))
    found, voiced = described(descriptors, missing, voice(150, noise=0.05))
    assert voiced.all()
    np.testing.assert_allclose(hertz(found['pitch']), 150, rtol=0.02)


def test_a_glide_is_followed(descriptors):
    pitch = np.linspace(120, 240, RATE)
    found, voiced = described(descriptors, voice(pitch, seconds=1.0))
    centres = np.arange(voiced.shape[1]) * 160 + 320
    assert voiced.mean() > 0.95
    np.testing.assert_allclose(hertz(found['pitch'])[voiced], pitch[centres][voiced[0]], rtol=0.02)


def test_noise_has_no_pitch_and_the_quiet_none_either(descriptors):
    noise = 0.1 * np.random.default_rng(1).standard_normal(RATE)
    faint = np.concatenate([voice(200), 0.001 * voice(200)])
    found, voiced = described(descriptors, noise, faint)
    assert voiced[0].mean() < 0.05
    assert voiced[1, :45].all() and not voiced[1, 52:].any()
    assert (found['pitch'][~voiced] == 0).all() and (found['jitter'][~voiced] == 0).all()


def test_more_noise_is_a_lower_ratio_of_harmonics_to_it(descriptors):
    found, _ = described(descriptors, *(voice(180, noise=noise) for noise in (0.0, 0.01, 0.05)))
    clean, little, more = np.median(found['harmonics_to_noise'], axis=1)
    assert clean > 25 and clean > little + 3 > more + 6
    # Boersma: r / (1 - r) is the energy of the tone over that of the noise.
    tone = np.mean(voice(180) ** 2)
    assert little == pytest.approx(10 * np.log10(tone / 0.01**2), abs=1.0)
    assert more == pytest.approx(10 * np.log10(tone / 0.05**2), abs=1.0)


def test_jitter_and_shimmer_tell_how_far_pitch_and_level_move(descriptors):
    time = np.arange(RATE) / RATE
    steady = voice(150, seconds=1.0)
    wavering = voice(150 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 6 * time)), seconds=1.0)
    pulsing = steady * (1 + 0.5 * np.sin(2 * np.pi * 6 * time))
    found, voiced = described(descriptors, steady, wavering, pulsing)
    assert voiced.all()
    jitter, shimmer = found['jitter'].mean(axis=1), found['shimmer'].mean(axis=1)
    assert jitter[0] < 0.02 and jitter[1] > 5 * jitter[0]
    # Mean slope of half a semitone at 6 Hz, a tenth of it in each frame of 10 ms.
    assert jitter[1] == pytest.approx(0.5 * 4 * 6 * 0.01, rel=0.2)
    assert shimmer[2] > 5 * shimmer[0] and shimmer[1] < shimmer[2] / 3


def test_the_first_harmonics_are_compared(descriptors):
    time = np.arange(RATE // 2) / RATE
    loud = 0.3 * np.sin(2 * np.pi * 200 * time) + 0.03 * np.sin(2 * np.pi * 400 * time)
    loud = loud + 0.003 * np.sin(2 * np.pi * 2800 * time)
    found, voiced = described(descriptors, loud)
    np.testing.assert_allclose(found['first_harmonics'][voiced], 20, atol=0.6)
    np.testing.assert_allclose(found['harmonic_tilt'][voiced], 40, atol=1.0)
