import copy

import pytest
import torch
from torch import nn

from ser.models.contract import Output, SpeechModel


class MeanAndPeak(nn.Module):
    """A front end of two numbers; `learned` scales them by a tensor that learns."""

    def __init__(self, learned=False):
        super().__init__()
        self.learned, self.calls = learned, []

    def initial_filters(self):
        return {'scale': torch.ones(1)} if self.learned else {}

    def forward(self, waveforms, lengths, draw=None, filters=None):
        self.calls.append((lengths, draw))
        found = torch.stack([waveforms.float().mean(1), waveforms.float().amax(1)], 1)
        return {'pair': found if filters is None else found * filters['scale']}


class OneLayer(nn.Module):
    def __init__(self, forget=False):
        super().__init__()
        self.body, self.head = nn.Linear(2, 4), nn.Linear(4, 3)
        self.forget, self.mixes, self.checkpointing = forget, [], None

    def forward(self, views, mix=None):
        self.mixes.append(mix)
        return Output(self.head(self.body(views['pair'])), {}, {})

    def parts(self):
        parts = {'pair': list(self.body.parameters()), 'fusion': [], 'head': list(self.head.parameters())}
        return {**parts, 'head': parts['head'][:1]} if self.forget else parts

    def set_gradient_checkpointing(self, enable=True):
        self.checkpointing = enable


def batch():
    return torch.randint(-99, 99, (4, 10), dtype=torch.int16), torch.full((4,), 10)


def test_forward_is_views_then_classify_without_augmentation():
    model = SpeechModel(MeanAndPeak(), OneLayer())
    waveforms, lengths = batch()
    torch.testing.assert_close(model(waveforms, lengths), model.classify(model.views(waveforms, lengths)).logits)
    assert model.front_end.calls[0] == (lengths, None)
    assert model.network.mixes == [None, None]


def test_draw_and_mix_are_passed_on():
    model = SpeechModel(MeanAndPeak(), OneLayer())
    views = model.views(*batch(), draw='masks')
    output = model.classify(views, mix='partners')
    assert model.front_end.calls[0][1] == 'masks'
    assert model.network.mixes == ['partners']
    assert output._fields == ('logits', 'auxiliary', 'details', 'embedding', 'side_logits', 'penalties')
    assert output.logits.shape == (4, 3)


def test_views_carry_a_gradient_only_where_filters_learn():
    assert not SpeechModel(MeanAndPeak(), OneLayer()).views(*batch())['pair'].requires_grad
    learned = SpeechModel(MeanAndPeak(learned=True), OneLayer())
    assert learned.views(*batch())['pair'].requires_grad
    with torch.no_grad():
        assert not learned.views(*batch())['pair'].requires_grad
    assert not learned.requires_grad_(False).views(*batch())['pair'].requires_grad


def test_filters_are_the_networks_and_those_of_another_network_may_be_taken():
    model = SpeechModel(MeanAndPeak(learned=True), OneLayer())
    assert 'network.filters.scale' in model.state_dict() and not list(model.front_end.parameters())
    other = copy.deepcopy(model.network)
    other.filters['scale'].data.fill_(3.0)
    waveforms, lengths = batch()
    torch.testing.assert_close(model.views(waveforms, lengths, network=other)['pair'],
                               3 * model.views(waveforms, lengths)['pair'])


def test_no_graph_of_the_front_end_is_captured_where_filters_learn():
    plain, learned = (SpeechModel(MeanAndPeak(learns), OneLayer()) for learns in (False, True))
    plain.capture_views()
    learned.capture_views()
    assert plain.graphed is not None and learned.graphed is None


@pytest.mark.parametrize('learned', [False, True])
def test_parts_cover_every_parameter_once(learned):
    model = SpeechModel(MeanAndPeak(learned), OneLayer())
    parts = model.parts()
    assert list(parts) == ['pair', 'fusion', 'head'] + ['front_end'] * learned
    ids = [id(p) for part in parts.values() for p in part]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())


def test_frozen_parameters_are_in_no_part():
    model = SpeechModel(MeanAndPeak(learned=True), OneLayer())
    model.network.filters.requires_grad_(False)
    assert 'front_end' not in model.parts()


def test_a_network_that_forgets_a_parameter_is_caught():
    with pytest.raises(RuntimeError, match=r'OneLayer.parts\(\) lists 3 parameters \(3 distinct\) of 4'):
        SpeechModel(MeanAndPeak(), OneLayer(forget=True)).parts()


def test_gradient_checkpointing_reaches_the_network():
    model = SpeechModel(MeanAndPeak(), OneLayer())
    model.set_gradient_checkpointing(True)
    assert model.network.checkpointing is True
