import copy
import time

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from ser.config.augment import MixupConfig
from ser.config.features import FeaturesConfig, ImageConfig
from ser.config.model import (
    AttnTokensFusion,
    BatchNormHead,
    ConcatFusion,
    CrossAttentionFusion,
    GatedChannelFusion,
    GatedScalarFusion,
    GmuFusion,
    HadamardFusion,
    LayerNormHead,
    LowRankBilinearFusion,
    MaxMVitConfig,
    MvitBackbone,
    ResidualHead,
    SelfAttentionFusion,
    TimmBackbone,
    ViewConfig,
)
from ser.config.schema import Config
from ser.errors import SerError
from ser.features.mixup import Mix, draw_mix
from ser.models import MODELS, build_model
from ser.models.maxmvit import build_network, features_of_views

NAMES = ('neutral', 'happy', 'sad')
MAXVIT = TimmBackbone(name='maxvit_pico_rw_256', pretrained=False, options={
    'depths': (1, 1, 1, 1), 'embed_dim': (8, 16, 16, 16), 'stem_width': (8, 8), 'transformer_dim_head': 8,
    'conv_expand_ratio': 2.0, 'transformer_expand_ratio': 2.0})
MVIT = MvitBackbone(depths=(1, 1, 1), embed_dim=(8, 16, 16), num_heads=(1, 2, 2))
PAIR = {'cqt': ViewConfig(backbone=MAXVIT), 'mel': ViewConfig(backbone=MVIT)}
SMALL = {'width': 16, 'heads': 2}


def network(views=PAIR, size=64, channels='replicate', classes=3, **model):
    torch.manual_seed(0)
    config = MaxMVitConfig(views=views, **{'head': LayerNormHead(hidden=8, dropout=0.0), **model})
    return build_network(config, ImageConfig(size=size, channels=channels), classes)


def images(names=('cqt', 'mel'), batch=4, channels=3, size=64):
    generator = torch.Generator().manual_seed(5)
    return {name: torch.randn(batch, channels, size, size, generator=generator) for name in names}


def count(parameters):
    return sum(p.numel() for p in parameters)


@pytest.mark.parametrize('fusion', [
    ConcatFusion(), GatedScalarFusion(mode='sum'), GatedChannelFusion(), AttnTokensFusion(**SMALL, feedforward=16),
    HadamardFusion(width=16), LowRankBilinearFusion(rank=4, width=16), GmuFusion(width=16),
    CrossAttentionFusion(**SMALL, layers=1, merge='gated'),
    CrossAttentionFusion(**SMALL, layers=1, merge='project', norm='post'), SelfAttentionFusion(heads=2)],
    ids=lambda fusion: fusion.kind)
def test_every_fusion_trains_every_parameter(fusion):
    model = network(fusion=fusion, head=ResidualHead(hidden=8))
    output = model(images())
    assert output.logits.shape == (4, 3)
    assert output.auxiliary == {}
    assert all(len(value) == 4 and not value.requires_grad for value in output.details.values())
    torch.nn.functional.cross_entropy(output.logits, torch.tensor([0, 1, 2, 0])).backward()
    parts = model.parts()
    assert list(parts) == ['cqt', 'mel', 'fusion', 'head']
    learning = [p for p in model.parameters() if p.requires_grad]
    assert sorted(id(p) for part in parts.values() for p in part) == sorted(map(id, learning))
    assert all(p.grad is not None for p in learning)


@pytest.mark.parametrize('channels', ['replicate', 'single', 'delta'])
def test_image_channels(channels):
    model = network(channels=channels)
    assert model(images(channels=1 if channels == 'single' else 3)).logits.shape == (4, 3)


def test_one_view_and_three_views():
    alone = network({'mel': ViewConfig(backbone=MVIT)})
    assert alone(images(['mel'])).logits.shape == (4, 3)
    attending = network({'mel': ViewConfig(backbone=MVIT)}, fusion=SelfAttentionFusion(heads=2))
    assert attending(images(['mel'])).details['attention_1'].shape == (4, 4, 4)
    views = {**PAIR, 'tone': ViewConfig(feature='chroma', backbone=MVIT)}
    three = network(views, fusion=AttnTokensFusion(**SMALL))
    assert list(three.parts()) == ['cqt', 'mel', 'tone', 'fusion', 'head']
    assert three(images(views)).details['attention'].shape == (4, 1, 3, 3)


