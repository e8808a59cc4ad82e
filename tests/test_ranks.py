"""Two ranks under torchrun against one process: the same global batches, equal weights, every clip once."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch

from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS

ROOT = Path(__file__).resolve().parent.parent
BN_HEAD = ['model.head={kind: mlp_bn, hidden: 16}', 'training.epochs=2', 'data.workers=1']


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


def launch(ranks, *command):
    done = subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', str(ranks),
                           '--rdzv-backend', 'c10d', '--rdzv-endpoint', 'localhost:0', *map(str, command)],
                          cwd=ROOT, capture_output=True, text=True, timeout=300,
                          env=os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr[-3000:]


def probed(shards, folder, ranks, *assignments):
    folder.mkdir()
    report = folder / 'report.json'
    launch(ranks, 'tests/rank_probe.py', shards, folder / 'run', report, *ASSIGNMENTS, *BN_HEAD, *assignments)
    return json.loads(report.read_text())


@pytest.mark.slow
def test_global_batches_are_one_processes_and_weights_equal_on_both_ranks(shards, tmp_path):
    alone, = probed(shards, tmp_path / 'one', 1)
    first, second = probed(shards, tmp_path / 'two', 2)
    # Rank r holds batch[r::2]: interleaved, the two are the batch of one process.
    together = [[row for pair in zip(a, b, strict=True) for row in pair]
                for a, b in zip(first['ids'], second['ids'], strict=True)]
    assert together == alone['ids']
    assert first['weights'] == second['weights']


@pytest.mark.slow
def test_filters_that_learn_get_the_gradients_of_both_ranks(shards, tmp_path):
    # Each rank hears other clips: filters that were not averaged would drift apart.
    first, second = probed(shards, tmp_path / 'two', 2, 'features.mel.trainable=true', 'training.optimizer.lr=0.01')
    assert first['weights'] == second['weights']
    weights = safetensors.torch.load_file(tmp_path / 'two' / 'run' / 'best.safetensors')
    learned = weights['network.filters.mel']
    inside = learned != 0
    assert learned.shape == (32, 257) and inside.any() and (learned[inside].abs() < 1).any()
    peaks = learned.amax(dim=1)
    assert (peaks[peaks > 0] != 1).any()


def test_the_command_under_torchrun_predicts_every_test_clip_once(shards, tmp_path):
    out = tmp_path / 'run'
    # No buffer in the network: nothing but the barrier makes rank 1 wait for the weights that rank 0 writes.
    launch(2, '-m', 'ser.train', '--shards', shards, '--out', out, '--set', *ASSIGNMENTS, 'training.patience=1',
           'model.head={kind: mlp_ln, hidden: 16}', 'data.workers=1', 'training.accumulate=2')
    with open(out / 'split.csv', newline='') as file:
        test = sorted(row['key'] for row in csv.DictReader(file) if row['part'] == 'test')
    with open(out / 'predictions.csv', newline='') as file:
        assert sorted(row['key'] for row in csv.DictReader(file)) == test
    assert (out / 'confusion_matrix.png').is_file()
