import math

import numpy as np
import pytest
import torch
import torchaudio

from ser.config.waveform_augment import PitchStep, SpeedStep, StretchStep
from ser.features.augment_time import (
    divided,
    draw_pitch,
    draw_speed,
    draw_stretch,
    level_kept,
    overlapped,
    pitch,
    resampler,
    speed,
    stretch,
    vocoded,
    window_samples,
)
from ser.features.drawn import drawn_values

RATE = 16000


def sine(hz, samples, rate=RATE):
    return 0.5 * torch.sin(2 * math.pi * hz * torch.arange(samples) / rate)


def peak_hz(samples, rate=RATE):
    """The frequency of the strongest component of samples (n,), by a parabola through the spectrum's peak."""
    power = torch.fft.rfft(samples * torch.hann_window(len(samples))).abs().double()
    top = int(power.argmax())
    left, middle, right = power[top - 1:top + 2].log().tolist()
    return (top + (left - right) / (2 * (left - 2 * middle + right))) * rate / len(samples)


def drawn(step, **host):
    host = {name: np.array(value) for name, value in host.items()}
    count = len(next(iter(host.values())))
    return drawn_values(step, np.arange(count), host, np.zeros(count, dtype=np.uint64))


def test_whole_percents_are_drawn_with_both_bounds():
    found = draw_speed(SpeedStep(factor=(0.95, 1.07)), np.linspace(0, 1, 1300, endpoint=False)[:, None])['percent']
    assert sorted(set(found.tolist())) == list(range(95, 108)) and found.dtype == np.int64


def test_speed_is_torchaudios_resampling_and_groups_do_not_mix():
    clips = torch.randn(4, 3000, generator=torch.Generator().manual_seed(0))
    samples, lengths = speed(clips, torch.tensor([3000, 3000, 2999, 3000]),
                             drawn(SpeedStep(), percent=[80, 100, 100, 125]), RATE)
    assert lengths.tolist() == [3750, 3000, 2999, 2400] and samples.shape == (4, 3750)
    for row, percent in ((0, 80), (1, 100), (3, 125)):
        expected = torchaudio.functional.resample(clips[row], percent, 100)
        torch.testing.assert_close(samples[row, :len(expected)], expected, atol=1e-6, rtol=0)
    assert resampler(80, 100, clips.device) is resampler(80, 100, clips.device)


@pytest.mark.parametrize('percent', [90, 110])
def test_speed_moves_pitch_and_duration(percent):
    clip = sine(800, 16000)[None]
    samples, lengths = speed(clip, torch.tensor([16000]), drawn(SpeedStep(), percent=[percent]), RATE)
    assert lengths.tolist() == [math.ceil(16000 * 100 / percent)]
    assert peak_hz(samples[0]) == pytest.approx(8 * percent, rel=1e-3)
    assert float(samples.square().mean()) == pytest.approx(0.125, rel=0.01)


def test_the_vocoder_is_torchaudios_with_a_rate_for_each_clip():
    random = torch.Generator().manual_seed(2)
    spectrum = torch.randn(3, 40, 9, dtype=torch.complex64, generator=random)
    numerators, denominators = torch.tensor([1100, 900, 1000]), torch.full((3,), 1000)
    found = vocoded(spectrum, numerators, denominators, 50)
    advance = torch.linspace(0, math.pi * 4, 9)[:, None]
    for row, rate in enumerate((1.1, 0.9, 1.0)):
        expected = torchaudio.functional.phase_vocoder(spectrum[row].T, rate, advance).T
        # Torchaudio has silence after the last frame, where this has that frame again.
        expected = expected[:int(39 / rate)]
        torch.testing.assert_close(found[row, :len(expected)], expected, atol=2e-4, rtol=0)


def test_windows_last_about_40_ms():
    assert [window_samples(rate) for rate in (8000, 16000, 22050, 44100, 48000)] == [256, 512, 1024, 2048, 2048]


def test_stretched_lengths_are_rounded_by_hand():
    assert divided(torch.tensor([10, 11, 3]), torch.tensor([2, 2, 1000]), 1).tolist() == [5, 6, 0]
    assert divided(100, np.array([900, 1100]), 1000).tolist() == [111, 91]
    assert draw_stretch(StretchStep(rate=(0.8, 1.2)), np.array([[0.0], [0.5], [1.0]]))['rate'].tolist() == [
        800, 1000, 1200]