def test_logits_are_head_of_fusion_of_the_backbones_in_view_order():
    model = network().eval()
    x = images()
    vectors = torch.cat([model.backbones['cqt'](x['cqt']), model.backbones['mel'](x['mel'])], 1)
    torch.testing.assert_close(model(x).logits, model.head(vectors))


def test_the_embedding_is_what_the_head_sees_with_its_gradient():
    model = network().eval()
    output = model(images())
    assert torch.equal(model.head(output.embedding), output.logits) and output.embedding.requires_grad


def test_mix_is_applied_to_every_view():
    model = network().eval()
    x = images()
    mix = Mix(torch.tensor([1, 0, 3, 2]), 0.3)
    mixed = {name: 0.3 * image + 0.7 * image[[1, 0, 3, 2]] for name, image in x.items()}
    torch.testing.assert_close(model(x, mix).logits, model(mixed).logits)


def test_clips_do_not_affect_each_other_in_evaluation():
    model = network(head=BatchNormHead(hidden=8)).eval()
    x = images()
    whole = model(x).logits
    alone = torch.cat([model({name: image[i:i + 1] for name, image in x.items()}).logits for i in range(4)])
    torch.testing.assert_close(alone, whole, atol=1e-5, rtol=1e-4)


def test_gradient_checkpointing_gives_the_same_gradients():
    plain = network(fusion=AttnTokensFusion(**SMALL), head=BatchNormHead(hidden=8))
    recomputed = copy.deepcopy(plain)
    recomputed.set_gradient_checkpointing(True)
    mix = Mix(torch.tensor([1, 0, 3, 2]), 0.3)
    for model in (plain, recomputed):
        torch.manual_seed(3)
        model(images(), mix).logits.square().sum().backward()
    pairs = zip(plain.named_parameters(), recomputed.parameters(), strict=True)
    for (name, parameter), other in pairs:
        torch.testing.assert_close(parameter.grad, other.grad, msg=name)
    for buffer, other in zip(plain.buffers(), recomputed.buffers(), strict=True):
        torch.testing.assert_close(buffer, other)


def published(**model):
    with torch.device('meta'):
        return build_network(MaxMVitConfig(**model), ImageConfig(), 8, load_pretrained=False)


def test_published_model():
    model = published()
    sizes = {name: count(part) for name, part in model.parts().items()}
    assert sizes == {'cqt': 118698708, 'mel': 50703744, 'fusion': 0, 'head': 786944 + 1024 + 4104}
    assert model.fusion.width == 1536


def config(tmp_model=None, **sections):
    model = tmp_model or MaxMVitConfig(views=PAIR, head=LayerNormHead(hidden=8))
    return Config(model=model, features=FeaturesConfig(image=ImageConfig(size=64)), **sections)


def test_build_model_from_audio_to_logits():
    assert 'maxmvit' in MODELS
    torch.manual_seed(0)
    model = build_model(config(), NAMES).eval()
    waveforms = torch.randint(-9999, 9999, (2, 8000), dtype=torch.int16)
    lengths = torch.tensor([8000, 6000])
    views = model.views(waveforms, lengths)
    assert {name: tuple(view.shape) for name, view in views.items()} == dict.fromkeys(('cqt', 'mel'), (2, 3, 64, 64))
    logits = model(waveforms, lengths)
    assert logits.shape == (2, 3)
    torch.testing.assert_close(logits, model.classify(views).logits)
    assert list(model.parts()) == ['cqt', 'mel', 'fusion', 'head']


def test_same_seed_same_model_and_a_run_is_rebuilt_without_weights_of_its_own(monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    torch.manual_seed(0)
    first = build_model(config(), NAMES)
    torch.manual_seed(0)
    second = build_model(config(), NAMES)
    state = first.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in second.state_dict().items())
    wanting = TimmBackbone(name='test_vit', weights='moved-away.safetensors')
    elsewhere = config(MaxMVitConfig(views={'mel': ViewConfig(backbone=wanting)}))
    elsewhere = elsewhere.model_copy(update={'features': FeaturesConfig(image=ImageConfig(size=160))})
    with pytest.raises(SerError, match=r'no such file: moved-away\.safetensors'):
        build_model(elsewhere, NAMES)
    build_model(elsewhere, NAMES, load_pretrained=False)


