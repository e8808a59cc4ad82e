import math

import numpy as np
import pytest
import torch
import torchaudio

from ser.config.waveform_augment import CodecStep
from ser.features.augment_codec import codec, draw_codec, quantised
from ser.features.drawn import drawn_values


def coded(samples, step, bits, rate=16000):
    drawn = drawn_values(step, np.arange(len(bits)), {'bits': np.array(bits)}, np.zeros(len(bits), dtype=np.uint64))
    return codec(samples, torch.full((len(bits),), samples.shape[1]), drawn, rate)[0]


def test_bits_are_drawn_between_their_bounds():
    found = draw_codec(CodecStep(bits=(4, 6)), np.linspace(0, 1, 300, endpoint=False)[:, None])['bits']
    assert np.bincount(found)[4:].tolist() == [100, 100, 100]


def test_linear_levels_by_hand():
    samples = torch.tensor([[-2.0, -0.9, -0.1, 0.0, 0.17, 0.5, 1.0]])
    found = quantised(samples, torch.tensor([3]), 'linear')
    assert found[0].tolist() == pytest.approx([-1, -1, 0, 0, 1 / 3, 2 / 3, 1])
    assert quantised(samples, torch.tensor([2]), 'linear')[0].tolist() == [-1, -1, 0, 0, 0, 0, 1]


def test_mu_law_by_hand_and_beside_torchaudios():
    mu = 7.0
    level = (math.exp(2 / 3 * math.log(1 + mu)) - 1) / mu
    found = quantised(torch.tensor([[0.0, 0.45, -0.45, 1.5]]), torch.tensor([3]), 'mu')
    assert found[0].tolist() == pytest.approx([0, level, -level, 1])
    samples = torch.linspace(-1, 1, 2001)[None]
    theirs = torchaudio.functional.mu_law_decoding(torchaudio.functional.mu_law_encoding(samples, 256), 256)
    ours = quantised(samples, torch.tensor([8]), 'mu')
    assert ((ours - theirs).abs() <= 0.05 * samples.abs() + 2e-3).all()
    assert ((ours - samples).abs() <= 0.03 * samples.abs() + 2e-4).all() and len(ours.unique()) <= 255


def test_few_bits_are_noisier_and_mu_law_serves_quiet_samples_better():
    quiet = 0.02 * torch.sin(torch.arange(4000.0))[None].expand(2, -1)
    step = CodecStep(rate_hz=None)
    error = (coded(quiet, step, [8, 5]) - quiet).square().mean(dim=1)
    linear = (coded(quiet, step.model_copy(update={'law': 'linear'}), [8, 5]) - quiet).square().mean(dim=1)
    assert error[0] < error[1] / 10 and (error < linear).all()


def test_a_telephone_keeps_what_8_khz_holds_and_nothing_above():
    time = torch.arange(16000) / 16000
    tones = torch.stack([0.5 * torch.sin(2 * math.pi * hz * time) for hz in (1000, 6000)])
    found = coded(tones, CodecStep(), [8, 8])
    error = (found[0] - tones[0])[500:-500].square().mean()
    assert 10 * torch.log10(tones[0].square().mean() / error) > 30
    assert found[1, 500:-500].square().mean().sqrt() < 0.01 and found.shape == tones.shape


def test_silence_stays_silent():
    for law in ('mu', 'linear'):
        assert coded(torch.zeros(1, 800), CodecStep(law=law), [8]).abs().max() == 0


def test_a_rate_not_below_the_features_keeps_the_samples_where_they_are():
    samples = torch.rand(1, 300) - 0.5
    assert torch.equal(coded(samples, CodecStep(), [8], rate=8000), quantised(samples, torch.tensor([8]), 'mu'))
