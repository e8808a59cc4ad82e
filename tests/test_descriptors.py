"""Descriptors of frames against librosa's and numpy's definitions; frames that never reach the padding."""

import librosa
import numpy as np
import pytest
import torch

from ser.config.baselines import FunctionalsConfig
from ser.errors import SerError
from ser.features.descriptors import SHAPE, Descriptors, power_decibels
from tests.oracles import synthetic_clips

RATE = 16000
CONFIG = FunctionalsConfig()


@pytest.fixture(scope='module')
def descriptors():
    return Descriptors(CONFIG, RATE, -80.0)


@pytest.fixture(scope='module')
def clip():
    return synthetic_clips(RATE)['voice'].astype(np.float64) / 32768


def framed(clip, d):
    return librosa.util.frame(clip, frame_length=d.window_length, hop_length=d.hop_length)


def power_of(clip, d):
    """float64 (1 + n_fft / 2, N), the power that Descriptors makes of a clip's frames."""
    frames = framed(clip, d) * d.window.double().numpy()[:, None]
    return np.abs(np.fft.rfft(frames, n=d.n_fft, axis=0)) ** 2


def described(d, clip):
    with torch.no_grad():
        frames = d(torch.from_numpy(clip).float()[None], torch.tensor([len(clip)]))
    return dict(zip(d.names, frames.values[0].double().numpy(), strict=True))


def frequencies(d):
    return np.fft.rfftfreq(d.n_fft, 1 / RATE)


def test_level_and_zero_crossings_are_numpys_and_librosas(descriptors, clip):
    found, frames = described(descriptors, clip), framed(clip, descriptors)
    level = 20 * np.log10(librosa.feature.rms(y=frames.T.ravel(), frame_length=640, hop_length=640, center=False)[0])
    np.testing.assert_allclose(found['level'], np.maximum(level, level.max() - 80), atol=1e-3)
    crossings = librosa.zero_crossings(frames, axis=0, pad=False, threshold=0, zero_pos=True)
    np.testing.assert_allclose(found['zero_crossings'], crossings[1:].sum(axis=0) / 639, atol=1e-6)


def test_a_full_scale_sine_has_three_decibels_less_than_one(descriptors):
    sine = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    power = power_of(sine, descriptors).sum(axis=0)
    np.testing.assert_allclose(power, 0.5, rtol=2e-3)
    np.testing.assert_allclose(described(descriptors, sine)['level'], -3.0103, atol=1e-2)


def test_spectral_shape_is_librosas(descriptors, clip):
    found, d = described(descriptors, clip), descriptors
    power, hz = power_of(clip, d)[d.first:], frequencies(d)[d.first:]
    loud = power.sum(axis=0) > 1e-6
    centroid = librosa.feature.spectral_centroid(S=power, freq=hz)[0]
    np.testing.assert_allclose(found['centroid'][loud], centroid[loud] / 1000, rtol=1e-3)
    spread = librosa.feature.spectral_bandwidth(S=power, freq=hz)[0]
    np.testing.assert_allclose(found['spread'][loud], spread[loud] / 1000, rtol=2e-3)
    for share in (0.25, 0.5, 0.75, 0.9):
        rolloff = librosa.feature.spectral_rolloff(S=power, freq=hz, roll_percent=share)[0]
        # A cumulative sum that meets the share may be rounded to either side: one bin.
        np.testing.assert_allclose(found[f'rolloff{round(100 * share)}'][loud], rolloff[loud] / 1000, atol=0.0157)
    flatness = librosa.feature.spectral_flatness(S=power, power=1.0, amin=1e-10)[0]
    np.testing.assert_allclose(found['flatness'][loud], flatness[loud], rtol=1e-3, atol=1e-5)


def test_entropy_slopes_and_ratios_are_numpys(descriptors, clip):
    found, d = described(descriptors, clip), descriptors
    power, khz = power_of(clip, d)[d.first:], frequencies(d)[d.first:] / 1000
    loud = power.sum(axis=0) > 1e-6
    shares = power / power.sum(axis=0)
    entropy = -(shares * np.log(shares)).sum(axis=0) / np.log(len(shares))
    np.testing.assert_allclose(found['entropy'][loud], entropy[loud], atol=1e-3)
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    for name, low, high in (('slope', 0, 9), ('slope_0_500', 0, 0.5), ('slope_500_1500', 0.5, 1.5)):
        inside = (khz >= low) & (khz < high)
        np.testing.assert_allclose(found[name], np.polyfit(khz[inside], decibels[inside], 1)[0], rtol=1e-3, atol=2e-3)
    ratio = 10 * np.log10(power[khz < 1].sum(axis=0) / power[(khz >= 1) & (khz < 5)].sum(axis=0))
    np.testing.assert_allclose(found['alpha_ratio'][loud], ratio[loud], atol=1e-3)
    peaks = decibels[khz < 2].max(axis=0) - decibels[(khz >= 2) & (khz < 5)].max(axis=0)
    np.testing.assert_allclose(found['hammarberg'], peaks, atol=1e-2)


