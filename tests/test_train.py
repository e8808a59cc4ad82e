"""The training command end to end on small shards: files, determinism, interruption, folds, dry run."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ser.files import sha256_of
from ser.train import main
from ser.training import session
from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


def arguments(shards, out, *more):
    return ['--shards', str(shards), '--out', str(out), '--set', *ASSIGNMENTS, *more]


@pytest.fixture(scope='module')
def run(shards, tmp_path_factory):
    out = tmp_path_factory.mktemp('runs') / 'whole'
    threads = torch.get_num_threads()
    assert main(arguments(shards, out)) == 0
    torch.set_num_threads(threads)
    return out


def weights(out):
    return sha256_of(out / 'best.safetensors')


def rows(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_the_run_directory_is_complete(run):
    names = {path.name for path in run.iterdir()}
    assert {'config.yaml', 'command.txt', 'environment.json', 'data.json', 'split.csv', 'labels.json', 'train.log',
            'metrics.csv', 'checkpoints', 'best.safetensors', 'test_metrics.json', 'predictions.csv',
            'confusion_matrix.csv', 'confusion_matrix.png', 'curves.png', 'class_distribution.png',
            'README.md', 'predictions-validation.csv', 'calibration.json', 'reliability.csv', 'reliability.png',
            'risk_coverage.csv', 'risk_coverage.png'} <= names
    metrics = json.loads((run / 'test_metrics.json').read_text())
    assert {'ua', 'ua_interval', 'wa', 'wa_interval', 'macro_f1', 'weighted_f1', 'log_loss', 'per_class', 'n',
            'n_speakers', 'interval_method', 'protocol', 'speaker_disjoint', 'best_epoch'} <= set(metrics)
    assert metrics['speaker_disjoint'] is True
    assert [row['epoch'] for row in rows(run / 'metrics.csv')] == ['1', '2', '3']


def test_every_test_clip_is_predicted_once_and_parts_share_no_speaker(run):
    split = rows(run / 'split.csv')
    test = sorted(row['key'] for row in split if row['part'] == 'test')
    assert sorted(row['key'] for row in rows(run / 'predictions.csv')) == test
    speakers = {part: {row['speaker'] for row in split if row['part'] == part} for part in ('train', 'valid', 'test')}
    assert not speakers['train'] & speakers['test'] and not speakers['valid'] & speakers['test']
    assert not speakers['train'] & speakers['valid'] and all(speakers.values())


def test_the_calibration_is_fitted_to_what_the_kept_weights_say_of_validation(run):
    members = {row['key']: row['part'] for row in rows(run / 'split.csv')}
    said = rows(run / 'predictions-validation.csv')
    assert {members[row['key']] for row in said} == {'valid'}
    assert len(said) == list(members.values()).count('valid')
    facts = json.loads((run / 'calibration.json').read_text())
    best = json.loads((run / 'test_metrics.json').read_text())['best_epoch']
    valid_loss = float(rows(run / 'metrics.csv')[best - 1]['valid_loss'])
    assert facts['validation']['before']['log_loss'] == pytest.approx(valid_loss, abs=1e-5)
    assert facts['validation']['after']['log_loss'] <= facts['validation']['before']['log_loss'] + 1e-9
    assert facts['test']['clips'] == list(members.values()).count('test')


def test_the_best_epoch_has_the_highest_validation_ua(run):
    history = rows(run / 'metrics.csv')
    best = json.loads((run / 'test_metrics.json').read_text())['best_epoch']
    assert float(history[best - 1]['valid_ua']) == max(float(row['valid_ua']) for row in history)


def test_weights_do_not_depend_on_workers(run, shards, tmp_path):
    assert main(arguments(shards, tmp_path / 'run', 'data.workers=2', 'data.prefetch=2')) == 0
    assert weights(tmp_path / 'run') == weights(run)
    for name in ('predictions.csv', 'calibration.json'):
        assert (tmp_path / 'run' / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.slow
def test_another_seed_gives_other_weights_on_the_same_split(run, shards, tmp_path):
    assert main(arguments(shards, tmp_path / 'run', 'run.seed=1', 'training.epochs=1')) == 0
    assert weights(tmp_path / 'run') != weights(run)
    assert (tmp_path / 'run' / 'split.csv').read_bytes() == (run / 'split.csv').read_bytes()


def kill_at_step(command, out, step, number):
    """Start a run and send it a signal once its log names the step; returns the exit code and its output."""
    with subprocess.Popen([sys.executable, '-m', *command], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:
        seen = []
        deadline = time.monotonic() + 200
        for line in process.stdout:
            seen.append(line)
            if f' step {step}/' in line and process.poll() is None:
                process.send_signal(number)
                break
            assert time.monotonic() < deadline
        seen += process.stdout.readlines()
        return process.wait(), ''.join(seen)


def resumable(shards, out, *more):
    return ['ser.train', *arguments(shards, out, 'run.log_seconds=0.001', 'training.checkpoint_steps=1', *more)]


def test_killed_and_resumed_with_other_workers_gives_the_same_weights(run, shards, tmp_path):
    out = tmp_path / 'run'
    code, _ = kill_at_step(resumable(shards, out), out, 3, signal.SIGKILL)
    assert code == -signal.SIGKILL and not (out / 'test_metrics.json').exists()
    assert main(['--resume', str(out), '--set', 'data.workers=2']) == 0
    assert weights(out) == weights(run)
    assert [row['epoch'] for row in rows(out / 'metrics.csv')] == ['1', '2', '3']


@pytest.mark.slow
def test_ctrl_c_saves_and_prints_the_line_that_resumes(run, shards, tmp_path):
    out = tmp_path / 'run'
    code, output = kill_at_step(resumable(shards, out, 'data.workers=1'), out, 2, signal.SIGINT)
    assert code == 130 and f'python -m ser.train --resume {out}' in output
    assert 'Traceback' not in output
    assert main(['--resume', str(out)]) == 0
    assert weights(out) == weights(run)


@pytest.mark.parametrize('lost', ['split.csv', 'predictions.csv', 'calibration.json', *(
    pytest.param(name, marks=pytest.mark.slow)
    for name in ('confusion_matrix.png', 'data.json', 'README.md', 'predictions-validation.csv'))])
def test_resuming_a_finished_run_completes_missing_files(run, lost, capfd):
    before, metrics = weights(run), (run / 'metrics.csv').read_bytes()
    scores = (run / 'test_metrics.json').read_bytes()
    (run / lost).unlink()
    assert main(['--resume', str(run)]) == 0
    assert 'epoch 1/' not in capfd.readouterr().err
    assert (run / lost).is_file() and weights(run) == before and (run / 'metrics.csv').read_bytes() == metrics
    assert (run / 'test_metrics.json').read_bytes() == scores


def test_a_finished_run_needs_neither_its_shards_nor_its_checkpoints(run, shards, tmp_path, capfd):
    copy = tmp_path / 'copy'
    shutil.copytree(run, copy)
    shutil.rmtree(copy / 'checkpoints')
    shards.rename(shards.with_name('moved'))
    try:
        assert main(['--resume', str(copy)]) == 0
    finally:
        shards.with_name('moved').rename(shards)
    assert 'is finished' in capfd.readouterr().err and weights(copy) == weights(run)


@pytest.mark.slow
def test_best_weights_that_the_checkpoint_does_not_know_are_written_again(run, tmp_path, capfd):
    copy = tmp_path / 'copy'
    shutil.copytree(run, copy)
    (copy / 'best.safetensors').write_bytes(b'of another epoch')
    assert main(['--resume', str(copy)]) == 0
    assert 'written again from its checkpoint' in capfd.readouterr().err and weights(copy) == weights(run)
    shutil.rmtree(copy / 'checkpoints')
    (copy / 'best.safetensors').unlink()


def test_a_run_that_another_process_made_meanwhile_is_left_alone(run, shards, tmp_path, monkeypatch, capfd):
    out = tmp_path / 'x'
    monkeypatch.setattr(session, 'probe', lambda job: shutil.copytree(run, out))
    assert main(arguments(shards, out, 'run.seed=5')) == 2
    assert 'already holds a run. Continue it with --resume' in capfd.readouterr().err
    for name in ('best.safetensors', 'config.yaml', 'data.json', 'metrics.csv'):
        assert (out / name).read_bytes() == (run / name).read_bytes()


def test_resume_refuses_what_would_change_the_result(run, capfd):
    assert main(['--resume', str(run), '--set', 'training.epochs=9']) == 2
    assert 'training.epochs is 3 in this run and cannot change to 9' in capfd.readouterr().err
    assert main(['--resume', str(run), '--config', 'demo']) == 2
    assert '--resume takes its config and place from the run' in capfd.readouterr().err


def test_resume_refuses_other_shards(run, tmp_path, capfd):
    copy = tmp_path / 'copy'
    shutil.copytree(run, copy)
    (copy / 'predictions.csv').unlink()
    make_shards(tmp_path / 'other', n_speakers=8, clips_per=2, seconds=0.3)
    assert main(['--resume', str(copy), '--shards', str(tmp_path / 'other')]) == 2
    assert 'began with other data (digest' in capfd.readouterr().err
    (copy / 'data.json').unlink()
    assert main(['--resume', str(copy), '--shards', str(tmp_path / 'other')]) == 2
    assert 'another index digest' in capfd.readouterr().err


@pytest.mark.slow
def test_gradient_accumulation_is_the_same_step(shards, tmp_path):
    plain = ['model.head.kind=mlp_ln', 'model.head.dropout=0', 'augment.mixup.alpha=0', 'training.epochs=1',
             'training.ema=null', 'training.optimizer={kind: adam, lr: 0.001}']
    from safetensors.torch import load_file

    states = []
    for accumulate in (1, 4):
        out = tmp_path / str(accumulate)
        assert main(arguments(shards, out, *plain, f'training.accumulate={accumulate}')) == 0
        states.append(load_file(out / 'best.safetensors'))
    for name, tensor in states[0].items():
        assert torch.allclose(tensor, states[1][name], atol=2e-4), name


@pytest.mark.slow
def test_every_fold_and_the_pooled_score(shards, tmp_path, capfd):
    out = tmp_path / 'folds'
    more = ['training.epochs=1', 'protocol={kind: speaker-kfold, folds: 3}']
    assert main([*arguments(shards, out, *more), '--folds', 'all']) == 0
    pooled = json.loads((out / 'test_metrics.json').read_text())
    assert pooled['n'] == len(rows(out / 'fold-01' / 'split.csv'))
    assert len(pooled['folds']) == 3
    capfd.readouterr()
    assert main([*arguments(shards, out, *more), '--folds', 'all']) == 0
    assert capfd.readouterr().err.count('already done') == 3
    assert main([*arguments(shards, out, *more, 'training.clip_norm=3'), '--folds', 'all']) == 2
    assert 'training.clip_norm is 1.0 in this run and cannot change' in capfd.readouterr().err


def test_folds_of_a_protocol_without_folds_are_refused(shards, tmp_path, capfd):
    assert main([*arguments(shards, tmp_path / 'x'), '--folds', 'all']) == 2
    assert "protocol 'speaker' has no folds" in capfd.readouterr().err


def test_folds_into_a_run_are_refused_at_once(run, shards, capfd):
    assert main([*arguments(shards, run, 'protocol={kind: speaker-kfold, folds: 3}'), '--folds', 'all']) == 2
    assert 'already holds a run' in capfd.readouterr().err and not (run / 'fold-01').exists()


def test_a_dry_run_says_everything_and_writes_nothing(shards, tmp_path, capfd):
    assert main([*arguments(shards, tmp_path / 'x'), '--dry-run']) == 0
    said = capfd.readouterr().out
    for part in ('train:', 'valid:', 'test:', 'parameters of mel:', 'view mel: 8 x 3 x 32 x 32', 'logits: 8 x 4',
                 'batch_size: 8', 'protocol:'):
        assert part in said, part
    assert not (tmp_path / 'x').exists()


def test_parts_from_shards_of_their_own(tmp_path):
    for number, part in enumerate(('train', 'valid', 'test')):
        make_shards(tmp_path / part, n_speakers=3, clips_per=2, first_speaker=3 * number)
    out = tmp_path / 'run'
    assert main([*arguments(tmp_path / 'train', out, 'training.epochs=1'), '--valid-shards', str(tmp_path / 'valid'),
                 '--test-shards', str(tmp_path / 'test')]) == 0
    metrics = json.loads((out / 'test_metrics.json').read_text())
    assert metrics['speaker_disjoint'] is True and 'given' in metrics['protocol']


@pytest.mark.slow
def test_optimisers_per_part_plateau_focal_and_checkpointing_run_together(shards, tmp_path):
    assert main(arguments(
        shards, tmp_path / 'run', 'training.epochs=2', 'training.gradient_checkpointing=true',
        'training.optimizer={kind: parts, parts: {mel: {kind: radam}}, rest: {kind: adam}}',
        'training.schedule={kind: plateau, patience: 0}',
        'training.loss={kind: focal, gamma: 2, class_weights: inverse, label_smoothing: 0.1}',
        'training.precision=bfloat16', 'protocol.kind=utterance')) == 0
    metrics = json.loads((tmp_path / 'run' / 'test_metrics.json').read_text())
    assert metrics['speaker_disjoint'] is False
    assert 'speaker-dependent' in (tmp_path / 'run' / 'README.md').read_text().lower()
