"""Parameters and multiplications of a run's network, against counts by hand."""

import pytest
import torch
from torch import nn

from ser.config.load import load_config
from ser.models.contract import Output, SpeechModel
from ser.training import cost
from ser.training.cost import network_cost
from ser.training.rebuild import load_run
from tests.tiny_run import tiny_run  # noqa: F401


class Frames(nn.Module):
    """Five frames of eight samples; a front end whose own product must not be counted."""

    def forward(self, waveforms, lengths, draw=None):
        assert waveforms.shape == (1, 48000) and lengths.tolist() == [48000]
        return {'x': waveforms[:, :40].float().view(1, 5, 8) @ torch.eye(8)}


class Attending(nn.Module):
    """Attention of five queries to five keys, then a Linear layer and a convolution."""

    def __init__(self):
        super().__init__()
        self.linear, self.convolution = nn.Linear(8, 3), nn.Conv1d(5, 2, 3)

    def forward(self, views, mix=None):
        x = views['x'][:, None]
        x = nn.functional.scaled_dot_product_attention(x, x, x)[:, 0]
        return Output(self.linear(x)[:, 0] + self.convolution(x).sum(), {}, {})


def test_products_are_counted_once_without_the_front_end(monkeypatch):
    config = load_config(('base',), ['data.sample_rate=16000'])
    monkeypatch.setattr(cost, 'load_run', lambda run: (config, ('a', 'b', 'c'), SpeechModel(Frames(), Attending())))
    parameters, gmac = network_cost('run')
    assert parameters == 8 * 3 + 3 + 5 * 2 * 3 + 2
    attention, linear, convolution = 2 * 5 * 5 * 8, 5 * 8 * 3, 2 * 6 * 5 * 3
    assert gmac == pytest.approx((attention + linear + convolution) / 1e9)


def test_a_real_run_costs_its_layers_and_the_attention_between_them(tiny_run):  # noqa: F811
    parameters, gmac = network_cost(tiny_run.path)
    _, _, model = load_run(tiny_run.path)
    counted = []
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda m, _, out: counted.append(out.numel() * m.in_features))
        elif isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, _, out: counted.append(out.numel() * m.weight[0].numel()))
    model(torch.zeros(1, 48000, dtype=torch.int16), torch.tensor([48000]))
    assert parameters == sum(p.numel() for p in model.parameters())
    assert sum(counted) / 1e9 < gmac < 1.5 * sum(counted) / 1e9
