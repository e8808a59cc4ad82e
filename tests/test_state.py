import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ser.config.training import Adam, PlateauSchedule
from ser.training.optim import build_optimizers
from ser.training.schedules import Schedule
from ser.training.state import Progress, restore, snapshot


def build():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    ema = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizers = build_optimizers(Adam(lr=0.1), {'all': list(network.parameters())})
    return network, ema, optimizers, Schedule(PlateauSchedule(patience=0), optimizers, 5, 3)


def step(network, ema, optimizers, schedule, seed):
    torch.manual_seed(seed)
    network(torch.randn(6, 3)).square().sum().backward()
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad()
    ema.update_parameters(network)
    schedule.after_epoch(float(seed))


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_restored_run_goes_on_exactly_as_the_one_that_never_stopped(tmp_path):
    whole = build()
    for seed in range(3):
        step(*whole, seed)
    state = snapshot(Progress(epoch=1, step=2, top=[[0.5, -1.0, 7]], counters={'bad': 1}), *whole, {'digest': 'x'})
    torch.save(state, tmp_path / 's.pt')
    again = build()
    progress = restore(torch.load(tmp_path / 's.pt', weights_only=True), *again)
    assert (progress.epoch, progress.step, progress.top, progress.counters) == (1, 2, [[0.5, -1.0, 7]], {'bad': 1})
    for seed in range(3, 6):
        step(*whole, seed)
        step(*again, seed)
    assert same(whole[0], again[0]) and same(whole[1], again[1])
    assert whole[3].rate() == again[3].rate()


def test_a_tie_in_ua_goes_to_the_lower_loss():
    progress = Progress(best_score=0.5, best_loss=1.0)
    assert progress.improves(0.6, 2.0) and progress.improves(0.5, 0.9)
    assert not progress.improves(0.5, 1.0) and not progress.improves(0.4, 0.1)


def test_a_new_epoch_forgets_the_running_sums_and_keeps_the_best():
    progress = Progress(step=5, loss_sum=3.0, epoch_clips=9, best_score=0.7, global_step=12)
    progress.start_epoch(2)
    assert (progress.epoch, progress.step, progress.loss_sum, progress.epoch_clips) == (2, 0, 0.0, 0)
    assert (progress.best_score, progress.global_step) == (0.7, 12)
