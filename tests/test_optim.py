import io

import pytest
import torch
from torch import nn

from ser.config.optimizers import Adam, AdamW, PartOptimizers, RAdam
from ser.errors import SerError
from ser.training.optim import build_optimizers

KINDS = [Adam, RAdam, AdamW]


def parts():
    return {'cqt': list(nn.Linear(3, 3).parameters()), 'mel': list(nn.Linear(3, 3).parameters()), 'fusion': [],
            'head': list(nn.Linear(3, 2).parameters())}


LAYERS = ('encoder.front', 'encoder.layer.00', 'encoder.layer.01', 'encoder.layer.02', 'projector', 'head')
DEPTHS = {'encoder.front': 4, 'encoder.layer.00': 3, 'encoder.layer.01': 2, 'encoder.layer.02': 1}


def encoder():
    """Parts as an encoder of speech has them: its layers are parts of their own."""
    return {name: list(nn.Linear(2, 2).parameters()) for name in LAYERS}


def parameters_of(optimizer):
    return [p for group in optimizer.param_groups for p in group['params']]


def rates_by_part(optimizers, model):
    """part -> the rates its parameters learn at."""
    rate_of = {id(p): group['lr'] for optimizer in optimizers.values() for group in optimizer.param_groups
               for p in group['params']}
    return {name: {rate_of[id(p)] for p in parameters} for name, parameters in model.items()}


def test_one_optimiser_holds_every_parameter_once_and_decays_matrices_only():
    model = parts()
    optimizer = build_optimizers(AdamW(lr=0.1, weight_decay=0.3), model)['all']
    assert len(optimizer.param_groups) == 2
    assert len(parameters_of(optimizer)) == sum(len(p) for p in model.values())
    for group in optimizer.param_groups:
        for p in group['params']:
            assert group['weight_decay'] == (0.3 if p.ndim > 1 else 0.0)


def test_each_part_has_its_own_optimiser_and_the_rest_share_one():
    model = parts()
    built = build_optimizers(PartOptimizers(parts={'mel': RAdam(lr=0.5), 'cqt': Adam(lr=0.2)}), model)
    assert list(built) == ['mel', 'cqt', 'rest']
    assert type(built['mel']) is torch.optim.RAdam and type(built['cqt']) is torch.optim.Adam
    assert [id(p) for p in parameters_of(built['rest'])] == [id(p) for p in model['head']]
    assert built['mel'].param_groups[0]['lr'] == 0.5


def test_an_optimiser_takes_all_parts_that_begin_with_its_name_and_the_longest_name_counts():
    model = encoder()
    built = build_optimizers(PartOptimizers(parts={'encoder': AdamW(lr=0.1), 'encoder.layer.02': Adam(lr=0.2)},
                                            rest=Adam(lr=0.3)), model)
    assert rates_by_part(built, model) == {
        name: {rate} for name, rate in zip(LAYERS, (0.1, 0.1, 0.1, 0.2, 0.3, 0.3), strict=True)}


@pytest.mark.parametrize('kind', KINDS)
def test_tiers_by_the_longest_name_on_every_kind(kind):
    model = encoder()
    config = kind(lr=0.5, weight_decay=0.3, tiers={'encoder': 0.01, 'encoder.layer.02': 0.1, 'head': 2})
    optimizer = build_optimizers(config, model)['all']
    assert rates_by_part({'all': optimizer}, model) == {
        name: {0.5 * factor} for name, factor in zip(LAYERS, (0.01, 0.01, 0.01, 0.1, 1, 2), strict=True)}
    # A group for each tier, two where vectors are not decayed; every parameter once.
    assert len(optimizer.param_groups) == (8 if kind is AdamW else 4)
    assert sorted(map(id, parameters_of(optimizer))) == sorted(id(p) for own in model.values() for p in own)
    assert {group['tier'] for group in optimizer.param_groups} == {0.01, 0.1, 1.0, 2}
    for group in optimizer.param_groups:
        for p in group['params']:
            assert group['weight_decay'] == (0.3 if kind is not AdamW or p.ndim > 1 else 0.0)


