"""Each fusion against its formula in plain numpy, with the module's own weights copied."""

import math

import numpy as np
import pytest
import torch

from ser.config.model import (
    AttnTokensFusion,
    ConcatFusion,
    CrossAttentionFusion,
    GatedChannelFusion,
    GatedScalarFusion,
    GmuFusion,
    HadamardFusion,
    LowRankBilinearFusion,
    SelfAttentionFusion,
)
from ser.errors import SerError
from ser.models.fusion import build_fusion, wants_tokens

PAIR_ONLY = [GatedScalarFusion(), GatedChannelFusion(), HadamardFusion(), LowRankBilinearFusion(), GmuFusion(),
             CrossAttentionFusion()]


def case(config, *shapes):
    """A fusion with random weights and the vectors (or maps) to fuse, as tensors and as float64 arrays."""
    torch.manual_seed(1)
    fusion = build_fusion(config, [shape[-1] for shape in shapes])
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    inputs = [torch.randn(3, *shape) for shape in shapes]
    weights = {name: tensor.double().numpy() for name, tensor in fusion.state_dict().items()}
    return fusion, inputs, weights, [x.double().numpy() for x in inputs]


def check(fusion, inputs, expected, **details):
    fused, found = fusion(inputs)
    assert fused.shape == (3, fusion.width)
    np.testing.assert_allclose(fused.detach().numpy(), expected, atol=2e-5)
    assert sorted(found) == sorted(details)
    for name, value in details.items():
        assert not found[name].requires_grad
        np.testing.assert_allclose(found[name].numpy(), value, atol=1e-5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def linear(x, w, name):
    return np.einsum('...i,oi->...o', x, w[f'{name}.weight']) + w[f'{name}.bias']


def layer_norm(x, w, name):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[f'{name}.weight'] + w[f'{name}.bias']


def attend(queries, context, w, name, heads):
    """Multi-head attention by its definition; (output, weights averaged over heads)."""
    width = queries.shape[-1]
    q, k, v = (np.einsum('bni,oi->bno', x, w[f'{name}.in_proj_weight'][i * width:(i + 1) * width])
               + w[f'{name}.in_proj_bias'][i * width:(i + 1) * width]
               for i, x in enumerate((queries, context, context)))
    q, k, v = (x.reshape(*x.shape[:2], heads, width // heads) for x in (q, k, v))
    scores = np.exp(np.einsum('bnhd,bmhd->bhnm', q, k) / math.sqrt(width // heads))
    weights = scores / scores.sum(-1, keepdims=True)
    mixed = np.einsum('bhnm,bmhd->bnhd', weights, v).reshape(queries.shape)
    return linear(mixed, w, f'{name}.out_proj'), weights.mean(1)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def feed(x, w, name):
    return linear(gelu(linear(x, w, f'{name}.0')), w, f'{name}.3')


def encode(x, w, name, heads):
    """A pre-norm Transformer encoder layer; (output, weights averaged over heads)."""
    normed = layer_norm(x, w, f'{name}.attention_norm')
    attended, weights = attend(normed, normed, w, f'{name}.attention', heads)
    x = x + attended
    return x + feed(layer_norm(x, w, f'{name}.feed_norm'), w, f'{name}.feed'), weights


def test_concat_takes_any_number_of_views():
    for shapes in ([(4,)], [(4,), (3,)], [(4,), (3,), (2,)]):
        fusion, inputs, _, arrays = case(ConcatFusion(), *shapes)
        check(fusion, inputs, np.concatenate(arrays, axis=1))


@pytest.mark.parametrize('mode', ['concat', 'sum'])
def test_gated_scalar(mode):
    fusion, inputs, w, (f1, f2) = case(GatedScalarFusion(mode=mode), (4,), (4,))
    a = sigmoid(linear(np.concatenate([f1, f2], 1), w, 'gate'))
    expected = np.concatenate([a * f1, (1 - a) * f2], 1) if mode == 'concat' else a * f1 + (1 - a) * f2
    check(fusion, inputs, expected, gate=a)
    assert a.shape == (3, 1)


def test_gated_scalar_concat_takes_unequal_widths():
    assert build_fusion(GatedScalarFusion(), (4, 3)).width == 7


@pytest.mark.parametrize('complementary', [True, False])
def test_gated_channel(complementary):
    fusion, inputs, w, (f1, f2) = case(GatedChannelFusion(complementary=complementary), (4,),
                                       (4,) if complementary else (3,))
    both = np.concatenate([f1, f2], 1)
    g1 = sigmoid(linear(both, w, 'first'))
    g2 = 1 - g1 if complementary else sigmoid(linear(both, w, 'second'))
    check(fusion, inputs, np.concatenate([g1 * f1, g2 * f2], 1), gate_1=g1, gate_2=g2)


@pytest.mark.parametrize('widths', [(8, 8), (8, 5), (8, 5, 8)])
def test_attention_over_view_tokens(widths):
    config = AttnTokensFusion(width=8, layers=2, heads=2, feedforward=12, dropout=0.0)
    fusion, inputs, w, vectors = case(config, *((n,) for n in widths))
    assert ('projections.1.weight' in w) == (widths[1] != 8)
    assert 'projections.0.weight' not in w
    x = np.stack([v if v.shape[1] == 8 else linear(v, w, f'projections.{i}') for i, v in enumerate(vectors)], 1)
    x = x + w['types']
    attention = []
    for i in range(2):
        x, weights = encode(x, w, f'layers.{i}', 2)
        attention.append(weights)
    check(fusion, inputs, x.reshape(3, -1), attention=np.stack(attention, 1))


def test_type_embedding_starts_at_zero_and_equals_torchs_encoder_layer():
    torch.manual_seed(0)
    fusion = build_fusion(AttnTokensFusion(width=8, heads=2, feedforward=12), (8, 8)).eval()
    assert not fusion.types.any()
    ours = fusion.layers[0]
    torchs = torch.nn.TransformerEncoderLayer(8, 2, 12, activation='gelu', batch_first=True, norm_first=True).eval()
    pairs = [(torchs.self_attn, ours.attention), (torchs.norm1, ours.attention_norm), (torchs.norm2, ours.feed_norm),
             (torchs.linear1, ours.feed[0]), (torchs.linear2, ours.feed[3])]
    for theirs, mine in pairs:
        theirs.load_state_dict(mine.state_dict())
    x = torch.randn(3, 2, 8)
    torch.testing.assert_close(fusion([x[:, 0], x[:, 1]])[0], torchs(x).flatten(1))


@pytest.mark.parametrize('mode', ['concat', 'prod'])
def test_hadamard(mode):
    fusion, inputs, w, (f1, f2) = case(HadamardFusion(width=5, mode=mode), (4,), (3,))
    p1, p2 = linear(f1, w, 'first'), linear(f2, w, 'second')
    check(fusion, inputs, p1 * p2 if mode == 'prod' else np.concatenate([p1, p2, p1 * p2], 1))


def test_lowrank_bilinear():
    fusion, inputs, w, (f1, f2) = case(LowRankBilinearFusion(rank=2, width=5), (4,), (3,))
    product = np.einsum('bi,ri,bj,rj->br', f1, w['first.weight'], f2, w['second.weight'])
    check(fusion, inputs, linear(product, w, 'outer'))


def test_gmu():
    fusion, inputs, w, (f1, f2) = case(GmuFusion(width=5), (4,), (3,))
    z1, z2 = np.tanh(linear(f1, w, 'first')), np.tanh(linear(f2, w, 'second'))
    g = sigmoid(linear(np.concatenate([z1, z2], 1), w, 'gate'))
    check(fusion, inputs, g * z1 + (1 - g) * z2, gate=g)


def look(x, context, w, name, norm):
    """One direction of cross-attention; (the looking view, weights averaged over heads)."""
    if norm == 'pre':
        context = layer_norm(context, w, f'{name}.context_norm')
        attended, weights = attend(layer_norm(x, w, f'{name}.query_norm'), context, w, f'{name}.attention', 2)
        x = x + attended
        return x + feed(layer_norm(x, w, f'{name}.feed_norm'), w, f'{name}.feed'), weights
    attended, weights = attend(x, context, w, f'{name}.attention', 2)
    x = layer_norm(x + attended, w, f'{name}.attention_norm')
    return layer_norm(x + feed(x, w, f'{name}.feed'), w, f'{name}.feed_norm'), weights


@pytest.mark.parametrize('norm', ['pre', 'post'])
@pytest.mark.parametrize('merge', ['concat', 'add', 'gated', 'project'])
def test_cross_attention(merge, norm):
    """The second view looks at the first as just updated."""
    config = CrossAttentionFusion(width=8, layers=2, heads=2, dropout=0.0, merge=merge, norm=norm)
    fusion, inputs, w, (a, b) = case(config, (5, 8), (4, 6))
    b = linear(b, w, 'projections.1')
    for i in range(2):
        a, first = look(a, b, w, f'first.{i}', norm)
        b, second = look(b, a, w, f'second.{i}', norm)
    a, b = a.mean(1), b.mean(1)
    details = {'attention_1': first, 'attention_2': second}
    expected = np.concatenate([a, b], 1)
    if merge == 'add':
        expected = a + b
    if merge == 'gated':
        details['gate'] = sigmoid(linear(expected, w, 'gate'))
        expected = details['gate'] * a + (1 - details['gate']) * b
    if merge == 'project':
        expected = gelu(layer_norm(linear(expected, w, 'project.0'), w, 'project.1'))
    check(fusion, inputs, expected, **details)
    assert first.shape == (3, 5, 4)


@pytest.mark.parametrize('shapes', [[(5, 8)], [(5, 8), (4, 6)], [(5, 8), (4, 6), (3, 4)]], ids=len)
def test_self_attention(shapes):
    fusion, inputs, w, maps = case(SelfAttentionFusion(layers=2, heads=2, dropout=0.0), *shapes)
    pooled, details = [], {}
    for view, x in enumerate(maps):
        for layer in range(2):
            x, details[f'attention_{view + 1}'] = encode(x, w, f'views.{view}.{layer}', 2)
        pooled.append(x.mean(1))
    check(fusion, inputs, np.concatenate(pooled, 1), **details)
    assert fusion.views[0][0].feed[0].out_features == 4 * 8


def test_self_attention_does_not_see_the_order_of_tokens_nor_other_views():
    fusion, (a, b), _, _ = case(SelfAttentionFusion(heads=2, dropout=0.0), (5, 8), (4, 6))
    fused = fusion([a, b])[0]
    torch.testing.assert_close(fusion([a.flip(1), b])[0], fused, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fusion([a, b + 1])[0][:, :8], fused[:, :8])


@pytest.mark.parametrize(('config', 'width'), [
    (ConcatFusion(), 1536), (GatedScalarFusion(), 1536), (GatedScalarFusion(mode='sum'), 768),
    (GatedChannelFusion(), 1536), (GatedChannelFusion(complementary=False), 1536), (AttnTokensFusion(), 1536),
    (HadamardFusion(), 2304), (HadamardFusion(mode='prod'), 768), (LowRankBilinearFusion(), 768), (GmuFusion(), 768),
    (CrossAttentionFusion(), 1536), (CrossAttentionFusion(merge='add'), 768),
    (CrossAttentionFusion(merge='gated'), 768), (CrossAttentionFusion(merge='project', norm='post'), 768),
    (SelfAttentionFusion(), 1536)])
def test_published_output_widths(config, width):
    with torch.device('meta'):
        assert build_fusion(config, (768, 768)).width == width


@pytest.mark.parametrize('config', [AttnTokensFusion(width=8, heads=2, dropout=0.5), HadamardFusion(dropout=0.5),
                                    LowRankBilinearFusion(dropout=0.5), CrossAttentionFusion(width=8, heads=2),
                                    CrossAttentionFusion(width=8, heads=2, norm='post', merge='project'),
                                    SelfAttentionFusion(heads=2)])
def test_dropout_acts_in_training_only(config):
    shape = (4, 8) if wants_tokens(config) else (8,)
    fusion, inputs, _, _ = case(config, shape, shape)
    assert not torch.equal(fusion(inputs)[0], fusion(inputs)[0])
    fusion.eval()
    torch.testing.assert_close(fusion(inputs)[0], fusion(inputs)[0], rtol=0, atol=0)


@pytest.mark.parametrize('config', PAIR_ONLY, ids=lambda config: config.kind)
@pytest.mark.parametrize('views', [1, 3])
def test_fusions_of_two_views_refuse_other_numbers(config, views):
    allowed = 'concat, self_attention' if views == 1 else 'concat, attn2token, self_attention'
    with pytest.raises(SerError) as error:
        build_fusion(config, (8,) * views)
    assert str(error.value) == (f"model.fusion: '{config.kind}' fuses two views, the model has {views}. "
                                f'Allowed for {views}: {allowed}')


def test_attention_tokens_refuse_a_single_view():
    with pytest.raises(SerError, match=r"fuses two or more views, the model has 1\. .* 1: concat, self_attention$"):
        build_fusion(AttnTokensFusion(), (8,))


@pytest.mark.parametrize(('config', 'remedy'), [(GatedScalarFusion(mode='sum'), 'mode: concat'),
                                                (GatedChannelFusion(), 'complementary: false')])
def test_equal_widths_are_asked_for(config, remedy):
    with pytest.raises(SerError, match=f'needs views of equal width, these are 8 and 6. .*{remedy}'):
        build_fusion(config, (8, 6))


@pytest.mark.parametrize('config', [AttnTokensFusion(width=10, heads=3), CrossAttentionFusion(width=10, heads=3),
                                    SelfAttentionFusion(heads=3)])
def test_heads_must_divide_the_width(config):
    with pytest.raises(SerError, match='heads 3 does not divide width 10'):
        build_fusion(config, (10, 10))
