"""A run scored again: from its files, as folds, by its model on other shards."""

import csv
import json
import shutil
import tarfile
from collections import Counter

import numpy as np
import pytest

from ser.errors import SerError
from ser.evaluation.calibration import read_calibration
from ser.evaluation.predictions import read_csv
from ser.inference.evaluator import evaluate_folder, evaluate_shards, fold_runs, shards_name
from ser.inference.predictor import Predictor
from ser.inference.recordings import Named
from ser.shards.index import Shard
from tests.shard_factory import EMOTIONS, make_shards
from tests.test_report import make_run
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture
def run(tiny_run, tmp_path):  # noqa: F811
    shutil.copytree(tiny_run.path, tmp_path / 'run')
    return tmp_path / 'run'


@pytest.fixture(scope='module')
def others(tmp_path_factory):
    """Shards of speakers that the run has not heard, one label of which it does not know."""
    folder = tmp_path_factory.mktemp('others')
    make_shards(folder, n_speakers=5, emotions=(*EMOTIONS, 'bored'), clips_per=2, first_speaker=30)
    return folder


def test_a_run_is_recomputed_from_its_files(run):
    derived = ('test_metrics.json', 'confusion_matrix.csv', 'README.md', 'curves.png', 'confusion_matrix.png')
    before = {name: (run / name).read_bytes() for name in derived}
    for name in derived:
        (run / name).unlink()
    metrics = evaluate_folder(run)
    assert metrics == json.loads(before['test_metrics.json'])
    assert {name: (run / name).read_bytes() for name in derived} == before


def test_a_folder_of_folds_is_pooled(tmp_path):
    make_run(tmp_path / 'fold-02', test='stu', train='abc')
    make_run(tmp_path / 'fold-01', test='abc', train='stu')
    assert [path.name for path in fold_runs(tmp_path)] == ['fold-01', 'fold-02']
    metrics = evaluate_folder(tmp_path)
    assert metrics['n'] == 120 and [fold['run'] for fold in metrics['folds']] == ['fold-01', 'fold-02']
    assert (tmp_path / 'test_metrics.json').is_file()
    with pytest.raises(SerError, match='holds folds, each with a model of its own'):
        evaluate_shards(tmp_path, ['x.tar'])


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(SerError, match='not a run directory'):
        evaluate_folder(tmp_path)


def test_other_shards_are_one_test_part(run, others):
    metrics, out = evaluate_shards(run, [str(others)], device='cpu')
    assert out == run / 'evaluation-test'
    assert {path.name for path in out.iterdir()} == {
        'predictions.csv', 'labels.json', 'data.json', 'test_metrics.json', 'confusion_matrix.csv',
        'confusion_matrix.png', 'README.md'}
    assert json.loads((out / 'test_metrics.json').read_text()) == metrics
    predictions = read_csv(out / 'predictions.csv')
    assert len(predictions) == metrics['n'] == 40 and Counter(predictions.labels) == dict.fromkeys(EMOTIONS, 10)
    assert metrics['speaker_disjoint'] is True and metrics['n_speakers'] == 5
    assert metrics['protocol'] == 'other shards: test-00000.tar ... test-00005.tar, 6 files'
    assert metrics['protocol_kind'] == 'other-shards' and not metrics['synthetic']
    assert '10 clips labelled boredom left out: no class of this run' in metrics['notes']
    assert any('over 0.5 s scored by the mean of windows' in note for note in metrics['notes'])
    assert not any('LEAK' in note for note in metrics['notes'])
    assert json.loads((out / 'data.json').read_text())['dropped'] == {'boredom': 10}
    # Under shift, too, temperature and threshold are the run's own.
    own = read_calibration(run)
    told = metrics['calibration']
    assert (told['temperature'], told['threshold']) == (own.temperature, own.threshold) and told['test']['clips'] == 40
    assert 'nothing is fitted to these clips' in (out / 'README.md').read_text()
    assert 'on other shards' in (out / 'README.md').read_text()
    # The run itself is as it was.
    assert json.loads((run / 'test_metrics.json').read_text())['protocol_kind'] == 'speaker'