def test_layers_learn_the_slower_the_deeper_and_tiers_multiply():
    model = encoder()
    built = build_optimizers(AdamW(lr=1.0, layer_decay=0.5, tiers={'encoder': 0.1}), model, DEPTHS)
    assert rates_by_part(built, model) == {
        name: {rate} for name, rate in zip(LAYERS, (0.1 / 16, 0.1 / 8, 0.1 / 4, 0.1 / 2, 1.0, 1.0), strict=True)}
    assert len(built['all'].param_groups) == 10


def test_tiers_inside_optimisers_of_parts():
    model = encoder()
    config = PartOptimizers(parts={'encoder': AdamW(lr=1.0, layer_decay=0.5, tiers={'encoder.front': 0.1})},
                            rest=Adam(lr=0.2, tiers={'projector': 0.5}))
    assert rates_by_part(build_optimizers(config, model, DEPTHS), model) == {
        'encoder.front': {0.1 / 16}, 'encoder.layer.00': {1 / 8}, 'encoder.layer.01': {1 / 4},
        'encoder.layer.02': {1 / 2}, 'projector': {0.1}, 'head': {0.2}}


def test_groups_come_in_one_order_and_a_saved_state_finds_its_own():
    config = AdamW(lr=0.1, layer_decay=0.7, tiers={'encoder.front': 0.5})

    def build():
        torch.manual_seed(0)
        model = encoder()
        flat = [p for parameters in model.values() for p in parameters]
        return flat, build_optimizers(config, model, DEPTHS)['all']

    def step(flat, optimizer):
        for number, p in enumerate(flat):
            p.grad = torch.full_like(p, 0.1 * (number + 1))
        optimizer.step()

    (whole, optimizer), buffer = build(), io.BytesIO()
    step(whole, optimizer)
    torch.save({'optimizer': optimizer.state_dict(), 'weights': [p.detach().clone() for p in whole]}, buffer)
    step(whole, optimizer)
    again, resumed = build()
    state = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    resumed.load_state_dict(state['optimizer'])
    with torch.no_grad():
        for p, value in zip(again, state['weights'], strict=True):
            p.copy_(value)
    step(again, resumed)
    assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))
    for one, other in zip(optimizer.param_groups, resumed.param_groups, strict=True):
        assert (one['lr'], one['tier'], one['weight_decay']) == (other['lr'], other['tier'], other['weight_decay'])


@pytest.mark.parametrize(('config', 'message'), [
    (PartOptimizers(parts={'mell': Adam()}),
     "optimizer.parts: the model has no part 'mell'. Parts: cqt, mel, fusion, head. Did you mean 'mel'"),
    (AdamW(tiers={'heat': 0.1}),
     "optimizer.tiers: the model has no part 'heat'. Parts: cqt, mel, fusion, head. Did you mean 'head'"),
    (AdamW(tiers={'me': 0.1}), "optimizer.tiers: the model has no part 'me'"),
    (PartOptimizers(parts={'mel': Adam(tiers={'cqt': 0.1})}),
     "optimizer.parts.mel.tiers: the model has no part 'cqt'. Parts: mel."),
    (PartOptimizers(rest=Adam(tiers={'tail': 0.1})), "optimizer.rest.tiers: the model has no part 'tail'"),
    (RAdam(layer_decay=0.9), 'optimizer.layer_decay: this model does not tell how deep its layers lie. Set it to 1')])
def test_what_the_model_lacks_is_refused(config, message):
    with pytest.raises(SerError, match=message):
        build_optimizers(config, parts())


def test_a_part_that_learns_nothing_may_be_named_and_a_model_that_learns_nothing_not_trained():
    assert build_optimizers(Adam(tiers={'fusion': 0.1}), parts())['all']
    assert list(build_optimizers(PartOptimizers(parts={'fusion': Adam()}), parts())) == ['rest']
    for config in (Adam(), PartOptimizers()):
        with pytest.raises(SerError, match='nothing of this model learns: every part of it is frozen'):
            build_optimizers(config, {'head': []})
