"""Files of a run that predicts dimensions: what they say, and what is refused and how."""

import json

import pytest

from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation.dimension_files import one_task, read_task, read_test_part
from ser.evaluation.report import evaluate_run
from ser.evaluation.run_files import read_history
from tests.test_dimension_report import NAMES, make_run
from tests.test_report import make_run as make_run_of_classes


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / 'run')


def refused(run, what=lambda run: evaluate_run(run, EvaluationConfig(bootstrap=10))):
    with pytest.raises(SerError) as error:
        what(run)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_a_run_says_its_task(tmp_path, run):
    assert read_task(run) == {'kind': 'dimensions', 'names': list(NAMES), 'mean': [4.0] * 3, 'std': [1.5] * 3,
                              'unit': [[1, 7]] * 3}
    classes = make_run_of_classes(tmp_path / 'classes')
    assert read_task(classes) is None and read_task(tmp_path / 'nowhere') is None
    assert one_task([run, run]) and not one_task([classes, classes])
    assert 'only folds of one task' in refused(run, lambda run: one_task([run, classes]))


def test_the_test_part_is_read_and_checked(run):
    predictions, facts, members = read_test_part(run, NAMES)
    assert len(predictions) == 120 and facts.best_epoch == 2 and facts.speaker_disjoint
    assert {member.label for member in members if member.part} == {'low', 'middle', 'high'}


def test_the_history_has_the_mean_ccc(run):
    history = read_history(run)
    assert history.columns['valid_ccc'].tolist() == [0.2, 0.5, 0.4] and history.best_epoch == 2


@pytest.mark.parametrize(('change', 'message'), [
    ({'kind': 'words'}, "kind 'words'; known: 'dimensions'"),
    ({'names': []}, "'names' is []; a list of at least one dimension"),
    ({'names': ['a', 'a', 'b']}, 'different names'),
    ({'names': 'arousal'}, "'names' is 'arousal'"),
    ({'mean': [1, 2]}, "'mean' is [1, 2]; a list of 3 numbers is wanted"),
    ({'mean': [1, 2, True]}, "'mean' is [1, 2, True]"),
    ({'std': [1, 1, 0]}, "'std' is [1, 1, 0]; a list of 3 numbers above 0 is wanted"),
    ({'std': None}, "'std' is None"),
    ({'unit': [[1, 7], [7, 1], [1, 7]]}, 'a list of 3 pairs [lowest, highest] is wanted'),
    ({'unit': [1, 2, 3]}, "'unit' is [1, 2, 3]"),
    ({'names': ['x', 'y', 'z']}, "labels.json: holds ['arousal', 'valence', 'dominance'], but task.json says x, y, z"),
])
def test_a_broken_task_is_refused(run, change, message):
    path = run / 'task.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    told = refused(run, read_task)
    assert message in told and told.startswith(str(run)) and refused(run) == told


@pytest.mark.parametrize('name', ['config.yaml', 'labels.json', 'metrics.csv', 'data.json', 'split.csv',
                                  'predictions.csv'])
def test_a_missing_or_broken_file_is_named(run, name):
    for text in ('{"a": [', '', '\x00'):
        (run / name).write_text(text)
        assert refused(run).startswith(f'{run / name}')
    (run / name).unlink()
    told = refused(run)
    # Without its config.yaml the folder is no run that could be resumed.
    named = 'RUN' if name == 'config.yaml' else run
    assert told.startswith(f'{run / name}: no such file') and told.endswith(f'python -m ser.train --resume {named}')
    assert not (run / 'test_metrics.json').exists()


@pytest.mark.parametrize(('name', 'old', 'new', 'message'), [
    ('task.json', '"kind"', '"kin', 'not JSON'),
    ('metrics.csv', ',1\n', ',0\n', 'no epoch is marked best'),
    ('metrics.csv', 'valid_ccc', 'valid_ua', "metrics.csv:1: no column 'valid_ccc'; wanted: epoch, train_loss"),
    ('metrics.csv', '0.9,', 'x,', "metrics.csv:2: train_loss is 'x', a number is wanted"),
    ('predictions.csv', 'valence', 'calmness', 'dimensions arousal, calmness, dominance, but task.json says arousal, '
     'valence, dominance'),
    ('split.csv', 's-2,s,high,test', 's-2,s,joy,test', "label 'joy'; allowed: low, middle, high"),
    ('split.csv', 's-2,s,high,test', 's-2,s,high,train', '1 clip too many, for one s-2; split.csv has 119'),
    ('split.csv', 'a-2,a,high,train', 'a-2,a,high,test', '1 clip missing, for one a-2; split.csv has 121'),
    ('split.csv', 's-2,s,high,test', 's-2,t,high,test', 'clip s-2 is by s, split.csv says t'),
    ('split.csv', 's-2,s,high,test', 's-2,,high,test', 'clip s-2 is by s, split.csv says unknown'),
    ('split.csv', 'a-2,a,high,train', 'a-2,s,high,train', 'speaker_disjoint is true, but in split.csv test speaker s '
     'is in training'),
])
def test_files_at_odds_are_refused(run, name, old, new, message):
    text = (run / name).read_text()
    assert old in text
    (run / name).write_text(text.replace(old, new))
    assert message in refused(run)
