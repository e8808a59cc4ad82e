"""What a page is made from: every kind of folder, and each way in which files refuse."""

import json
import re

import numpy as np
import pytest

from ser.errors import SerError
from ser.evaluation.ensemble import evaluate_ensemble
from ser.evaluation.repeats import pool_seeds
from ser.evaluation.report import pool_folds
from ser.reports.contents import read_columns, read_contents
from tests.page_runs import scored, unplotted
from tests.test_dimension_report import make_run as make_dimensions
from tests.test_report import FAST, make_run


@pytest.fixture(autouse=True)
def _no_pictures():
    with unplotted():
        yield


def refused(path, *said):
    with pytest.raises(SerError) as error:
        read_contents(path)
    assert '\n' not in str(error.value) and all(text in str(error.value) for text in said), str(error.value)


def test_a_run_with_all_its_files(tmp_path):
    found = read_contents(scored(tmp_path / 'run'))
    assert (found.kind, found.name, found.of_dimensions, found.of_mean) == ('run', 'run', False, None)
    assert len(found.predictions) == found.metrics['n'] and len(found.members) == 320 and found.runs == [found.path]
    assert found.history['epoch'].tolist() == [1, 2, 3] and found.calibration is None and found.environment is None


def test_folders_of_other_kinds(tmp_path):
    runs = [scored(tmp_path / name, test=(who,)) for name, who in (('fold-1', 's'), ('fold-2', 't'))]
    pool_folds(runs, tmp_path, FAST)
    folds = read_contents(tmp_path)
    assert folds.kind == 'folds' and folds.runs == runs and folds.members is None and folds.config is None
    pair = [scored(tmp_path / 'more' / name) for name in 'ab']
    _, folder = evaluate_ensemble(pair)
    ensemble = read_contents(folder)
    assert ensemble.kind == 'ensemble' and ensemble.of_mean == 'the mean of the probabilities of 2 runs'
    assert ensemble.runs == []


def test_dimensions(tmp_path):
    found = read_contents(scored(tmp_path / 'run', make_dimensions))
    assert found.of_dimensions and found.predictions.truth.shape == (120, len(found.names)) and found.task


@pytest.mark.parametrize('name', ['predictions.csv', 'split.csv', 'metrics.csv', 'data.json', 'confusion_matrix.csv'])
def test_a_file_that_is_not_there_is_none(tmp_path, name):
    (scored(tmp_path / 'run') / name).unlink()
    read_contents(tmp_path / 'run')


def test_folders_without_scores(tmp_path):
    refused(tmp_path / 'none', 'no such folder')
    refused(tmp_path, 'not a run directory', 'python -m ser.train')
    make_run(tmp_path / 'fold-1')
    refused(tmp_path / 'fold-1', 'not finished', '--resume')
    refused(tmp_path, 'no joint score yet', 'ser evaluate')
    make_run(tmp_path / 'runs' / 'x')
    refused(tmp_path / 'runs', 'It holds runs', 'runs/x')


def test_files_at_odds_and_damaged_ones(tmp_path):
    run = scored(tmp_path / 'run')
    whole = {name: (run / name).read_text() for name in ('predictions.csv', 'confusion_matrix.csv', 'metrics.csv',
                                                        'test_metrics.json')}

    def damaged(name, old, new, *said):
        text = re.sub(old, new, whole[name], count=1)
        assert text != whole[name]
        (run / name).write_text(text)
        refused(run, *said)
        (run / name).write_text(whole[name])

    wrong = next(line for line in whole['predictions.csv'].splitlines() if line.split(',')[2:4] == ['sad', 'sad'])
    damaged('predictions.csv', re.escape(wrong), wrong.replace(',sad,sad,', ',sad,angry,'), 'different tests',
            'ser evaluate')
    damaged('predictions.csv', r'0\.1,', 'x,', 'is not a number')
    damaged('confusion_matrix.csv', r'neutral,(\d+)', r'neutral,9\1', 'not the counts', 'ser evaluate')
    damaged('metrics.csv', '1.5', 'much', "metrics.csv:2: train_loss is 'much'")
    damaged('test_metrics.json', '"ua": ', '"ua": "x", "uu": ', "'ua' is 'x'", 'ser evaluate')
    damaged('test_metrics.json', '"ua"', '"au"', "no key 'ua'")
    damaged('test_metrics.json', '{', '', 'not JSON')
    read_contents(run)


def test_columns_of_metrics(tmp_path):
    path = tmp_path / 'metrics.csv'
    assert read_columns(path) is None
    path.write_text('epoch,x\n')
    assert read_columns(path) is None
    path.write_text('epoch,x\n1,\n2,0.25\n')
    found = read_columns(path)
    assert np.isnan(found['x'][0]) and found['x'][1] == 0.25 and found['epoch'].tolist() == [1, 2]


def test_seeds_say_what_their_predictions_are(tmp_path):
    folder = tmp_path / 'seeds'
    for seed in (0, 1):
        scored(folder / f'seed-{seed}')
    pool_seeds([folder / 'seed-0', folder / 'seed-1'], folder, FAST)
    found = read_contents(folder)
    assert found.kind == 'seeds' and found.of_mean == 'the mean of the probabilities of 2 seeds'
    assert len(found.runs) == 2 and json.loads((folder / 'test_metrics.json').read_text()) == found.metrics
