"""The folded CQT over clip lengths, sample rates and hops, against the float64 definition and nnAudio."""

import numpy as np
import pytest
import torch
from oracles import cqt_power, decibels

from ser.config.features import CqtConfig
from ser.features.cqt import FoldedCqt, NnAudioCqt

RATES, HOPS = (16000, 22050, 44100, 48000), (256, 512)
SHORT, LONG = (0.02, 0.1, 0.37, 1.0), (3.5, 10.0, 30.0)


def voice(seconds, rate):
    """A sung line with pauses over a quiet room's noise, float64 of `seconds` at `rate`."""
    random = np.random.default_rng(int(1000 * seconds))
    time = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(150 + 40 * np.sin(2 * np.pi * 1.1 * time)) / rate
    tone = sum(np.sin(k * pitch) / k**1.2 for k in range(1, 40)) * np.clip(0.3 + np.sin(2 * np.pi * 1.9 * time), 0, 1)
    return 0.2 * tone + 5e-3 * random.standard_normal(len(time))


def bins_of(rate):
    return 96 if rate >= 22050 else 84


def errors(rate, hop, seconds):
    """Decibels between the folded CQT and the definition, of a clip alone and in a padded batch."""
    clip = voice(seconds, rate)
    engine = FoldedCqt(CqtConfig(hop_length=hop, bins=bins_of(rate)), rate)
    alone = torch.from_numpy(clip).float()
    batch = torch.stack([torch.nn.functional.pad(alone, (0, 3000)), torch.randn(len(clip) + 3000)])
    expected = decibels(cqt_power(clip, rate, hop, bins=bins_of(rate)))
    for power in (engine(alone[None])[0], engine(batch)[0, :, :expected.shape[1]]):
        assert power.shape == expected.shape
        yield np.abs(decibels(power.double().numpy()) - expected)


@pytest.mark.parametrize('seconds', SHORT)
@pytest.mark.parametrize('hop', HOPS)
@pytest.mark.parametrize('rate', RATES)
def test_short_clips_equal_the_definition(rate, hop, seconds):
    for error in errors(rate, hop, seconds):
        assert error.mean() < 0.03 and np.quantile(error, 0.99) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize('seconds', LONG)
@pytest.mark.parametrize('hop', HOPS)
@pytest.mark.parametrize('rate', RATES)
def test_long_clips_equal_the_definition(rate, hop, seconds):
    for error in errors(rate, hop, seconds):
        assert error.mean() < 0.03 and np.quantile(error, 0.99) < 0.3


@pytest.mark.parametrize('hop', HOPS)
@pytest.mark.parametrize('rate', RATES)
def test_gradients_are_nnaudios(rate, hop):
    config = CqtConfig(hop_length=hop, bins=48, fmin_hz=65.4)
    start = torch.from_numpy(voice(0.3, rate)).float()[None]
    gradients = []
    for engine in (FoldedCqt(config, rate), NnAudioCqt(config, rate)):
        clip = start.clone().requires_grad_()
        (engine(clip) * torch.linspace(0, 1, 48)[:, None]).sum().backward()
        gradients.append(clip.grad)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-3 * gradients[1].abs().max().item(), rtol=0)
