"""The load generator against a small server: nothing lost, refusals counted, the table."""

import json
import time

import pytest

from ser.errors import SerError
from ser.serving.load import HEADER, main, target_of
from tests.served import StandIn, clip, listening, service


@pytest.fixture
def file(tmp_path):
    (tmp_path / 'a.wav').write_bytes(clip())
    return str(tmp_path / 'a.wav')


def test_a_table_of_clients(tmp_path, file, capsys):
    with service(tmp_path, StandIn()) as made, listening(made) as (host, port):
        url = f'http://{host}:{port}'
        assert main([url, file, '--clients', '1', '4', '--seconds', '0.3']) == 0
        head, one, four = capsys.readouterr().out.splitlines()
        assert all(title in head for title in HEADER) and one.split()[0] == '1' and four.split()[0] == '4'
        assert main([url, file, file, '--clients', '2', '--seconds', '0.2', '--json']) == 0
        row = json.loads(capsys.readouterr().out)
        assert list(row) == list(HEADER) and row['answered'] > 0 and row['lost'] == row['refused'] == 0
        # The clip that warms up is heard by no request.
        assert made.metrics.counts()[2] == made.metrics.requests['/predict', 200]


def test_overload_is_refused_and_nothing_is_lost(tmp_path, file, capsys):
    with service(tmp_path, StandIn(), queue=2) as made, listening(made) as (host, port):
        made.predictor.gate.wait = lambda seconds: time.sleep(0.05) or True
        assert main([f'{host}:{port}', file, '--clients', '12', '--seconds', '0.5', '--json']) == 0
        row = json.loads(capsys.readouterr().out)
        assert row['answered'] > 0 and row['refused'] > 0 and row['lost'] == 0
        assert made.metrics.requests['/predict', 429] == row['refused']


def test_lost_requests_are_said(tmp_path, file, capsys):
    with service(tmp_path, StandIn()) as made, listening(made) as (host, port):
        made.batcher._values = lambda clips: 1 / 0
        assert main([f'{host}:{port}', file, '--clients', '1', '--seconds', '0.1']) == 1
        assert 'x status 500' in capsys.readouterr().err


def test_refusals(tmp_path, file, capsys):
    with pytest.raises(SerError, match='gone.wav: cannot be read'):
        target_of('http://localhost:1', [tmp_path / 'gone.wav'])
    with pytest.raises(SerError, match='https://x: http://HOST:PORT is wanted'):
        target_of('https://x', [file])
    assert main(['http://127.0.0.1:9', file]) == 2
    assert 'no answer' in capsys.readouterr().err
    with service(tmp_path) as made, listening(made, token='a-long-token') as (host, port):
        assert main([f'{host}:{port}', file, '--token', 'another-token']) == 2
        assert 'status 401. Is the --token right?' in capsys.readouterr().err
        assert main([f'{host}:{port}', file, '--token', 'a-long-token', '--clients', '1', '--seconds', '0.1']) == 0
