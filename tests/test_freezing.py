import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ser.config.features import ImageConfig
from ser.config.model import LayerNormHead, MaxMVitConfig, MvitBackbone, TimmBackbone, ViewConfig
from ser.errors import SerError
from ser.models.backbones import build_backbone
from ser.models.freezing import freeze
from ser.models.maxmvit import build_network

WHERE = 'model.views.mel.backbone'
MVIT = MvitBackbone(depths=(1, 1, 1), embed_dim=(8, 16, 16), num_heads=(1, 2, 2))
MAXVIT = TimmBackbone(name='maxvit_pico_rw_256', pretrained=False, options={
    'depths': (1, 1, 1, 1), 'embed_dim': (8, 16, 16, 24), 'stem_width': (8, 8), 'transformer_dim_head': 8,
    'conv_expand_ratio': 2.0, 'transformer_expand_ratio': 2.0})
HEADED = MAXVIT.model_copy(update={'options': {**MAXVIT.options, 'head_hidden_size': 24}})


def timm_model(name, **options):
    return TimmBackbone(name=name, pretrained=False, options=options)


def build(config, last, size=64, **more):
    torch.manual_seed(0)
    return build_backbone(config.model_copy(update={'train_last': last}), size, 3, where=WHERE, **more)


def learning(module):
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def step(backbone, images, size=0.5):
    """One plain gradient step in training mode."""
    backbone.train()
    backbone.zero_grad()
    backbone(images).square().mean().backward()
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.grad is not None:
                parameter -= size * parameter.grad


# (backbone, image size, prefixes of each stage from the last one back, prefixes of what follows the stages)
MODELS = {
    'mvitv2': (MVIT, 64, ['stages.2', 'stages.1', 'stages.0'], ['norm']),
    'maxvit': (MAXVIT, 64, [f'stages.{i}' for i in (3, 2, 1, 0)], ['norm']),
    'maxvit_pre_logits': (HEADED, 64, [f'stages.{i}' for i in (3, 2, 1, 0)], ['head']),
    'vit': (timm_model('test_vit'), 160, [f'blocks.{i}' for i in range(5, -1, -1)], ['norm']),
    'efficientnet': (timm_model('test_efficientnet'), 96, [f'blocks.{i}' for i in range(4, -1, -1)],
                     ['conv_head', 'bn2']),
    'resnet': (timm_model('test_resnet'), 96, [f'layer{i}' for i in (4, 3, 2, 1)], []),
    'swin': (timm_model('swin_s3_tiny_224', depths=(1, 1, 1, 1), embed_dim=12), 224,
             [f'layers.{i}' for i in (3, 2, 1, 0)], ['norm']),
}


@pytest.mark.parametrize('kind', MODELS)
def test_the_last_stages_and_what_follows_them_learn(kind):
    config, size, stages, after = MODELS[kind]
    everything = learning(build(config, None, size))
    assert learning(build(config, 0, size)) == set()
    for last in (1, 2, len(stages)):
        backbone = build(config, last, size)
        prefixes = tuple(f'body.{prefix}.' for prefix in stages[:last] + after)
        found = learning(backbone)
        assert found == {name for name in everything if name.startswith(prefixes)}
        assert found < everything
        assert any(name.startswith(f'body.{stages[last - 1]}.') for name in found)
        assert all(any(name.startswith(f'body.{prefix}.') for name in found) for prefix in after)


@pytest.mark.parametrize('last', [0, 1, 3])
@pytest.mark.parametrize('kind', ['maxvit', 'efficientnet', 'vit'])
def test_a_training_step_moves_what_learns_and_nothing_else(kind, last):
    config, size, stages, after = MODELS[kind]
    backbone = build(config, last, size)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    if last:
        step(backbone, torch.randn(4, 3, size, size))
    else:
        assert not backbone.train()(torch.randn(4, 3, size, size)).requires_grad
    moved = {name for name, tensor in backbone.state_dict().items() if not torch.equal(tensor, before[name])}
    prefixes = tuple(f'body.{prefix}.' for prefix in (stages[:last] + after if last else []))
    assert all(name.startswith(prefixes) for name in moved)
    assert learning(backbone) - moved <= {'body.' + name for name in ('blocks.5.attn.qkv.bias',)}
    statistics = {name for name in before if name.endswith('running_mean') and name.startswith(prefixes)}
    assert not prefixes or statistics <= moved


def test_what_is_fixed_stays_in_eval_mode_and_the_rest_follows():
    backbone = build(MAXVIT.model_copy(update={'drop_path': 0.5}), 2)
    for mode in (True, False, True):
        backbone.train(mode)
        body = backbone.body
        assert body.training is mode
        for part, trains in ((body.stem, False), (body.stages[0], False), (body.stages[1], False),
                             (body.stages[2], mode), (body.stages[3], mode), (body.norm, mode)):
            assert {module.training for module in part.modules()} == {trains}