def test_its_own_shards_give_its_own_predictions_and_a_loud_note(run, tiny_run, tmp_path):  # noqa: F811
    metrics, out = evaluate_shards(run, [str(tiny_run.shards)], tmp_path / 'again', 'cpu',
                                   ['evaluation.batch_size=5', 'evaluation.bootstrap=50'])
    assert metrics['speaker_disjoint'] is False and metrics['n'] == len(tiny_run.clips)
    assert any(note.startswith('LEAK: ') and 'by audio' in note for note in metrics['notes'])
    assert '**LEAK' in (out / 'README.md').read_text() and '50 resamples' in metrics['interval_method']
    mine = read_csv(run / 'predictions.csv')
    again = read_csv(out / 'predictions.csv')
    place = {key: number for number, key in enumerate(again.keys)}
    assert np.allclose(mine.probabilities, again.probabilities[[place[key] for key in mine.keys]], atol=1e-5)


def test_shards_are_read_as_they_say(run, others, tmp_path):
    with pytest.raises(SerError, match='no clip of these shards has a class of'):
        evaluate_shards(run, [str(others)], device='cpu', assignments=['data.label=json.gender'])
    with pytest.raises(SerError, match='--set training.epochs: belongs to the run'):
        evaluate_shards(run, [str(others)], assignments=['training.epochs=9'])
    with pytest.raises(SerError, match='--set data.max_seconds: belongs to the run'):
        evaluate_shards(run, [str(others)], assignments=['data.max_seconds=9'])


def test_a_place_that_would_be_spoilt_is_refused(run, others, tmp_path):
    with pytest.raises(SerError, match='is a run directory'):
        evaluate_shards(run, [str(others)], run)
    (tmp_path / 'file').touch()
    with pytest.raises(SerError, match='is a file'):
        evaluate_shards(run, [str(others)], tmp_path / 'file')
    with pytest.raises(SerError, match='no such shards'):
        evaluate_shards(run, [str(tmp_path / 'gone.tar')])
    assert not (run / 'evaluation-test').exists()
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'README.md').write_text('of something else')
    with pytest.raises(SerError, match='mine: holds something else, which would be lost. Name another folder'):
        evaluate_shards(run, [str(others)], tmp_path / 'mine')
    assert (tmp_path / 'mine' / 'README.md').read_text() == 'of something else'


def test_shards_that_are_called_alike_do_not_replace_each_other(run, others, tmp_path):
    folders, answers = [], []
    for name in ('a', 'b'):
        make_shards(tmp_path / name, n_speakers=2, clips_per=1, seconds=0.2 if name == 'a' else 0.3)
        _, out = evaluate_shards(run, [str(tmp_path / name)], device='cpu')
        folders.append(out)
        answers.append((out / 'predictions.csv').read_bytes())
    digest = json.loads((folders[1] / 'data.json').read_text())['digest']
    assert folders[1].name == f'{folders[0].name}-{digest[:8]}'
    assert [(out / 'predictions.csv').read_bytes() for out in folders] == answers
    # The same once more goes where it went before, by default and by name, though not over another run's.
    for out in (None, folders[1]):
        assert evaluate_shards(run, [str(tmp_path / 'b')], out, device='cpu')[1] == folders[1]
    shutil.copytree(run, tmp_path / 'other')
    with pytest.raises(SerError, match='holds something else'):
        evaluate_shards(tmp_path / 'other', [str(tmp_path / 'b')], folders[1], device='cpu')


@pytest.mark.parametrize(('names', 'expected'), [
    (('emodb-00000.tar', 'emodb-00001.tar'), 'emodb'), (('a_1.tar', 'b_2.tar'), 'a+b'),
    (('000.tar', '001.tar'), 'here'), (('x y.tar',), 'x_y'),
    (tuple(f'{letter * 9}-1.tar' for letter in 'abcdefgh'), None)])
def test_shards_are_named_shortly(tmp_path, names, expected):
    shards = [Shard(str(tmp_path / 'here' / name), name, '', 0, None) for name in names]
    found = shards_name(shards)
    assert found == expected if expected else found.endswith('-and-more') and len(found) <= 60


def test_predictions_are_those_of_the_files_command(run, others):
    _, out = evaluate_shards(run, [str(others)], device='cpu')
    with tarfile.open(others / 'test-00000.tar') as tar, open(out / 'predictions.csv', newline='') as file:
        rows = {row['key']: row for row in csv.DictReader(file)}
        members = [member for member in tar if member.name.endswith('.flac') and member.name[:-5] in rows]
        tar.extractall(out, members, filter='data')
    predictor = Predictor(run, 'cpu', calibrated=False)
    for member, result in zip(members, predictor.predict([Named(out / member.name) for member in members]),
                              strict=True):
        row = rows[member.name[:-5]]
        assert result.values == pytest.approx([float(row[name]) for name in predictor.names], abs=1e-5)
