"""A step that is not finite: stopped before its update, or left out, and its batch kept, whatever ranks there are."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from ser.files import verifies
from ser.train import main
from ser.training import session
from tests.driven import ORDER, accidental
from tests.shard_factory import make_shards
from tests.test_ranks import launch
from tests.test_train import arguments, rows

BN = ['model.head={kind: mlp_bn, hidden: 16}', 'training.epochs=2', 'augment.mixup.alpha=0']


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


class Enough(Exception):
    pass


def train(monkeypatch, shards, out, order, *more, steps=None):
    """Exit code (None where `steps` were enough), and what the network held before and after each update."""
    held = []

    class Watched(accidental(order)):
        def settle(self):
            launched = self._update.launched
            # A step's own forward pass has changed the running means by now.
            before = {name: value.clone() for name, value in self.plain_network.named_parameters()}
            super().settle()
            if launched is not None:
                held.append((before, {name: value.clone() for name, value in self.plain_network.state_dict().items()}))
            if len(held) == steps:
                raise Enough

    monkeypatch.setattr(session, 'Trainer', Watched)
    try:
        return main(arguments(shards, out, *BN, *more)), held
    except Enough:
        return None, held


def test_a_loss_that_is_not_finite_stops_before_the_update_and_keeps_the_batch(shards, tmp_path, monkeypatch, capfd):
    out = tmp_path / 'run'
    code, held = train(monkeypatch, shards, out, {'nan': [3]}, 'data.workers=2', 'model.head.kind=mlp_ln')
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith('error:')]
    facts = json.loads((out / 'nonfinite' / 'step-000000003.json').read_text())
    assert code == 2 and len(said) == 1 and len(held) == 2
    batch, = facts['batches']
    assert (facts['epoch'], facts['step'], facts['loss']) == (1, 3, 'nan') and len(batch['keys']) == 8
    # Only the first clip is to blame, and the line says so.
    assert batch['finite'] == [False] + 7 * [True]
    assert 'epoch 1, step 3 (loss nan, gradient norm nan), and the step changed nothing. Clips of which the network ' \
           f'said NaN or infinity: {batch["keys"][0]}. They are kept in {out}/nonfinite/step-000000003' in said[0]
    assert '--set training.on_nonfinite=skip' in said[0]
    kept = out / 'nonfinite' / 'step-000000003.safetensors'
    tensors = load_file(kept)
    assert verifies(kept) and tensors['rank0.batch0.waveforms'].dtype == torch.int16
    assert tensors['rank0.batch0.logits'][0].isnan().all() and tensors['rank0.batch0.logits'][1:].isfinite().all()
    assert tensors['rank0.batch0.lengths'].tolist() and tensors['rank0.batch0.targets.emotion'].shape == (8,)
    assert not list(out.rglob('*.partial')) and not (out / 'test_metrics.json').exists()


@pytest.mark.slow
def test_what_stopped_goes_on_with_skip_and_left_out_steps_change_nothing(shards, tmp_path, monkeypatch, capfd):
    out, order = tmp_path / 'run', {'nan': [2, 3, 6]}
    assert train(monkeypatch, shards, out, order, 'training.checkpoint_steps=1')[0] == 2
    code = main(['--resume', str(out), '--set', 'training.on_nonfinite=skip'])
    said = capfd.readouterr().err
    assert code == 0 and said.count('left out: the loss is not finite') == 3 and '2 steps left out' in said
    assert [row['nonfinite_steps'] for row in rows(out / 'metrics.csv')] == ['2', '1']
    assert all(value.isfinite().all() for value in load_file(out / 'best.safetensors').values())
    assert len(list((out / 'nonfinite').glob('*.json'))) == 3


@pytest.mark.parametrize('accumulate', [1, 2])
def test_a_step_that_is_left_out_leaves_weights_running_means_and_average_alone(shards, tmp_path, monkeypatch,
                                                                                accumulate):
    more = ['training.on_nonfinite=skip', f'training.accumulate={accumulate}', 'training.clip_norm=null']
    _, held = train(monkeypatch, shards, tmp_path / 'run', {'nan': [2]}, *more, steps=3)
    (_, first), (before, second), (_, third) = held
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(before[name], second[name]) for name in before)
    assert any(not torch.equal(second[name], third[name]) for name in second)


@pytest.mark.slow
def test_too_many_left_out_stop_the_run_all_the_same(shards, tmp_path, capfd):
    more = ['training.on_nonfinite=skip', 'training.max_nonfinite=2', 'training.optimizer.lr=1e30']
    assert main(arguments(shards, tmp_path / 'run', *more)) == 2
    said = capfd.readouterr().err
    assert 'step 3 of this kind, more than training.max_nonfinite 2 allows' in said
    assert said.count('left out') == 2 and 'Traceback' not in said


def test_a_batch_that_cannot_be_kept_is_said_in_the_same_line(shards, tmp_path, monkeypatch, capfd):
    out = tmp_path / 'run'
    out.mkdir()
    (out / 'nonfinite').write_text('a file where the folder should be')
    assert train(monkeypatch, shards, out, {'nan': [1]})[0] == 2
    said, = (line for line in capfd.readouterr().err.splitlines() if line.startswith('error:'))
    assert 'They could not be kept:' in said and 'epoch 1, step 1' in said


@pytest.mark.slow
@pytest.mark.parametrize('wish', ['stop', 'skip'])
def test_ranks_decide_alike_when_the_clip_is_on_one_of_them(shards, tmp_path, monkeypatch, wish):
    out = tmp_path / 'run'
    order = {'nan': [2], 'rank': 1, 'argv': arguments(shards, out, *BN, f'training.on_nonfinite={wish}')}
    monkeypatch.setenv(ORDER, json.dumps(order))
    if wish == 'skip':
        launch(2, 'tests/driven.py')
        assert [row['nonfinite_steps'] for row in rows(out / 'metrics.csv')] == ['1', '0']
    else:
        done = subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '--rdzv-backend',
                               'c10d', '--rdzv-endpoint', 'localhost:0', 'tests/driven.py'], capture_output=True,
                              text=True, timeout=120)
        assert done.returncode != 0 and done.stderr.count('error: the loss is not finite') == 2
    facts = json.loads((out / 'nonfinite' / 'step-000000002.json').read_text())
    assert [len(batch['keys']) for batch in facts['batches']] == [4, 4]
    tensors = load_file(out / 'nonfinite' / 'step-000000002.safetensors')
    assert tensors['rank1.batch0.waveforms'].shape[0] == 4 and tensors['rank1.batch0.logits'].isnan().any()