def test_dropout_ahead_of_the_fixed_blocks_is_off_and_behind_them_on():
    backbone = build(timm_model('test_vit', pos_drop_rate=0.5, drop_rate=0.5), 1, 160).train()
    assert not backbone.body.pos_drop.training
    assert not backbone.body.patch_embed.training
    assert backbone.body.head_drop.training
    assert backbone.body.blocks[5].training and not backbone.body.blocks[4].training


def test_drop_path_acts_only_where_something_learns():
    images = torch.randn(4, 3, 64, 64)
    for last, acts in ((0, False), (1, True), (None, True)):
        backbone = build(MVIT.model_copy(update={'drop_path': 0.9}), last).train()
        assert torch.equal(backbone(images), backbone(images)) is not acts


@pytest.mark.parametrize('as_tokens', [False, True])
def test_gradients_are_those_of_the_whole_and_the_state_is_the_same(as_tokens):
    whole, last = build(MVIT, None, as_tokens=as_tokens), build(MVIT, 1, as_tokens=as_tokens)
    assert all(torch.equal(tensor, last.state_dict()[name]) for name, tensor in whole.state_dict().items())
    assert list(whole.state_dict()) == list(last.state_dict())
    images = torch.randn(2, 3, 64, 64)
    for backbone in (whole, last):
        backbone(images).square().mean().backward()
    expected = dict(whole.named_parameters())
    for name, parameter in last.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, expected[name].grad)


def test_recomputation_leaves_the_fixed_statistics_alone():
    plain, recomputed = build(MAXVIT, 2), build(MAXVIT, 2)
    recomputed.set_gradient_checkpointing(True)
    images = torch.randn(4, 3, 64, 64)
    for _ in range(2):
        step(plain, images)
        step(recomputed, images)
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(recomputed.state_dict()[name], tensor, msg=name)


def test_weights_of_a_file_are_fixed_as_well(tmp_path):
    file = tmp_path / 'weights.safetensors'
    save_file({name: tensor + 1 for name, tensor in build(MVIT, None).body.state_dict().items()}, file)
    backbone = build(MVIT.model_copy(update={'weights': str(file)}), 1)
    assert learning(backbone) == learning(build(MVIT, 1)) != set()
    torch.testing.assert_close(backbone.body.norm.bias.detach(), torch.ones(16))
    assert not backbone.train().body.stages[0].training


@pytest.mark.parametrize('last', [0, 1])
def test_a_network_of_fixed_backbones_trains_what_its_parts_list(last):
    """Each listed parameter has a gradient, as DDP wants, and no other has."""
    views = {name: ViewConfig(backbone=backbone.model_copy(update={'train_last': last}))
             for name, backbone in (('cqt', MAXVIT), ('mel', MVIT))}
    torch.manual_seed(0)
    network = build_network(MaxMVitConfig(views=views, head=LayerNormHead(hidden=8)), ImageConfig(size=64), 3).train()
    parts = network.parts()
    assert list(parts) == ['cqt', 'mel', 'fusion', 'head']
    assert bool(parts['cqt']) == bool(parts['mel']) == bool(last)
    network({name: torch.randn(4, 3, 64, 64) for name in views}).logits.square().sum().backward()
    listed = {id(parameter) for part in parts.values() for parameter in part}
    assert listed == {id(parameter) for parameter in network.parameters() if parameter.grad is not None}
    assert not network.backbones['cqt'].body.stem.training and network.head.training


@pytest.mark.slow
def test_published_backbones_by_stage():
    views = {'cqt': ViewConfig(backbone=TimmBackbone(name='maxvit_base_tf_224', train_last=2)),
             'mel': ViewConfig(backbone=TimmBackbone(name='mvitv2_base', train_last=2))}
    with torch.device('meta'):
        network = build_network(MaxMVitConfig(views=views), ImageConfig(), 8, load_pretrained=False)
    for name, after in (('cqt', 'head.'), ('mel', 'norm.')):
        body = network.backbones[name].body
        assert learning(body) == {n for n, _ in body.named_parameters()
                                  if n.startswith(('stages.2.', 'stages.3.', after))}


@pytest.mark.parametrize(('config', 'last', 'message'), [
    (MVIT, 4, f'{WHERE}.train_last: MultiScaleVit has 3 stages, not 4. Allowed: null (train everything) and 0 to 3'),
    (MAXVIT, 9, f'{WHERE}.train_last: MaxxVit has 4 stages, not 9. Allowed: null (train everything) and 0 to 4')])
def test_more_stages_than_there_are(config, last, message):
    with pytest.raises(SerError) as error:
        build(config, last)
    assert str(error.value) == message


def test_a_model_whose_stages_are_not_told():
    body = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(SerError) as error:
        freeze(body, 1, WHERE)
    assert str(error.value) == (f'{WHERE}.train_last: timm does not tell the stages of Sequential. '
                                'Allowed: null (train everything) and 0 (train none of it)')
    assert freeze(body, 0, WHERE) == [body]
    assert not any(parameter.requires_grad for parameter in body.parameters())


def test_only_counts_are_taken():
    for wrong in (-1, True, 1.5):
        with pytest.raises(ValueError, match='train_last'):
            MvitBackbone(train_last=wrong)
