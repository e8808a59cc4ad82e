"""Experts: sizes by hand, clips alone and in a batch, what lies beyond a clip."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from ser.config.moe import ExpertTransformer, MoeConfig
from ser.models.experts import Readout, SpectralExpert, SslExpert

TINY = MoeConfig(width=6, channels=8, projection=8, attention_hidden=5,
                 ssl_transformer=ExpertTransformer(heads=2, feedforward=12),
                 spectral_transformer=ExpertTransformer(heads=2, feedforward=12))


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def linear(a, b):
    return a * b + b


def encoder_layer(width, inner):
    return 4 * linear(width, width) + linear(width, inner) + linear(inner, width) + 4 * width


def readout(inner, width):
    """Score network, LayerNorm over mean and deviation, Linear."""
    return linear(inner, 128) + linear(128, 1) + 4 * inner + linear(2 * inner, width)


def test_sizes_are_those_of_the_document():
    expert = SslExpert(MoeConfig(), 768)
    assert parameters(expert) == linear(768, 256) + 2 * 256 + encoder_layer(256, 512) + readout(256, 256)
    spectral = SpectralExpert(MoeConfig(), 128)
    convolutions = 5 * (128 * 128 + 128 * 128)
    assert parameters(spectral) == convolutions + 2 * 128 + encoder_layer(128, 512) + readout(128, 256)
    bare = MoeConfig(projection=None, spectral_transformer=ExpertTransformer(layers=0))
    assert parameters(SpectralExpert(bare, 12)) == 5 * (12 * 128 + 128 * 128) + 2 * 128 + readout(128, 256)
    assert parameters(SslExpert(bare, 64)) == encoder_layer(64, 512) + readout(64, 256)


def test_a_spectral_expert_by_hand():
    expert = SpectralExpert(TINY, 3).eval()
    x = torch.randn(1, 3, 11)
    y = x
    for weight in (expert.convolutions[0].weight, expert.convolutions[1].weight):
        y = functional.gelu(functional.conv1d(y, weight, stride=2, padding=2))
    assert y.shape == (1, 8, 3)
    y = functional.layer_norm(y.transpose(1, 2), (8,))
    vector, attention = expert(x, torch.tensor([11]))
    expected, weights = expert.readout(y, torch.tensor([3]))
    torch.testing.assert_close(vector, expected)
    torch.testing.assert_close(attention, weights)
    assert attention.sum().item() == pytest.approx(1) and vector.shape == (1, 6)


def test_a_readout_is_norm_linear_gelu_of_mean_and_deviation():
    model = Readout(TINY, ExpertTransformer(layers=0), 4, 'here')
    x = torch.randn(2, 5, 4)
    vector, weights = model(x, torch.tensor([5, 5]))
    mean = torch.einsum('bt,btd->bd', weights, x)
    deviation = (torch.einsum('bt,btd->bd', weights, x.square()) - mean.square() + 1e-5).sqrt()
    norm, outer, _ = model.outer
    torch.testing.assert_close(vector, functional.gelu(outer(norm(torch.cat([mean, deviation], 1)))))


@pytest.mark.parametrize('frames', [1, 2, 3, 4, 6, 9, 13])
def test_a_clip_is_the_same_alone_and_padded(frames):
    torch.manual_seed(frames)
    expert = SpectralExpert(TINY, 3).eval()
    x = torch.randn(2, 3, 16)
    x[1, :, frames:] = 0
    together, attention = expert(x, torch.tensor([16, frames]))
    alone, weights = expert(x[1:, :, :frames], torch.tensor([frames]))
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-5)
    assert weights.shape[1] == -(-frames // 4)
    torch.testing.assert_close(attention[1, :weights.shape[1]], weights[0], atol=1e-5, rtol=1e-5)
    assert not attention[1, weights.shape[1]:].any()


def test_hidden_states_beyond_the_clip_do_not_count():
    expert = SslExpert(TINY, 10).eval()
    states, frames = torch.randn(2, 9, 10), torch.tensor([9, 5])
    expected, _ = expert(states[1:, :5], frames[1:])
    states[1, 5:] = 1e4
    torch.testing.assert_close(expert(states, frames)[0][1:], expected, atol=1e-5, rtol=1e-5)


def test_a_projection_is_linear_norm_gelu():
    expert = SslExpert(TINY, 10)
    assert [type(layer).__name__ for layer in expert.project] == ['Linear', 'LayerNorm', 'GELU']
    plain = SslExpert(TINY.model_copy(update={'projection': None}), 10)
    assert isinstance(plain.project, nn.Identity) and plain.readout.pooling.width == 20
