"""Rates over time: pure functions of the step, held against torch's own schedulers."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, OneCycleLR

from ser.config.optimizers import Adam, AdamW, PartOptimizers, RAdam
from ser.config.schedules import (
    ConstantSchedule,
    CosineSchedule,
    OneCycleSchedule,
    PlateauSchedule,
    RestartsSchedule,
)
from ser.training.optim import build_optimizers
from ser.training.schedules import Schedule, rate_at


def parts():
    return {'mel': list(nn.Linear(3, 3).parameters()), 'head': list(nn.Linear(3, 2).parameters())}


def rates(config, lr, steps_per_epoch, epochs):
    return [rate_at(config, lr, step, steps_per_epoch, epochs) for step in range(epochs * steps_per_epoch)]


def torchs(make, lr, steps):
    """What a torch scheduler sets for each step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler, found = make(optimizer), []
    for step in range(steps):
        if step:
            optimizer.step()
            scheduler.step()
        found.append(optimizer.param_groups[0]['lr'])
    return found


def test_cosine_warms_up_and_ends_at_its_final_share():
    factors = rates(CosineSchedule(warmup_epochs=2, final=0.1), 1.0, 10, 10)
    assert factors[:20] == sorted(factors[:20]) and factors[0] > 0
    assert factors[20] == pytest.approx(1.0)
    assert factors[60] == pytest.approx(0.1 + 0.9 * 0.5)
    assert factors[99] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 79 / 80)))
    assert all(b <= a for a, b in itertools.pairwise(factors[20:]))


def test_constant_is_constant_after_its_warm_up():
    assert set(rates(ConstantSchedule(), 0.2, 3, 2)) == {0.2}
    warm = rates(ConstantSchedule(warmup_epochs=1), 1.0, 10, 3)
    assert warm[0] < 0.2 and warm[:11] == sorted(warm[:11]) and set(warm[10:]) == {1.0}


@pytest.mark.parametrize(('first', 'multiply', 'steps_per_epoch'), [(10, 1, 1), (2, 1, 7), (1, 2, 5), (3, 3, 2)])
def test_restarts_are_torchs(first, multiply, steps_per_epoch):
    steps = 40 * steps_per_epoch
    config = RestartsSchedule(first_epochs=first, multiply=multiply, min_lr=1e-6)
    expected = torchs(lambda optimizer: CosineAnnealingWarmRestarts(
        optimizer, T_0=first * steps_per_epoch, T_mult=multiply, eta_min=1e-6), 1e-3, steps)
    assert rates(config, 1e-3, steps_per_epoch, 40) == pytest.approx(expected, rel=1e-9)


def test_restarts_after_a_warm_up_come_back_to_the_full_rate_and_stay_above_the_floor():
    config = RestartsSchedule(first_epochs=1.5, multiply=1.5, warmup_epochs=1, final=0.1)
    found = rates(config, 2.0, 10, 12)
    assert found[:10] == sorted(found[:10]) and found[9] < 2.0
    # Half cosines of 15, 22, 34 and 51 steps: 15 times 1.5, 2.25 and 3.375, to whole steps.
    peaks = [step for step, rate in enumerate(found) if rate == 2.0]
    assert peaks == [10, 25, 47, 81] and min(found[10:]) > 0.2
    assert all(b < a for start, end in itertools.pairwise(peaks) for a, b in itertools.pairwise(found[start:end]))
    # The higher floor holds, and none lifts a rate above its own.
    lowest = min(rates(RestartsSchedule(first_epochs=1, final=0.1, min_lr=0.5), 2.0, 100, 1))
    assert lowest == pytest.approx(0.5, abs=1e-3)
    assert set(rates(RestartsSchedule(first_epochs=1, min_lr=1e-6), 1e-7, 10, 2)) == {1e-7}


def test_cycles_shorter_than_a_step_are_one_step():
    assert rates(RestartsSchedule(first_epochs=0.01), 1.0, 10, 1) == [1.0] * 10
    assert rates(RestartsSchedule(first_epochs=0.01, multiply=2), 1.0, 10, 1)[0] == 1.0


@pytest.mark.parametrize(('rise', 'steps_per_epoch', 'epochs'), [(0.3, 10, 7), (0.5, 1, 20), (0.1, 13, 3)])
def test_one_cycle_is_torchs(rise, steps_per_epoch, epochs):
    total = steps_per_epoch * epochs
    expected = torchs(lambda optimizer: OneCycleLR(optimizer, max_lr=0.02, total_steps=total, pct_start=rise,
                                                   cycle_momentum=False), 0.02, total)
    assert rates(OneCycleSchedule(rise=rise), 0.02, steps_per_epoch, epochs) == pytest.approx(expected, rel=1e-9)


def test_one_cycle_of_few_steps_stays_between_its_ends():
    for epochs in (1, 2, 3):
        found = rates(OneCycleSchedule(), 1.0, 1, epochs)
        assert all(4e-6 <= rate <= 1 for rate in found) and max(found) == pytest.approx(1.0)


def test_schedule_sets_every_group_from_its_own_rate():
    optimizers = build_optimizers(PartOptimizers(parts={'mel': RAdam(lr=0.5)}, rest=Adam(lr=0.2)), parts())
    schedule = Schedule(CosineSchedule(warmup_epochs=0), optimizers, 10, 2)
    schedule.before_step(10)
    assert optimizers['mel'].param_groups[0]['lr'] == pytest.approx(0.25)
    assert optimizers['rest'].param_groups[0]['lr'] == pytest.approx(0.1)
    schedule.before_step(0)
    assert schedule.rate() == pytest.approx(0.5)
    assert schedule.rates() == {'lr': 0.5, 'lr/mel/x1': 0.5, 'lr/rest/x1': 0.2}


def test_the_rate_that_is_logged_is_that_of_the_highest_tier():
    optimizers = build_optimizers(AdamW(lr=0.5, tiers={'mel': 0.1}), parts())
    schedule = Schedule(CosineSchedule(warmup_epochs=0), optimizers, 10, 2)
    schedule.before_step(10)
    assert schedule.rate() == pytest.approx(0.25)
    assert schedule.rates() == pytest.approx({'lr': 0.25, 'lr/x0.1': 0.025, 'lr/x1': 0.25})
    plain = Schedule(ConstantSchedule(), build_optimizers(AdamW(lr=0.5), parts()), 10, 2)
    assert plain.rates() == {'lr': 0.5}


def test_plateau_cuts_after_patience_and_its_state_survives():
    def build():
        optimizers = build_optimizers(Adam(lr=1.0), parts())
        return optimizers, Schedule(PlateauSchedule(factor=0.1, patience=1, min_lr=0.05), optimizers, 10, 5)

    optimizers, schedule = build()
    schedule.before_step(7)
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


def test_plateau_cuts_every_tier():
    schedule = Schedule(PlateauSchedule(patience=0, min_lr=0.0), build_optimizers(
        Adam(lr=1.0, tiers={'mel': 0.1}), parts()), 10, 5)
    for loss in (1.0, 1.1):
        schedule.after_epoch(loss)
    assert schedule.rates() == pytest.approx({'lr': 0.1, 'lr/x0.1': 0.01, 'lr/x1': 0.1})
    assert rate_at(PlateauSchedule(), 0.3, 99, 10, 5) == 0.3
