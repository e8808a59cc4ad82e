"""Averages of gate weights: by hand, as files, in the model card."""

import csv
import json

import numpy as np
import pytest

from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation import plots
from ser.evaluation.gates import Gates, gate_files, gate_lines, gates_of
from ser.evaluation.report import evaluate_run
from tests.test_report import make_run

NAMES = ('neutral', 'happy', 'sad')
WEIGHTS = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])


def gates(labels=('happy', 'happy', 'neutral')):
    return Gates.from_detail(('a', 'b', 'c'), labels, ('ssl', 'mel'), NAMES, WEIGHTS)


def rows(path):
    with open(path, newline='') as file:
        return list(csv.reader(file))


def test_averages_per_class_by_hand():
    found = gates().averages()
    assert found['experts'] == ['ssl', 'mel'] and found['clips'] == 3
    assert found['mean'] == pytest.approx({'ssl': 1.75 / 3, 'mel': 1.25 / 3})
    assert found['per_class'] == {'neutral': {'clips': 1, 'mean': {'ssl': 1.0, 'mel': 0.0}},
                                  'happy': {'clips': 2, 'mean': {'ssl': 0.375, 'mel': 0.625}}}
    assert gates(labels=None).averages()['per_class'] == {}


def test_the_last_of_two_experts_has_what_the_first_leaves():
    found = Gates.from_detail(('a', 'b'), ('sad', 'sad'), ('cqt', 'mel'), NAMES, np.array([[0.25], [0.75]]))
    assert found.weights.tolist() == [[0.25, 0.75], [0.75, 0.25]]


def test_files_hold_averages_and_on_request_each_clip(tmp_path):
    gates().write(tmp_path / 'none', 'none')
    assert not (tmp_path / 'none').exists()
    gates().write(tmp_path, 'summary')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['gates.csv', 'gates.json']
    assert json.loads((tmp_path / 'gates.json').read_text()) == gates().averages()
    assert rows(tmp_path / 'gates.csv') == [
        ['label', 'clips', 'ssl', 'mel'], ['neutral', '1', '1.0', '0.0'], ['happy', '2', '0.375', '0.625'],
        ['all', '3', repr(1.75 / 3), repr(1.25 / 3)]]
    gates().write(tmp_path, 'clips')
    assert rows(tmp_path / 'gates-clips.csv') == [
        ['key', 'label', 'ssl', 'mel'], ['a', 'happy', '0.5', '0.5'], ['b', 'happy', '0.25', '0.75'],
        ['c', 'neutral', '1.0', '0.0']]
    gates(labels=None).write(tmp_path, 'clips')
    assert rows(tmp_path / 'gates-clips.csv')[1] == ['a', '', '0.5', '0.5']
    assert [row[0] for row in rows(tmp_path / 'gates.csv')] == ['label', 'all']


def test_the_card_has_a_table_where_there_is_a_gate(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, 'save', lambda figure, path: path.write_bytes(b'a picture'))
    assert gates_of(tmp_path) == {} and gate_lines({}) == [] and gate_files({}) == []
    run, fast = make_run(tmp_path / 'run'), EvaluationConfig(bootstrap=50)
    assert 'gates' not in evaluate_run(run, fast) and '## Experts' not in (run / 'README.md').read_text()
    gates().write(run)
    metrics = evaluate_run(run, fast)
    assert metrics['gates'] == gates().averages()
    text = (run / 'README.md').read_text()
    assert '| happy | 37.5 % | 62.5 % | 2 |\n' in text and '| all | 58.3 % | 41.7 % | 3 |\n' in text
    assert '| gates.csv, gates.json |' in text and '\n\n## Protocol' in text


@pytest.mark.parametrize('text', [
    '{"experts": ["mel"]}', '{"experts": ["mel"], "clips": 1, "mean": {}, "per_class": {}}',
    '{"experts": ["mel"], "clips": 1, "mean": {"mel": 1.0}, "per_class": {"sad": 3}}',
    '{"experts": ["mel"], "clips": 1, "mean": {"mel": 1.0}, "per_class": []}'])
def test_a_broken_file_is_named(tmp_path, text):
    (tmp_path / 'gates.json').write_text(text)
    with pytest.raises(SerError, match=r'gates.json: is not what training writes') as error:
        gates_of(tmp_path)
    assert '\n' not in str(error.value)
