import json

import numpy as np
import pytest

from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation.auxiliary import auxiliary_lines, auxiliary_scores
from ser.evaluation.predictions import Predictions

EVALUATION = EvaluationConfig(bootstrap=200)


def write(run, target, labels, predicted, names=('north', 'south')):
    probabilities = np.eye(len(names))[[names.index(name) for name in predicted]]
    Predictions([f'k{i}' for i in range(len(labels))], [f's{i % 6}' for i in range(len(labels))], labels, predicted,
                probabilities, names).write_csv(run / f'predictions-{target}.csv')


def test_each_head_is_scored_on_the_clips_that_know(tmp_path):
    (tmp_path / 'auxiliary.json').write_text(json.dumps({'accent': ['north', 'south'], 'gender': ['female', 'male']}))
    write(tmp_path, 'accent', ['north'] * 9 + ['south'] * 3, ['north'] * 9 + ['south', 'north', 'north'])
    found = auxiliary_scores(tmp_path, EVALUATION)
    assert found['accent']['ua'] == pytest.approx((1 + 1 / 3) / 2) and found['accent']['wa'] == pytest.approx(10 / 12)
    assert (found['accent']['n'], found['accent']['n_speakers'], found['accent']['chance']) == (12, 6, 0.5)
    low, high = found['accent']['ua_interval']
    assert low < found['accent']['ua'] < high
    assert found['gender'] is None
    lines = list(auxiliary_lines({'auxiliary': found}))
    assert lines[0].startswith('auxiliary accent (12 clips): UA 66.7 % [') and 'chance 50.0 %' in lines[0]
    assert lines[1] == 'auxiliary gender: known of no test clip'


def test_one_value_alone_is_no_score(tmp_path):
    (tmp_path / 'auxiliary.json').write_text(json.dumps({'accent': ['north', 'south']}))
    write(tmp_path, 'accent', ['north'] * 6, ['north'] * 3 + ['south'] * 3)
    assert list(auxiliary_lines({'auxiliary': auxiliary_scores(tmp_path, EVALUATION)})) == [
        'auxiliary accent (6 clips): one value alone in the test part, so no score']


def test_a_run_with_one_head_has_none(tmp_path):
    assert auxiliary_scores(tmp_path, EVALUATION) == {} and list(auxiliary_lines({})) == []


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / 'auxiliary.json').write_text('{"accent": ["north", "south"]}')
    (tmp_path / 'predictions-accent.csv').write_text('key,speaker\n')
    with pytest.raises(SerError, match='predictions-accent.csv:1: column 3'):
        auxiliary_scores(tmp_path, EVALUATION)
