"""Parameters and multiplications of a run's network, against counts by hand."""

import csv
import shutil

import pytest
import torch
from torch import nn

from ser.config.load import load_config
from ser.models.contract import Output, SpeechModel
from ser.training import cost
from ser.training.cost import network_cost, system_cost, training_speed
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


class Recurring(nn.Module):
    """A GRU over the five frames."""

    def __init__(self):
        super().__init__()
        self.gru, self.linear = nn.GRU(8, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, views, mix=None):
        return Output(self.linear(self.gru(views['x'])[0][:, -1]), {}, {})


def test_products_inside_a_gru_are_counted(monkeypatch):
    config = load_config(('base',), ['data.sample_rate=16000'])
    monkeypatch.setattr(cost, 'load_run', lambda run: (config, ('a', 'b', 'c'), SpeechModel(Frames(), Recurring())))
    _, gmac = network_cost('run')
    assert gmac == pytest.approx((5 * 3 * 4 * (8 + 4) + 4 * 3) / 1e9)


def test_speed_is_clips_over_seconds_of_all_epochs(tmp_path):
    (tmp_path / 'metrics.csv').write_text('epoch,clips_per_second,seconds\n1,10,2\n2,30,6\n')
    assert training_speed(tmp_path) == ((20 + 180) / 8, 8, 2)
    (tmp_path / 'metrics.csv').write_text('epoch,clips_per_second,seconds\n1,,\n')
    assert training_speed(tmp_path) == (None, 0, 1)
    (tmp_path / 'metrics.csv').write_text('epoch\n1\n')
    assert training_speed(tmp_path) == (None, 0, 1)


def test_a_system_is_what_one_of_its_runs_is(tiny_run, tmp_path):  # noqa: F811
    for name in ('seed-0', 'seed-1'):
        (tmp_path / name).mkdir()
        for file in ('config.yaml', 'labels.json', 'metrics.csv', 'best.safetensors', 'best.safetensors.sha256'):
            shutil.copy(tiny_run.path / file, tmp_path / name)
    one, both = system_cost(tiny_run.path), system_cost(tmp_path)
    assert one['system'] == 'maxmvit, mel: mvitv2' and one['runs'] == 1 and both['runs'] == 2
    assert (one['parameters'], one['gmac']) == network_cost(tiny_run.path)
    with open(tiny_run.path / 'metrics.csv', newline='') as file:
        epoch, = csv.DictReader(file)
    assert one['clips_per_second'] == pytest.approx(float(epoch['clips_per_second']))
    assert both['seconds'] == pytest.approx(2 * one['seconds']) and both['gmac'] == one['gmac']
    assert set(system_cost(tmp_path / 'nothing').values()) == {None}