def test_bands_and_cepstrum_are_of_the_same_filters(descriptors, clip):
    found, d = described(descriptors, clip), descriptors
    filters = librosa.filters.mel(sr=RATE, n_fft=d.n_fft, n_mels=26, fmin=50, fmax=8000, htk=True, norm=None)
    bands = 10 * np.log10(np.maximum(filters[:, d.first:] @ power_of(clip, d)[d.first:], 1e-10))
    bands = np.maximum(bands, bands.max() - 80)
    np.testing.assert_allclose([found[f'band{i + 1}'] for i in range(26)], bands, atol=2e-2)
    cepstrum = librosa.feature.mfcc(S=bands, n_mfcc=15)[1:]
    np.testing.assert_allclose([found[f'mfcc{i + 1}'] for i in range(14)], cepstrum, atol=5e-2)


def test_flux_is_nothing_in_a_steady_tone_and_most_where_it_changes(descriptors):
    time = np.arange(RATE) / RATE
    found = described(descriptors, np.sin(2 * np.pi * np.where(time < 0.5, 300, 3000) * time))
    assert found['flux'][:40].max() < 1e-3 and 44 <= found['flux'].argmax() <= 51
    assert found['flux'].max() > 0.3


def test_frames_lie_within_the_clip(descriptors):
    lengths = torch.tensor([1, 639, 640, 799, 800, 16000])
    assert descriptors.frame_counts(lengths).tolist() == [1, 1, 1, 1, 2, 97]


def test_what_lies_behind_a_clip_changes_no_frame_of_it(descriptors, clip):
    alone = torch.from_numpy(clip).float()[None]
    padded = torch.nn.functional.pad(alone, (0, 9000))
    with torch.no_grad():
        one, two = (descriptors(x, torch.tensor([len(clip)])) for x in (alone, padded))
    frames = int(one.valid.sum())
    assert int(two.valid.sum()) == frames
    torch.testing.assert_close(two.values[..., :frames], one.values[..., :frames], atol=1e-4, rtol=1e-4)


def test_silence_is_finite(descriptors):
    frames = descriptors(torch.zeros(2, RATE), torch.tensor([RATE, 200]))
    assert torch.isfinite(frames.values).all() and not frames.voiced.any()
    assert power_decibels(torch.zeros(1)).item() == pytest.approx(-100)
    assert len(descriptors.names) == frames.values.shape[1] == 3 + 26 + 14 + len(SHAPE) + 7


@pytest.mark.parametrize(('change', 'rate', 'told'), [
    ({}, 6000, r'features\.sample_rate: 6000 Hz is too low for functionals, .* at least 8000'),
    ({'coefficients': 26}, RATE, r'functionals\.coefficients: 26 from 26 bands; at most 25'),
    ({'pitch_low_hz': 700.0}, RATE, r'pitch from 700 to 600 Hz cannot be looked for at 16000 Hz'),
    ({'pitch_high_hz': 5000.0}, RATE, r'and that at most 4000'),
    ({'window_seconds': 0.02}, RATE, r'window_seconds: 0\.02 s are less than 2 periods .* at least 0\.031')])
def test_settings_that_do_not_hold_together_are_refused(change, rate, told):
    with pytest.raises(SerError, match=told):
        Descriptors(CONFIG.model_copy(update=change), rate, -80.0)


@pytest.mark.parametrize('rate', [8000, 44100])
def test_other_rates_give_as_many_finite_numbers(rate):
    descriptors = Descriptors(CONFIG, rate, -80.0)
    pulses = (torch.arange(rate) % (rate // 150) < 3).float()[None]
    clip = 0.2 * pulses + 0.001 * torch.randn(1, rate, generator=torch.Generator().manual_seed(0))
    frames = descriptors(clip, torch.tensor([clip.shape[1]]))
    assert torch.isfinite(frames.values).all() and frames.values.shape[1] == len(descriptors.names)
    assert frames.voiced.any()
