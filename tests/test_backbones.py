import copy

import pytest
import torch

from ser.config.model import MvitBackbone, TimmBackbone
from ser.errors import SerError
from ser.models.backbones import build_backbone

WHERE = 'model.views.cqt.backbone'
MVIT = MvitBackbone(depths=(1, 1, 1), embed_dim=(8, 16, 16), num_heads=(1, 2, 2))
MAXVIT = TimmBackbone(name='maxvit_pico_rw_256', pretrained=False, options={
    'depths': (1, 1, 1, 1), 'embed_dim': (8, 16, 16, 24), 'stem_width': (8, 8), 'transformer_dim_head': 8,
    'conv_expand_ratio': 2.0, 'transformer_expand_ratio': 2.0})


def timm_model(name, **more):
    return TimmBackbone(name=name, pretrained=False, **more)


def build(config, size=64, channels=3, **more):
    torch.manual_seed(0)
    return build_backbone(config, size, channels, where=WHERE, **more)


@pytest.mark.parametrize(('config', 'size', 'width', 'tokens', 'token_width'), [
    (MAXVIT, 64, 24, 4, 24),
    (MVIT, 64, 16, 4, 16),
    (timm_model('test_vit'), 160, 64, 100, 64),
    (timm_model('test_efficientnet'), 96, 256, 9, 256),
    (timm_model('mobilenetv3_small_050'), 64, 1024, 4, 288),
    (timm_model('swin_s3_tiny_224', options={'depths': (1, 1, 1, 1), 'embed_dim': 12}), 224, 96, 49, 96),
], ids=['maxvit', 'mvitv2', 'vit', 'efficientnet', 'mobilenetv3', 'swin'])
def test_vectors_and_tokens(config, size, width, tokens, token_width):
    for channels in (1, 3):
        images = torch.randn(2, channels, size, size)
        vectors = build(config, size, channels)
        assert vectors.width == width
        assert vectors(images).shape == (2, width)
        maps = build(config, size, channels, as_tokens=True)
        assert maps.width == token_width
        assert maps(images).shape == (2, tokens, token_width)


@pytest.mark.parametrize('name', ['test_efficientnet', 'swin_s3_tiny_224'])
def test_tokens_run_row_by_row(name):
    """Tokens are the map's positions in reading order, whatever the library's axis order."""
    options = {'depths': (1, 1, 1, 1), 'embed_dim': 12} if name.startswith('swin') else {}
    size = 224 if options else 96
    backbone = build(timm_model(name, options=options), size, as_tokens=True).eval()
    images = torch.randn(2, 3, size, size)
    raw = backbone.body.forward_features(images)
    side = size // 32
    for row, column in ((0, 1), (1, 0), (2, 1)):
        expected = raw[:, row, column] if options else raw[:, :, row, column]
        torch.testing.assert_close(backbone(images)[:, row * side + column], expected)


@pytest.mark.parametrize('as_tokens', [False, True])
@pytest.mark.parametrize('config', [MAXVIT, MVIT, timm_model('mobilenetv3_small_050')],
                         ids=['maxvit', 'mvitv2', 'mobilenetv3'])
