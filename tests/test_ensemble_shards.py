"""Runs averaged over other shards: each model answers every clip, and none may have heard one."""

import csv
import shutil

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from ser.errors import SerError
from ser.evaluate import main
from ser.evaluation import plots
from ser.files import write_with_digest
from ser.inference.ensemble_shards import evaluate_ensemble_shards, is_series, single_runs
from ser.inference.evaluator import evaluate_shards
from tests.shard_factory import EMOTIONS, make_shards
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(plots, 'save', lambda figure, path: path.write_bytes(b'a picture'))


@pytest.fixture(scope='module')
def runs(tiny_run, tmp_path_factory):  # noqa: F811
    """The same run twice, the second with another head."""
    from safetensors.torch import load_file, save

    folder = tmp_path_factory.mktemp('runs')
    for name in 'ab':
        shutil.copytree(tiny_run.path, folder / name)
    tensors = load_file(folder / 'b' / 'best.safetensors')
    head = next(name for name in reversed(tensors) if 'head' in name and tensors[name].ndim == 2)
    tensors[head] = tensors[head].flip(0) * 3
    write_with_digest(folder / 'b' / 'best.safetensors', save(tensors))
    return [folder / 'a', folder / 'b']


@pytest.fixture(scope='module')
def others(tmp_path_factory):
    folder = tmp_path_factory.mktemp('others')
    make_shards(folder, n_speakers=5, emotions=EMOTIONS, clips_per=1, first_speaker=30)
    return folder


def rows(path):
    with open(path / 'predictions.csv', newline='') as file:
        return {row['key']: row for row in csv.DictReader(file)}


def test_every_model_answers_and_the_mean_is_scored(runs, others, tmp_path, capsys):
    out = tmp_path / 'together'
    assert main([*map(str, runs), '--shards', str(others), '--out', str(out), '--device', 'cpu', '--set',
                 'evaluation.bootstrap=20']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('mean of the probabilities of 2 runs, test (5 unseen speakers, 20 clips): UA ')
    alone = [rows(evaluate_shards(run, [str(others)], tmp_path / run.name, 'cpu')[1]) for run in runs]
    together = rows(out)
    labels = [row['label'] for row in together.values()]
    mean = np.mean([[[float(table[key][name]) for name in EMOTIONS] for key in together] for table in alone], axis=0)
    assert np.allclose(mean, [[float(row[name]) for name in EMOTIONS] for row in together.values()], atol=1e-6)
    said = [row['predicted'] for row in together.values()]
    assert said == [EMOTIONS[i] for i in mean.argmax(axis=1)]
    assert f'UA {100 * balanced_accuracy_score(labels, said):.1f} %' in lines[0]
    assert 'other shards: test-00000.tar' in (out / 'README.md').read_text()
    assert not (runs[0] / 'evaluation-test').exists()


def test_folds_and_seeds_are_taken_apart(tmp_path):
    for name in ('x/seed-0/fold-01', 'x/seed-0/fold-02', 'x/seed-1/fold-01', 'y/fold-01', 'z'):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / 'config.yaml').touch()
    assert list(single_runs([tmp_path / 'x', tmp_path / 'y', tmp_path / 'z'])) == [
        'x/seed-0/fold-01', 'x/seed-0/fold-02', 'x/seed-1/fold-01', 'y/fold-01', 'z']
    assert [is_series(tmp_path / name) for name in 'xyz'] == [True, True, False]
    with pytest.raises(SerError, match='named twice'):
        single_runs([tmp_path / 'y', tmp_path / 'y' / 'fold-01'])


def test_a_member_that_heard_the_clips_is_refused(runs, tiny_run, tmp_path):  # noqa: F811
    with pytest.raises(SerError) as error:
        evaluate_ensemble_shards(runs, [str(tiny_run.shards)], tmp_path / 'x', 'cpu')
    said = str(error.value)
    assert said.startswith(f'{runs[0]}: ') and 'clips of these shards are in its training or validation part' in said
    assert 'may have heard what it is scored on' in said and '\n' not in said and not (tmp_path / 'x').exists()


def test_members_of_other_classes_are_refused(runs, others, tmp_path):
    with pytest.raises(SerError, match='the same weights as'):
        copy = shutil.copytree(runs[0], tmp_path / 'copy')
        evaluate_ensemble_shards([runs[0], copy], [str(others)], tmp_path / 'x', 'cpu')
    (tmp_path / 'taken').mkdir()
    (tmp_path / 'taken' / 'file').touch()
    with pytest.raises(SerError, match='is there already'):
        evaluate_ensemble_shards(runs, [str(others)], tmp_path / 'taken', 'cpu')
