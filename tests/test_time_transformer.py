"""Transformer layers over frames against torch's own encoder, and their masks."""

import math

import pytest
import torch
from torch import nn

from ser.config.moe import ExpertTransformer
from ser.errors import SerError
from ser.models.masked import frame_mask
from ser.models.time_transformer import TimeLayer, TimeTransformer, sinusoids


def tiny(layers=2):
    return ExpertTransformer(layers=layers, heads=2, feedforward=12, dropout=0.0)


def torchs(layer, width, heads, inner):
    """torch's encoder layer with the weights of a TimeLayer."""
    other = nn.TransformerEncoderLayer(width, heads, inner, 0.0, 'gelu', batch_first=True, norm_first=True)
    pairs = {'self_attn.in_proj_weight': layer.inner.weight, 'self_attn.in_proj_bias': layer.inner.bias,
             'self_attn.out_proj.weight': layer.outer.weight, 'self_attn.out_proj.bias': layer.outer.bias,
             'linear1.weight': layer.feed[0].weight, 'linear1.bias': layer.feed[0].bias,
             'linear2.weight': layer.feed[3].weight, 'linear2.bias': layer.feed[3].bias,
             'norm1.weight': layer.attention_norm.weight, 'norm1.bias': layer.attention_norm.bias,
             'norm2.weight': layer.feed_norm.weight, 'norm2.bias': layer.feed_norm.bias}
    other.load_state_dict(pairs)
    return other


def test_a_layer_is_torchs_pre_norm_layer():
    torch.manual_seed(0)
    layer, frames = TimeLayer(8, 2, 12, 0.0), torch.tensor([7, 3])
    for name, parameter in layer.named_parameters():
        # Norms start as the identity, which would hide one left out.
        nn.init.normal_(parameter, std=0.3 if 'norm' not in name else 1.0)
    x, mask = torch.randn(2, 7, 8), frame_mask(frames, 7)
    expected = torchs(layer, 8, 2, 12)(x, src_key_padding_mask=~mask)
    torch.testing.assert_close(layer(x, mask)[mask], expected[mask])


def test_positions_are_those_of_the_paper():
    found = sinusoids(5, 6)
    for place in range(5):
        for column in range(6):
            angle = place / 10000 ** (2 * (column // 2) / 6)
            assert found[place, column] == pytest.approx((math.sin, math.cos)[column % 2](angle), abs=1e-6)
    assert sinusoids(3, 5).shape == (3, 5)
    assert sinusoids(20000, 4).isfinite().all()


def test_positions_come_with_layers_and_only_once():
    x, mask = torch.randn(1, 4, 8), torch.ones(1, 4, dtype=torch.bool)
    assert torch.equal(TimeTransformer(tiny(0), 8, 'here')(x, mask), x)
    two = TimeTransformer(tiny(), 8, 'here')
    y = x + sinusoids(4, 8)
    for layer in two.layers:
        y = layer(y, mask)
    torch.testing.assert_close(two(x, mask), y)


def test_a_clip_is_the_same_alone_and_whatever_lies_beyond_it():
    model = TimeTransformer(tiny(), 8, 'here')
    x, frames = torch.randn(2, 9, 8), torch.tensor([9, 4])
    poisoned = x.masked_fill(~frame_mask(frames, 9)[..., None], 1e4)
    alone = model(x[1:, :4], frame_mask(frames[1:], 4))
    torch.testing.assert_close(model(poisoned, frame_mask(frames, 9))[1, :4], alone[0], atol=1e-5, rtol=1e-5)


def test_dropout_is_for_training():
    layer = TimeLayer(8, 2, 12, 0.5)
    x, mask = torch.randn(1, 4, 8), torch.ones(1, 4, dtype=torch.bool)
    assert not torch.equal(layer(x, mask), layer(x, mask))
    layer.eval()
    assert torch.equal(layer(x, mask), layer(x, mask))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(SerError, match='model.ssl_transformer.heads: 2 does not divide the width 9'):
        TimeTransformer(tiny(), 9, 'model.ssl_transformer')
    TimeTransformer(tiny(0), 9, 'here')