def test_levels_are_kept_over_each_clips_own_samples_up_to_a_bound():
    before = torch.tensor([[3.0, 3.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    after = torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.01, 9.0]])
    found = level_kept(after, torch.tensor([2, 2, 1]), before, torch.tensor([2, 3, 3]))
    assert found[:2].tolist() == [[3.0, 3.0], [0.0, 0.0]] and found[2].tolist() == pytest.approx([0.04, 0.0])


@pytest.mark.parametrize('rate', [900, 1100, 500, 2000])
def test_a_stretch_changes_duration_and_not_pitch_or_level(rate):
    clip = sine(700, 16000)[None]
    samples, lengths = stretch(clip, torch.tensor([16000]), drawn(StretchStep(), rate=[rate]), RATE)
    assert lengths.tolist() == [round(16000 * 1000 / rate)] == [samples.shape[1]]
    assert peak_hz(samples[0]) == pytest.approx(700, rel=2e-3)
    assert float(samples[0].square().mean()) == pytest.approx(0.125, rel=1e-3)


def test_windows_are_added_as_istft_adds_them():
    frames = torch.randn(2, 30, 33, dtype=torch.complex64, generator=torch.Generator().manual_seed(5))
    window = torch.hann_window(64)
    expected = torch.istft(frames.transpose(1, 2), 64, 16, window=window, length=400)
    found = overlapped(torch.fft.irfft(frames, 64) * window)[:, 32:432]
    weights = overlapped(window.square().expand(1, 30, -1))[:, 32:432]
    torch.testing.assert_close(found / weights, expected, atol=1e-5, rtol=0)


def test_a_stretch_by_1_is_the_clip():
    clip = torch.randn(1, 5000, generator=torch.Generator().manual_seed(3))
    samples, lengths = stretch(clip, torch.tensor([5000]), drawn(StretchStep(), rate=[1000]), RATE)
    torch.testing.assert_close(samples, clip, atol=1e-4, rtol=0)
    assert lengths.tolist() == [5000]


def test_an_onset_moves_with_the_stretch():
    clip = torch.zeros(1, 16000)
    clip[0, 8000:] = sine(500, 8000)
    samples, _ = stretch(clip, torch.tensor([16000]), drawn(StretchStep(), rate=[800]), RATE)
    loud = torch.nonzero(samples[0].abs() > 0.1)[0]
    assert int(loud) == pytest.approx(10000, abs=300)


def test_factors_of_pitch_are_close_to_the_drawn_semitones():
    found = draw_pitch(PitchStep(semitones=(-12, 12)), np.array([[0.0], [0.25], [0.5], [0.75], [1.0]]))['factor']
    assert found.tolist() == [100, round(200 * 2**-0.5), 200, round(200 * 2**0.5), 400]
    cents = [abs(1200 * math.log2(round(200 * 2 ** (n / 1200)) / 200 / 2 ** (n / 1200))) for n in range(-200, 201)]
    assert max(cents) < 5


@pytest.mark.parametrize('semitones', [-2, -1, 1, 2])
def test_a_pitch_shift_moves_pitch_and_keeps_duration_and_level(semitones):
    step, clip = PitchStep(semitones=(semitones, semitones)), sine(600, 16000)[None]
    samples, lengths = pitch(clip, torch.tensor([16000]), drawn(step, **draw_pitch(step, np.zeros((1, 3)))), RATE)
    assert lengths.tolist() == [16000] and samples.shape == (1, 16000)
    assert peak_hz(samples[0, 500:-500]) == pytest.approx(600 * 2 ** (semitones / 12), rel=4e-3)
    assert float(samples[0].square().mean()) == pytest.approx(0.125, rel=1e-3)
    # As long as it was: the tone lasts to the end.
    assert float(samples[0, -800:].square().mean()) > 0.06


def test_pitch_groups_do_not_mix():
    clips = torch.stack([sine(400, 6000), sine(900, 6000), sine(1500, 6000)])
    step = PitchStep()
    together, _ = pitch(clips, torch.full((3,), 6000), drawn(step, factor=[190, 190, 215]), RATE)
    for row, factor in enumerate((190, 190, 215)):
        alone, _ = pitch(clips[row:row + 1], torch.tensor([6000]), drawn(step, factor=[factor]), RATE)
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=0)
