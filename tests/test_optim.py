import itertools
import math

import pytest
import torch
from torch import nn

from ser.config.training import (
    Adam,
    AdamW,
    ConstantSchedule,
    CosineSchedule,
    PartOptimizers,
    PlateauSchedule,
    RAdam,
)
from ser.errors import SerError
from ser.training.optim import Schedule, build_optimizers, rate_factor


def parts():
    return {'cqt': list(nn.Linear(3, 3).parameters()), 'mel': list(nn.Linear(3, 3).parameters()), 'fusion': [],
            'head': list(nn.Linear(3, 2).parameters())}


def parameters_of(optimizer):
    return [p for group in optimizer.param_groups for p in group['params']]


def test_one_optimiser_holds_every_parameter_once_and_decays_matrices_only():
    model = parts()
    optimizer = build_optimizers(AdamW(lr=0.1, weight_decay=0.3), model)['all']
    assert len(parameters_of(optimizer)) == sum(len(p) for p in model.values())
    for group in optimizer.param_groups:
        for p in group['params']:
            assert group['weight_decay'] == (0.3 if p.ndim > 1 else 0.0)


def test_each_part_has_its_own_optimiser_and_the_rest_share_one():
    model = parts()
    built = build_optimizers(PartOptimizers(parts={'mel': RAdam(lr=0.5), 'cqt': Adam(lr=0.2)}), model)
    assert type(built['mel']) is torch.optim.RAdam and type(built['cqt']) is torch.optim.Adam
    assert [id(p) for p in parameters_of(built['rest'])] == [id(p) for p in model['head']]
    assert built['mel'].param_groups[0]['lr'] == 0.5


def test_a_part_the_model_lacks_is_refused():
    with pytest.raises(SerError, match="no part 'mell'. Parts: cqt, mel, fusion, head. Did you mean 'mel'"):
        build_optimizers(PartOptimizers(parts={'mell': Adam()}), parts())


def test_cosine_warms_up_and_ends_at_its_final_share():
    config = CosineSchedule(warmup_epochs=2, final=0.1)
    factors = [rate_factor(config, step, 10, 10) for step in range(100)]
    assert factors[:20] == sorted(factors[:20]) and factors[0] > 0
    assert factors[20] == pytest.approx(1.0)
    assert factors[60] == pytest.approx(0.1 + 0.9 * 0.5)
    assert factors[99] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 79 / 80)))
    assert all(b <= a for a, b in itertools.pairwise(factors[20:]))


def test_constant_is_constant_after_its_warm_up():
    assert rate_factor(ConstantSchedule(), 0, 10, 5) == 1.0
    assert rate_factor(ConstantSchedule(warmup_epochs=1), 0, 10, 5) < 0.2
    assert rate_factor(ConstantSchedule(warmup_epochs=1), 10, 10, 5) == 1.0


def test_schedule_sets_every_group_from_its_own_rate():
    optimizers = build_optimizers(PartOptimizers(parts={'mel': RAdam(lr=0.5)}, rest=Adam(lr=0.2)), parts())
    schedule = Schedule(CosineSchedule(warmup_epochs=0), optimizers, 10, 2)
    schedule.before_step(10)
    assert optimizers['mel'].param_groups[0]['lr'] == pytest.approx(0.25)
    assert optimizers['rest'].param_groups[0]['lr'] == pytest.approx(0.1)
    schedule.before_step(0)
    assert schedule.rate() == pytest.approx(0.5)


def test_plateau_cuts_after_patience_and_its_state_survives():
    def build():
        optimizers = build_optimizers(Adam(lr=1.0), parts())
        return optimizers, Schedule(PlateauSchedule(factor=0.1, patience=1, min_lr=0.05), optimizers, 10, 5)

    optimizers, schedule = build()
    for loss in (1.0, 1.1):
        schedule.after_epoch(loss)
    assert schedule.rate() == 1.0
    other_optimizers, other = build()
    other.load_state_dict(schedule.state_dict())
    for (group_of, each) in ((optimizers, schedule), (other_optimizers, other)):
        each.after_epoch(1.2)
        assert group_of['all'].param_groups[0]['lr'] == pytest.approx(0.1)
        for _ in range(4):
            each.after_epoch(1.3)
        assert each.rate() == pytest.approx(0.05)
