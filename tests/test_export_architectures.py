"""Every kind of network that a config can name, small: as ONNX it says what it says in torch."""

import logging

import pytest

from ser.exporting.graph import to_onnx, trace
from ser.exporting.parity import onnx_function
from ser.exporting.system import ExportedSystem
from ser.training.task import Head
from tests.export_cases import NAMES, RATE, SSL, built, check
from tests.tiny import ASSIGNMENTS
from tests.tiny_encoder import WAVES, source

FACTS = {'summary': 'a test', 'output': 'probabilities'}
VIT = 'name: vit_base_patch16_224, options: {embed_dim: 16, depth: 1, num_heads: 2, patch_size: 8}'
BACKBONES = {'vit': VIT,
             'convnext': 'name: convnext_tiny, options: {depths: [1, 1, 1, 1], dims: [8, 8, 16, 16]}',
             'efficientnet': 'name: test_efficientnet',
             'maxvit': 'name: maxvit_pico_rw_256, options: {depths: [1, 1, 1, 1], embed_dim: [8, 8, 16, 16], '
                       'stem_width: [4, 4], transformer_dim_head: 8}'}
FUSIONS = ['{kind: gated_scalar}', '{kind: gated_scalar, mode: sum}', '{kind: gated_channel}',
           '{kind: attn2token, width: 16, heads: 2, feedforward: 16}', '{kind: hadamard, width: 16}',
           '{kind: lowrank_bilinear, rank: 8, width: 16}', '{kind: gmu, width: 16}',
           '{kind: cross_attention, width: 16, layers: 1, heads: 2}',
           '{kind: cross_attention, width: 16, layers: 1, heads: 2, norm: post, merge: gated}',
           '{kind: self_attention, heads: 2}']


def backbone(words):
    return f'{{backbone: {{kind: timm, pretrained: false, {words}}}}}'


def as_onnx(assignments, more=()):
    """(function of the ONNX model, the ExportedSystem) of a new model."""
    system = ExportedSystem(*built(assignments, more), Head('emotion', NAMES), 1.3)
    return onnx_function(to_onnx(trace(system, RATE), FACTS)), system


@pytest.mark.slow
@pytest.mark.parametrize('kind', BACKBONES)
def test_backbones(kind):
    check(*as_onnx(ASSIGNMENTS, ['features.image.size=64', f'model.views.mel={backbone(BACKBONES[kind])}']))


@pytest.mark.slow
@pytest.mark.parametrize('fusion', FUSIONS)
def test_fusions(fusion):
    views = [f'model.views.{name}={backbone(VIT)}' for name in ('mel', 'mfcc')]
    check(*as_onnx(ASSIGNMENTS, ['features.mfcc.coefficients=20', *views, f'model.fusion={fusion}']))


@pytest.mark.slow
@pytest.mark.parametrize('large', [False, True], ids=['group norm', 'layer norm'])
@pytest.mark.parametrize('family', WAVES)
def test_encoders(family, large, caplog):
    with caplog.at_level(logging.WARNING):
        check(*as_onnx(SSL, [f'model.encoder.source={source(family, large).model_dump_json()}']))
    assert not [record for record in caplog.records if record.name.startswith(('onnx', 'torch.onnx'))]


@pytest.mark.slow
@pytest.mark.parametrize('more', [['model.encoder.output=weighted', 'model.pooling=statistics'],
                                  ['model.encoder.train={kind: lora, rank: 2}', 'model.pooling=attention']])
def test_adapters_and_poolings(more):
    check(*as_onnx(SSL, more))
