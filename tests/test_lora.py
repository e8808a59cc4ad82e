"""Low-rank updates: nothing at first, what the formula says, the same when merged."""

import pytest
import torch
from torch import nn

from ser.config.ssl import TrainLora
from ser.models.encoders import build_encoder
from ser.models.lora import LowRank, add_lora, merged_state
from tests.tiny_encoder import FAMILIES, batch, encoder_config, shaken


def test_an_update_is_scaled_up_times_down():
    update = LowRank(torch.zeros(3, 4), rank=2, alpha=6.0, dropout=0.0)
    weight = torch.randn(3, 4)
    assert torch.equal(update(weight), weight)
    with torch.no_grad():
        update.up.fill_(1.0)
    torch.testing.assert_close(update(weight), weight + 3.0 * torch.ones(3, 2) @ update.down)
    assert update(weight).requires_grad


def test_dropout_leaves_out_inputs_in_training_alone():
    torch.manual_seed(0)
    update = LowRank(torch.zeros(3, 50), rank=2, alpha=2.0, dropout=0.5)
    nn.init.ones_(update.up)
    columns = update(torch.zeros(3, 50)).abs().sum(dim=0)
    assert 10 < int((columns == 0).sum()) < 40
    assert (update.eval()(torch.zeros(3, 50)).abs().sum(dim=0) > 0).all()


def test_only_updates_learn_and_a_merged_layer_gives_the_same():
    torch.manual_seed(0)
    layer = nn.ModuleDict({'a': nn.Linear(4, 4), 'b': nn.Linear(4, 4)})
    plain = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    add_lora([layer], {'q': 'a', 'v': 'b'}, TrainLora(rank=1, targets=('q',)))
    assert [name for name, p in layer.named_parameters() if p.requires_grad] == [
        'a.parametrizations.weight.0.down', 'a.parametrizations.weight.0.up']
    shaken(layer)
    x, merged = torch.randn(2, 4), merged_state(layer)
    assert merged.keys() == plain.keys()
    torch.testing.assert_close(x @ merged['a.weight'].T + merged['a.bias'], layer['a'](x))
    assert not torch.allclose(merged['a.weight'], plain['a.weight'])
    assert torch.equal(merged['b.weight'], plain['b.weight'])


@pytest.mark.parametrize('family', FAMILIES)
def test_every_target_of_every_family_is_updated_and_merges(family):
    torch.manual_seed(0)
    every = ('q', 'k', 'v', 'out', 'feed_in', 'feed_out')
    encoder = build_encoder(encoder_config(family, train=TrainLora(rank=2, targets=every))).eval()
    plain, (waveform, samples) = build_encoder(encoder_config(family)).eval(), batch()
    with torch.no_grad():
        first = encoder(waveform, samples).frames
        shaken(encoder)
        updated = encoder(waveform, samples).frames
        plain.load_state_dict(merged_state(encoder))
        torch.testing.assert_close(plain(waveform, samples).frames, updated, rtol=0, atol=1e-5)
    assert (first - updated).abs().max() > 1e-3
