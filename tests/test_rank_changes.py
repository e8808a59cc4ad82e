"""A run whose number of ranks changes on the way: the same global batches, and the same loss where that is promised."""

import dataclasses
import signal

import pytest
import torch

from ser.config.load import load_config
from ser.config.presets import preset_names
from ser.training.distributed import World
from ser.training.job import prepare
from tests.driven import Driver
from tests.shard_factory import make_shards
from tests.test_kills import curve
from tests.test_train import arguments

SYSTEMS = [name for name in preset_names() if name.endswith('-tiny')]
SMALL = ['data.workers=0', 'data.audit=quick', 'training.epochs=2', 'training.batch_size=8']
# Nothing that depends on which clips share a micro-batch.
PLAIN = ['model.head={kind: mlp_ln, hidden: 16}', 'model.head.dropout=0', 'augment.mixup.alpha=0', 'data.audit=quick',
         'training.epochs=4', 'training.patience=null', 'training.optimizer.lr=0.001']


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


def batches(job, rank, ranks, start=(0, 0)):
    with dataclasses.replace(job, world=World(rank, ranks)).train_stream(start, workers=0) as stream:
        return [batch.ids.tolist() for batch in stream]


@pytest.mark.parametrize('system', [
    pytest.param(name, marks=[pytest.mark.slow] if name in ('maxmvit-tiny', 'moe-tiny') else []) for name in SYSTEMS])
def test_every_system_sees_the_same_clips_in_each_step_whatever_the_ranks(shards, system):
    job = prepare(load_config((system,), SMALL, {'--shards': ('data.shards', [str(shards)])}), World(),
                  torch.device('cpu'))
    alone, steps = batches(job, 0, 1), job.plan.steps_per_epoch
    assert len(alone) == 2 * steps > 4
    for start in ((0, 0), (0, 3), (1, 1)):
        for ranks in (2, 4):
            of_ranks = [batches(job, rank, ranks, start) for rank in range(ranks)]
            # Rank r holds batch[r::ranks].
            together = [[row for rows in zip(*step, strict=True) for row in rows]
                        for step in zip(*of_ranks, strict=True)]
            assert together == alone[start[0] * steps + start[1]:]


@pytest.mark.slow
def test_two_ranks_then_one_then_two_lose_what_one_loses(shards, tmp_path):
    with Driver(tmp_path / 'log') as driver:
        losses = tmp_path / 'alone', tmp_path / 'changing'
        assert driver(argv=arguments(shards, tmp_path / 'one', *PLAIN), losses=str(losses[0])) == [0]
        begin = arguments(shards, tmp_path / 'run', *PLAIN, 'training.checkpoint_steps=1')
        resume = ['--resume', str(tmp_path / 'run')]
        for argv, ranks, kill in ((begin, 2, 7), (resume, 1, 14), (resume, 2, None)):
            codes = driver(argv=argv, ranks=ranks, losses=str(losses[1]), kill=[kill, 'gradient'] if kill else None)
            assert codes[0] == (-signal.SIGKILL if kill else 0), driver.log.read_text()[-3000:]
    alone, changing = (curve(path) for path in losses)
    assert sorted(alone) == sorted(changing) == list(range(1, 21))
    # The sum so far of an epoch's clips: as many as its steps times the batch.
    apart = [abs(float.fromhex(first) - float.fromhex(second)) / (8 * ((step - 1) % 5 + 1))
             for step in alone for first in alone[step] for second in changing[step]]
    print(f'largest difference of the loss of a clip: {max(apart):.1e}')
    assert max(apart) < 1e-5
