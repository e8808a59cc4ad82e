"""Baselines through the real commands: files, determinism, evaluate and predict, resume, folds."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ser.evaluate import main as evaluate
from ser.files import sha256_of
from ser.predict import main as predict
from ser.train import main
from ser.training.rebuild import load_run
from tests.shard_factory import EMOTIONS, make_shards, sample, write_tar

ROOT = Path(__file__).resolve().parent.parent
FILES = {'config.yaml', 'command.txt', 'environment.json', 'data.json', 'split.csv', 'labels.json', 'train.log',
         'metrics.csv', 'best.safetensors', 'best.safetensors.sha256', 'test_metrics.json', 'predictions.csv',
         'confusion_matrix.csv', 'confusion_matrix.png', 'README.md', 'predictions-validation.csv',
         'calibration.json', 'reliability.csv', 'reliability.png', 'risk_coverage.csv', 'risk_coverage.png'}
SMALL = ('data.sample_rate=16000', 'data.workers=0', 'features.sample_rate=16000', 'features.min_samples=1600',
         'training.batch_size=8', 'run.threads=1', 'evaluation.bootstrap=200', 'model.kind=')


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=6, clips_per=1)
    return folder


def arguments(shards, out, kind, *more):
    small = [text if text != 'model.kind=' else f'model.kind={kind}' for text in SMALL]
    return ['--shards', str(shards), '--out', str(out), '--set', *small, *more]


@pytest.fixture(scope='module')
def run(shards, tmp_path_factory):
    out = tmp_path_factory.mktemp('runs') / 'svm'
    threads = torch.get_num_threads()
    assert main(arguments(shards, out, 'svm')) == 0
    torch.set_num_threads(threads)
    return out


def rows(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_the_run_directory_is_that_of_any_run(run):
    assert {path.name for path in run.iterdir()} >= FILES
    row, = rows(run / 'metrics.csv')
    assert row['epoch'] == '1' and row['best'] == '1' and 0 <= float(row['valid_ua']) <= 1
    assert float(row['train_loss']) >= 0
    assert json.loads((run / 'test_metrics.json').read_text())['best_epoch'] == 1
    log = (run / 'train.log').read_text()
    assert 'svm: C ' in log and 'epochs:' not in log
    test = sorted(row['key'] for row in rows(run / 'split.csv') if row['part'] == 'test')
    assert sorted(row['key'] for row in rows(run / 'predictions.csv')) == test
    valid = sorted(row['key'] for row in rows(run / 'split.csv') if row['part'] == 'valid')
    assert sorted(row['key'] for row in rows(run / 'predictions-validation.csv')) == valid
    # What is fitted to is what validation said of the kept weights.
    calibration = json.loads((run / 'calibration.json').read_text())
    assert calibration['validation']['before']['log_loss'] == pytest.approx(float(row['valid_loss']), abs=1e-4)
    assert 'calibration: temperature ' in log


def test_the_run_rebuilds_its_model_and_the_commands_use_it(run, shards, tmp_path, capsys):
    _, names, model = load_run(run)
    assert len(model.network.support) > len(names) and not any(p.requires_grad for p in model.parameters())
    before = (run / 'predictions.csv').read_bytes()
    assert evaluate([str(run)]) == 0 and (run / 'predictions.csv').read_bytes() == before
    assert evaluate([str(run), '--shards', str(shards), '--out', str(tmp_path / 'again')]) == 0
    said = {row['key']: row for row in rows(tmp_path / 'again' / 'predictions.csv')}
    for row in rows(run / 'predictions.csv'):
        for name in names:
            assert float(row[name]) == pytest.approx(float(said[row['key']][name]), abs=1e-4)
    import soundfile

    soundfile.write(tmp_path / 'clip.wav', np.sin(np.arange(16000) / 20), 16000)
    capsys.readouterr()
    assert predict([str(tmp_path / 'clip.wav'), '--model', str(run), '--format', 'jsonl']) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert told['likeliest'] in names and sum(told['probabilities'].values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_an_unfinished_run_is_fitted_again_to_the_same_whatever_the_workers(run, tmp_path):
    out = tmp_path / 'run'
    shutil.copytree(run, out)
    for name in ('test_metrics.json', 'best.safetensors', 'predictions.csv', 'calibration.json'):
        (out / name).unlink()
    assert main(['--resume', str(out), '--set', 'data.workers=1']) == 0
    assert sha256_of(out / 'best.safetensors') == sha256_of(run / 'best.safetensors')
    for name in ('predictions.csv', 'predictions-validation.csv', 'calibration.json', 'test_metrics.json'):
        assert (out / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.slow
def test_folds_of_the_majority_are_chance(shards, tmp_path):
    out = tmp_path / 'folds'
    folds = 'protocol={kind: speaker-kfold, folds: 2}'
    assert main([*arguments(shards, out, 'majority', folds), '--folds', 'all']) == 0
    for folder in (out, out / 'fold-01', out / 'fold-02'):
        metrics = json.loads((folder / 'test_metrics.json').read_text())
        assert metrics['ua'] == pytest.approx(0.25) and metrics['wa'] == pytest.approx(0.25)
    # Four classes alike: log loss is that of chance.
    assert metrics['log_loss'] == pytest.approx(np.log(4), abs=1e-6)
    calibration = json.loads((out / 'fold-01' / 'calibration.json').read_text())
    assert calibration['temperature'] == 1 and calibration['threshold'] is None
    pooled = json.loads((out / 'test_metrics.json').read_text())['calibration']
    assert [fold['run'] for fold in pooled['folds']] == ['fold-01', 'fold-02'] and pooled['test']['clips'] == 24
    assert pooled['test']['after'] == pooled['test']['before'] and not (out / 'calibration.json').exists()


def test_what_it_cannot_learn_is_one_line_and_leaves_no_run(shards, tmp_path, capsys):
    out = tmp_path / 'run'
    assert main(arguments(shards, out, 'svm', 'augment.mixup.alpha=0.3')) == 2
    assert 'Leave out the keys of augment' in capsys.readouterr().err and not out.exists()


def test_keys_of_learning_by_steps_are_one_line_and_leave_no_run(shards, tmp_path, capsys):
    out = tmp_path / 'run'
    loss = 'training.loss={kind: focal, gamma: 3, label_smoothing: 0.3, class_weights: {happy: 100}}'
    assert main(arguments(shards, out, 'svm', loss, 'training.ema=0.5')) == 2
    assert 'does not follow training.loss, training.ema. Leave such keys out' in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize('kind', ['majority', 'svm'])
def test_a_training_clip_that_is_too_long_is_said_before_there_is_a_run(kind, tmp_path, capsys):
    out, parts = tmp_path / 'run', []
    for part, seconds in (('train', 0.7), ('valid', 0.4), ('test', 0.4)):
        clips = [sample(f'{part}-{emotion}', number, seconds=seconds, speaker=part, emotion=emotion, raw_label=emotion)
                 for number, emotion in enumerate(EMOTIONS * 3)]
        clips = [(f'{number}{name}', data) for number, clip in enumerate(clips) for name, data in clip]
        parts.append(write_tar(tmp_path / f'{part}.tar', clips))
    command = [*arguments(parts[0], out, kind, 'data.max_seconds=0.5', 'data.audit=quick'),
               '--valid-shards', str(parts[1]), '--test-shards', str(parts[2])]
    for dry in ([], ['--dry-run']):
        assert main([*command, *dry]) == 2
        assert ('lasts 0.7 s, over data.max_seconds 0.5. Raise it, or use --set data.long=window'
                in capsys.readouterr().err)
        assert not out.exists()


def test_long_clips_are_heard_in_windows_and_chosen_by_clips(shards, tmp_path):
    out = tmp_path / 'run'
    windows = 'data.max_seconds=0.45', 'data.long=window', 'data.audit=quick', 'training.epochs=3'
    assert main(arguments(shards, out, 'svm', *windows)) == 0
    log = (out / 'train.log').read_text()
    assert 'svm is fitted at once: training.epochs changes nothing' in log
    parts = [row['part'] for row in rows(out / 'split.csv')]
    assert f"{parts.count('train') + parts.count('valid')} clips heard in" in log
    chosen = re.search(r'svm: C .*, validation UA (\S+ %)', log)[1]
    assert f'UA {chosen}' in re.search(r' valid .*', log)[0]


def on_two_ranks(*command):
    return subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '--rdzv-backend',
                           'c10d', '--rdzv-endpoint', 'localhost:0', '-m', 'ser.train', *command], cwd=ROOT, text=True,
                          capture_output=True, timeout=300,
                          env=os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})


@pytest.mark.slow
def test_two_ranks_fit_what_one_process_fits(run, shards, tmp_path):
    out = tmp_path / 'run'
    done = on_two_ranks(*arguments(shards, out, 'svm'))
    assert done.returncode == 0, done.stderr[-3000:]
    said = {row['key']: row for row in rows(run / 'predictions.csv')}
    for row in rows(out / 'predictions.csv'):
        assert row['predicted'] == said[row['key']]['predicted']
    one, two = (json.loads((path / 'calibration.json').read_text()) for path in (run, out))
    assert two['validation']['clips'] == one['validation']['clips']
    assert two['temperature'] == pytest.approx(one['temperature'], rel=0.01)
    for row in rows(out / 'predictions.csv'):
        assert float(row[row['label']]) == pytest.approx(float(said[row['key']][row['label']]), abs=1e-3)


@pytest.mark.slow
def test_what_the_first_rank_cannot_learn_ends_both(shards, tmp_path):
    parts = tmp_path / 'parts.csv'
    keys = [f'test-s{speaker:02d}-{emotion}-0' for speaker in range(1, 7)
            for emotion in ('neutral', 'happy', 'sad', 'angry')]
    # Nobody angry is trained on or tested.
    lines = [f'{key},{"valid" if "angry" in key else "test" if "s01" in key else "train"}' for key in keys]
    parts.write_text('\n'.join(['key,part', *lines]))
    done = on_two_ranks(*arguments(shards, tmp_path / 'run', 'svm', f'protocol={{kind: given, file: {parts}}}'))
    assert done.returncode and 'has no clip of angry' in done.stderr
