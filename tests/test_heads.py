import math

import numpy as np
import pytest
import torch

from ser.config.model import BatchNormHead, LayerNormHead, ResidualHead
from ser.errors import SerError
from ser.models.heads import build_head


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def numbers(module):
    return {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}


def linear(x, w, name):
    return x @ w[f'{name}.weight'].T + w[f'{name}.bias']


def layer_norm(x, w, name):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[f'{name}.weight'] + w[f'{name}.bias']


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def head_and_input(config, width=6, classes=3, batch=5):
    torch.manual_seed(0)
    head = build_head(config, width, classes)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return head, torch.randn(batch, width)


@pytest.mark.parametrize(('classes', 'last'), [(4, 2052), (8, 4104)])
def test_parameter_counts_of_the_published_heads(classes, last):
    head = build_head(BatchNormHead(), 1536, classes)
    counts = [parameters(layer) for layer in head.layers]
    assert counts == [786944, 1024, 0, 0, last]
    assert parameters(build_head(LayerNormHead(), 1536, classes)) == 786944 + 1024 + last
    assert parameters(build_head(ResidualHead(), 1536, classes)) == 786944 + 2 * (1024 + 512 * 513) + 1024 + last


def test_mlp_bn_is_linear_batchnorm_dropout_relu_linear():
    head, x = head_and_input(BatchNormHead(hidden=4, dropout=0.0))
    w, a = numbers(head), x.double().numpy()
    h = linear(a, w, 'layers.0')
    h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5) * w['layers.1.weight'] + w['layers.1.bias']
    expected = linear(np.maximum(h, 0), w, 'layers.4')
    np.testing.assert_allclose(head(x).detach().numpy(), expected, atol=1e-5)
    assert [type(layer).__name__ for layer in head.layers] == ['Linear', 'BatchNorm1d', 'Dropout', 'ReLU', 'Linear']


def test_mlp_ln():
    head, x = head_and_input(LayerNormHead(hidden=4, dropout=0.0))
    w = numbers(head)
    expected = linear(gelu(layer_norm(linear(x.double().numpy(), w, 'layers.0'), w, 'layers.1')), w, 'layers.4')
    np.testing.assert_allclose(head(x).detach().numpy(), expected, atol=1e-5)


def test_mlp_residual_ln():
    head, x = head_and_input(ResidualHead(hidden=4, dropout=0.0, blocks=3))
    w = numbers(head)
    h = linear(x.double().numpy(), w, 'inner')
    for i in range(3):
        h = h + linear(gelu(layer_norm(h, w, f'blocks.{i}.0')), w, f'blocks.{i}.3')
    np.testing.assert_allclose(head(x).detach().numpy(), linear(layer_norm(h, w, 'norm'), w, 'outer'), atol=1e-4)


@pytest.mark.parametrize('config', [BatchNormHead(dropout=0.5), LayerNormHead(dropout=0.5), ResidualHead(dropout=0.5)])
def test_dropout_acts_in_training_only(config):
    head, x = head_and_input(config)
    assert not torch.equal(head(x), head(x))
    head.eval()
    assert torch.equal(head(x), head(x))


def test_mlp_bn_refuses_a_training_batch_of_one():
    head, x = head_and_input(BatchNormHead())
    with pytest.raises(SerError, match=r"'mlp_bn' cannot train on a batch of 1 clip .*kind: mlp_ln"):
        head(x[:1])
    assert head.eval()(x[:1]).shape == (1, 3)