def test_missing_weights_fail_before_anything_is_built(monkeypatch, tmp_path):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    start = time.monotonic()
    with pytest.raises(SerError, match=r'maxvit_base_tf_224.* Set model\.views\.cqt\.backbone\.pretrained: false'):
        build_model(Config(), NAMES)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(('views', 'message'), [
    ({'cqt': None, 'mel': None}, 'model.views: every view is null; at least one is needed'),
    ({'left': ViewConfig(backbone=MVIT)}, "model.views.left.feature: 'left' is no feature; say which one this view "
                                          'sees: cqt, mel, mfcc, chroma'),
    ({'head': ViewConfig(feature='mel')}, "model.views: 'head' cannot name a view. Take a plain word other than "
                                          'fusion, head, front_end'),
    ({'a.b': ViewConfig(feature='mel')}, "model.views: 'a.b' cannot name a view. Take a plain word other than "
                                         'fusion, head, front_end'),
    ({'keys': ViewConfig(feature='mel')}, "model.views: 'keys' cannot name a view. Take a plain word other than "
                                          'fusion, head, front_end'),
])
def test_views_that_cannot_be(views, message):
    with pytest.raises(SerError) as error:
        features_of_views(MaxMVitConfig(views=views))
    assert str(error.value) == message


def test_null_removes_a_view_and_a_lone_view_has_no_pair_to_fuse():
    views = {'cqt': None, 'mel': ViewConfig(backbone=MVIT)}
    assert features_of_views(MaxMVitConfig(views=views)) == {'mel': 'mel'}
    with pytest.raises(SerError, match="'gmu' fuses two views, the model has 1"):
        network(views, fusion=GmuFusion())


@pytest.fixture
def compiler():
    torch._dynamo.reset()
    yield torch.compile
    torch._dynamo.reset()


@pytest.mark.slow
def test_one_graph_serves_every_share_of_a_mix(compiler):
    counter = CompileCounter()
    compiled = compiler(network({'mel': ViewConfig(backbone=MVIT)}), backend=counter, fullgraph=True)
    compiled(images(['mel']))
    for step in range(4):
        compiled(images(['mel']), draw_mix(MixupConfig(alpha=1.0), torch.ones(4), 0, step, 0).to('cpu'))
    assert counter.frame_count == 2


@pytest.mark.slow
def test_compiled_recomputation_gives_the_same_gradients_and_statistics(compiler):
    short = MAXVIT.model_copy(update={'options': {**MAXVIT.options, 'depths': (1, 1), 'embed_dim': (8, 16)}})
    plain = network({'cqt': ViewConfig(backbone=short)}, head=BatchNormHead(hidden=8, dropout=0.0))
    recomputed = copy.deepcopy(plain)
    recomputed.set_gradient_checkpointing(True)
    compiled = compiler(recomputed, backend='aot_eager', fullgraph=True)
    for _ in range(2):
        for model in (plain, compiled):
            model.zero_grad()
            model(images(['cqt'])).logits.square().sum().backward()
        for (name, parameter), other in zip(plain.named_parameters(), recomputed.parameters(), strict=True):
            torch.testing.assert_close(other.grad, parameter.grad, msg=name)
        for (name, buffer), other in zip(plain.named_buffers(), recomputed.buffers(), strict=True):
            torch.testing.assert_close(other, buffer, msg=name)


@pytest.mark.slow
def test_published_model_takes_a_training_step():
    off = {name: ViewConfig(backbone=TimmBackbone(name=backbone, pretrained=False))
           for name, backbone in (('cqt', 'maxvit_base_tf_224'), ('mel', 'mvitv2_base'))}
    model = network(off, size=224, classes=8, head=BatchNormHead())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    loss = torch.nn.functional.cross_entropy(model(images(batch=2, size=224)).logits, torch.tensor([0, 5]))
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert any(not torch.equal(p, before[name]) for name, p in model.named_parameters())


@pytest.mark.slow
@pytest.mark.parametrize(('fusion', 'width', 'parameters'), [
    (CrossAttentionFusion(), 1536, 4 * 7_089_408), (AttnTokensFusion(), 1536, 7_087_872 + 2 * 768)])
def test_published_fusions_on_the_published_pair(fusion, width, parameters):
    model = published(fusion=fusion)
    assert model.fusion.width == width
    assert count(model.fusion.parameters()) == parameters
