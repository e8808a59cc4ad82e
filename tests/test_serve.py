"""`ser serve` as people run it."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from ser.cli import main as ser
from ser.serve import main
from ser.serving.server import listen
from tests.tiny_run import tiny_run  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


def refusal(arguments, capsys):
    try:
        code = ser(['serve', *arguments])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == '' and err.count('\n') == 1, err
    return err


def test_refusals_are_one_line(tiny_run, tmp_path, capsys, monkeypatch):  # noqa: F811
    run = str(tiny_run.path)
    monkeypatch.delenv('SER_TOKEN', raising=False)
    capsys.readouterr()
    assert 'required: RUN' in refusal([], capsys)
    assert 'not a run directory' in refusal([str(tmp_path)], capsys)
    assert refusal([f'{run}s'], capsys) == f"error: {run}s: no such folder. Did you mean '{run}'?\n"
    assert '--host 0.0.0.0: other machines could reach the model' in refusal([run, '--host', '0.0.0.0'], capsys)
    assert '--token: 5 characters' in refusal([run, '--token', 'short'], capsys)
    assert '--batch 0: at least 1' in refusal([run, '--batch', '0'], capsys)
    assert '--threads 0: at least 1' in refusal([run, '--threads', '0'], capsys)
    assert "Did you mean '--max-bytes'?" in refusal([run, '--max-byte', '5'], capsys)
    with listen('127.0.0.1', 0) as taken:
        port = taken.getsockname()[1]
        assert f'--port {port}: cannot listen on 127.0.0.1' in refusal([run, '--port', str(port)], capsys)


def test_the_token_of_the_environment_counts(tiny_run, capsys, monkeypatch):  # noqa: F811
    served = []
    monkeypatch.setenv('SER_TOKEN', 'from-the-environment')
    monkeypatch.setattr('ser.serving.server.serve', lambda service, listener, host, token, log: served.append(
        (service.limits.max_batch, host, token, log, service.close())))
    run = str(tiny_run.path)
    assert main([run, '--port', '0', '--host', '0.0.0.0', '--batch', '3', '--device', 'cpu']) == 0
    assert main([run, '--port', '0', '--token', 'of-the-command', '--access-log', '--threads', '1']) == 0
    assert served == [(3, '0.0.0.0', 'from-the-environment', False, True),
                      (16, '127.0.0.1', 'of-the-command', True, True)]


def test_a_missing_extra_says_how_to_get_it(tiny_run, capsys, monkeypatch):  # noqa: F811
    for name in [name for name in sys.modules if name.startswith('ser.serving.') and name != 'ser.serving.limits']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'uvicorn', None)
    assert refusal([str(tiny_run.path)], capsys) == (
        "error: ser serve: uvicorn is not installed: pip install -e '.[web]' in the checkout\n")


def test_a_thread_that_does_not_end_does_not_keep_the_process(tiny_run, monkeypatch):  # noqa: F811
    left = []
    monkeypatch.setattr('ser.serving.server.serve', lambda service, *_: service.close())
    monkeypatch.setattr('ser.serving.service.Service.close', lambda service: service.batcher.close() and False)
    monkeypatch.setattr('os._exit', left.append)
    assert main([str(tiny_run.path), '--port', '0', '--device', 'cpu']) == 0 and left == [0]


@pytest.mark.slow
def test_as_a_process_it_answers_as_ser_predict_does_and_ends_in_order(tiny_run, capsys):  # noqa: F811
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen([sys.executable, '-m', 'ser.cli', 'serve', str(tiny_run.path), '--port', '0'], text=True,
                               cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        first = process.stderr.readline()
        url, = re.findall(r'^(http://127\.0\.0\.1:\d+/) serves run \(maxmvit, .*A request: 64 MiB, 600 s of', first)
        path = next(iter(tiny_run.clips.values()))
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n' + path.read_bytes() + (
            b'\r\n--x--\r\n')
        asked = urllib.request.Request(f'{url}predict', body, {'Content-Type': 'multipart/form-data; boundary=x'})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            answer = json.load(answer)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0 and out == '' and err.startswith('stopped: 1 requests, 1 answered, 2 clips heard')
    capsys.readouterr()
    assert ser(['predict', str(path), '--model', str(tiny_run.path), '--format', 'jsonl']) == 0
    said = json.loads(capsys.readouterr().out)
    assert answer['emotion'] == said['emotion']
    assert answer['probabilities'] == pytest.approx(said['probabilities'], abs=1e-5)