def test_every_parameter_that_learns_gets_a_gradient(config, as_tokens):
    """DDP refuses parameters that the output does not depend on."""
    backbone = build(config, as_tokens=as_tokens)
    backbone(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert [n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None] == []


def test_pooled_head_is_left_out_of_token_maps():
    config = MAXVIT.model_copy(update={'options': {**MAXVIT.options, 'head_hidden_size': 24}})
    vectors, maps = build(config), build(config, as_tokens=True)
    assert any('pre_logits' in name for name, _ in vectors.named_parameters())
    assert not any('head' in name for name, _ in maps.named_parameters())


def test_same_seed_same_weights():
    first, second = build(MAXVIT).state_dict(), build(MAXVIT).state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_drop_path_acts_in_training_only():
    for config in (MVIT.model_copy(update={'drop_path': 0.9}), MAXVIT.model_copy(update={'drop_path': 0.9})):
        backbone = build(config)
        images = torch.randn(2, 3, 64, 64)
        assert not torch.equal(backbone(images), backbone(images))
        backbone.eval()
        assert torch.equal(backbone(images), backbone(images))


def training_step(backbone, images):
    torch.manual_seed(1)
    backbone.zero_grad()
    backbone(images).square().mean().backward()
    gradients = {n: p.grad.clone() for n, p in backbone.named_parameters()}
    return gradients, {n: b.clone() for n, b in backbone.named_buffers()}


@pytest.mark.parametrize('config', [MAXVIT.model_copy(update={'drop_path': 0.3}), MVIT], ids=['maxvit', 'mvitv2'])
def test_gradient_checkpointing_changes_neither_gradients_nor_statistics(config):
    plain = build(config)
    recomputed = copy.deepcopy(plain)
    recomputed.set_gradient_checkpointing(True)
    copied = copy.deepcopy(recomputed)
    images = torch.randn(3, 3, 64, 64)
    for _ in range(2):
        expected = training_step(plain, images)
        for found in (training_step(recomputed, images), training_step(copied, images)):
            for numbers, wanted in zip(found, expected, strict=True):
                for name, tensor in wanted.items():
                    torch.testing.assert_close(numbers[name], tensor, msg=name)
    recomputed.set_gradient_checkpointing(False)
    assert recomputed.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(recomputed.eval()(images), plain.eval()(images))


def test_gradient_checkpointing_recomputes():
    backbone = build(MAXVIT)
    calls = []
    block = backbone.body.stages[0].blocks[0]
    block.register_forward_pre_hook(lambda *_: calls.append(1))
    for enable, times in ((False, 1), (True, 2)):
        backbone.set_gradient_checkpointing(enable)
        calls.clear()
        backbone(torch.randn(2, 3, 64, 64)).sum().backward()
        assert len(calls) == times


def test_gradient_checkpointing_where_timm_has_none():
    backbone = build(timm_model('test_vit'), 160)
    backbone.body.set_grad_checkpointing = None
    del backbone.body.set_grad_checkpointing
    backbone.body.__class__ = type('NoCheckpointing', (torch.nn.Module,), {})
    with pytest.raises(SerError, match='NoCheckpointing cannot recompute its activations'):
        backbone.set_gradient_checkpointing(True)


@pytest.mark.parametrize(('config', 'message'), [
    (timm_model('maxvit_base_tf_225'), r"backbone\.name: timm has no model 'maxvit_base_tf_225'\. Did you mean"),
    (timm_model('maxvit_base_tf_224.foo'), r'Invalid pretrained tag \(foo\).* Allowed: maxvit_base_tf_224\.in1k'),
    (timm_model('test_vit', options={'dephts': 3}), "timm refuses test_vit with these options .*'dephts'"),
    (timm_model('maxvit_pico_rw_256', options={'conv_ratio': 2}), "timm refuses maxvit_pico_rw_256 .*'ratio'"),
    (timm_model('maxvit_pico_rw_256', options={'depths': (1, 1)}), 'timm refuses maxvit_pico_rw_256 with'),
    (timm_model('test_vit', options={'img_size': 96}), "'img_size' is set by features.image.size, not here"),
    (timm_model('test_vit', options={'in_chans': 1}), "'in_chans' is set by features.image.channels, not here"),
    (MvitBackbone(depths=(1, 1)), r'backbone\.embed_dim: 4 stages, but depths has 2'),
    (MvitBackbone(num_heads=(1, 2)), r'backbone\.num_heads: 2 stages, but depths has 4'),
    (MvitBackbone(num_heads=(3, 2, 4, 6)), r'backbone\.num_heads: 3 does not divide the 16 channels of its stage'),
])
def test_refusals(config, message):
    with pytest.raises(SerError, match=message) as error:
        build(config)
    assert '\n' not in str(error.value)
    assert WHERE in str(error.value)


@pytest.mark.parametrize(('config', 'size', 'sizes'), [
    (MAXVIT, 244, '224, 256'), (MvitBackbone(), 244, '224, 256'), (timm_model('test_vit'), 150, '128, 160')])
def test_a_size_that_the_backbone_refuses_names_those_nearby(config, size, sizes):
    with pytest.raises(SerError) as error:
        build(config, size)
    message = str(error.value)
    assert message.startswith('features.image.size: ')
    assert f'({WHERE}) does not take {size} (' in message
    assert message.endswith(f'Sizes near it that it takes: {sizes}')
