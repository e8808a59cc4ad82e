"""A folder of runs that belong together: described, locked, and what fails in it."""

import json
import subprocess
import sys

import pytest

from ser.config.load import load_config
from ser.errors import SerError
from ser.training.study import ABLATION, MATRIX, Study, attempt, computed, difference, refuse_ranks


def begin(path, description, file=MATRIX):
    with Study(path, file, description) as study:
        (path / file).write_text(json.dumps({'description': study.description}))


def test_the_same_description_goes_on_and_another_is_refused(tmp_path):
    begin(tmp_path / 'out', {'a': {'b': (1, 2)}, 'c': 'x'})
    begin(tmp_path / 'out', {'c': 'x', 'a': {'b': [1, 2]}})
    with pytest.raises(SerError, match=r'holds another matrix: a\.b is \[1, 2\] there and \[1, 3\] here\. Repeat its'):
        Study(tmp_path / 'out', MATRIX, {'a': {'b': (1, 3)}, 'c': 'x'})
    with pytest.raises(SerError, match='holds another matrix: d is missing there and 0 here'):
        Study(tmp_path / 'out', MATRIX, {'a': {'b': (1, 2)}, 'c': 'x', 'd': 0})


def test_places_of_something_else_are_refused(tmp_path):
    begin(tmp_path / 'out', {})
    with pytest.raises(SerError, match='holds a matrix already'):
        Study(tmp_path / 'out', ABLATION, {})
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'config.yaml').touch()
    with pytest.raises(SerError, match='holds a run already'):
        Study(tmp_path / 'run', MATRIX, {})
    (tmp_path / 'file').touch()
    with pytest.raises(SerError, match='is a file'):
        Study(tmp_path / 'file', MATRIX, {})
    with pytest.raises(SerError, match='cannot be made'):
        Study(tmp_path / 'file' / 'in', MATRIX, {}).__enter__()
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / MATRIX).write_text('{')
    with pytest.raises(SerError, match=r'not JSON.*Name another --out, or delete it'):
        Study(tmp_path / 'broken', MATRIX, {})


def test_one_process_at_a_time(tmp_path):
    hold = (f'import fcntl\nfile = open({str(tmp_path / ".lock")!r}, "w")\nfcntl.lockf(file, fcntl.LOCK_EX)\n'
            'print(flush=True)\ninput()')
    with subprocess.Popen([sys.executable, '-c', hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as other:
        other.stdout.readline()
        with pytest.raises(SerError, match='another process is writing there'), Study(tmp_path, MATRIX, {}):
            pass
        other.communicate('\n')
    with Study(tmp_path, MATRIX, {}):
        pass


def test_the_first_difference_is_named():
    assert difference({'a': {'b': 1}}, {'a': {'b': 1}}) is None
    assert difference({'a': {'b': 1, 'c': 2}}, {'a': {'b': 1, 'c': None}}) == ('a.c', '2', 'missing')
    assert difference(None, {'a': 1}) == ('its description', 'missing', '{"a": 1}')
    where, old, _ = difference({'a': 'x' * 200}, {'a': 'y'})
    assert where == 'a' and len(old) == 80


def test_where_data_lies_and_how_the_machine_is_used_describes_nothing():
    same = [computed(load_config(('base',), texts)) for texts in (
        [], ['data.shards=[x]', 'run.device=cpu', 'data.workers=3', 'run.name=other'])]
    assert same[0] == same[1] and json.loads(json.dumps(same[0])) == same[0]
    assert computed(load_config(('base',), ['run.seed=1'])) != same[0]


def test_what_fails_has_a_reason_in_one_line(caplog):
    assert attempt(lambda: 3) == (3, None)

    def refused():
        raise SerError('two\nlines')

    def broken():
        raise ZeroDivisionError('by zero')

    assert attempt(refused) == (None, 'two lines') and not caplog.records
    assert attempt(broken) == (None, 'ZeroDivisionError: by zero')
    assert 'unexpected error' in caplog.text and 'Traceback' in caplog.text
    with pytest.raises(KeyboardInterrupt):
        attempt(lambda: (_ for _ in ()).throw(KeyboardInterrupt))


def test_ranks_are_refused(monkeypatch):
    refuse_ranks('ser x')
    monkeypatch.setenv('WORLD_SIZE', '4')
    with pytest.raises(SerError, match='ser x runs in one process; start it without torchrun'):
        refuse_ranks('ser x')
