"""`ser predict` as people run it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ser.cli import main as ser
from ser.predict import main
from tests.shard_factory import audio_bytes, tone
from tests.tiny_run import tiny_run  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def files(tmp_path):
    (tmp_path / 'good.wav').write_bytes(audio_bytes(tone(1), 16000, 'wav'))
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'other.flac').write_bytes(audio_bytes(tone(2, rate=48000), 48000))
    (tmp_path / 'empty.wav').touch()
    (tmp_path / 'text.wav').write_text('not audio')
    return tmp_path


def test_json_lines_when_piped(files, tiny_run, capsys):  # noqa: F811
    assert main([str(files / 'folder'), str(files / 'good.wav'), '--model', str(tiny_run.path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line['file']).name for line in lines] == ['other.flac', 'good.wav']
    for line in lines:
        assert list(line) == ['file', 'emotion', 'confidence', 'probabilities']
        assert list(line['probabilities']) == ['neutral', 'happy', 'sad', 'angry']
        assert sum(line['probabilities'].values()) == pytest.approx(1)
        assert line['confidence'] == max(line['probabilities'].values()) == line['probabilities'][line['emotion']]


def test_real_recordings_of_any_rate_and_channels(real_corpora, tiny_run, capsys):  # noqa: F811
    stereo = real_corpora / 'ravdess' / 'Actor_01' / '03-01-02-01-01-02-01.flac'
    assert main([str(stereo), str(real_corpora / 'emodb' / '03a01Fa.flac'), '--model', str(tiny_run.path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 2 and all('probabilities' in line for line in lines)


def test_bad_files_are_reported_and_the_rest_go_on(files, tiny_run, capsys):  # noqa: F811
    names = ('empty.wav', 'good.wav', 'text.wav', 'gone.wav')
    assert ser(['predict', *(str(files / name) for name in names), '--model', str(tiny_run.path)]) == 1
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [set(line) == {'file', 'error'} for line in lines] == [True, False, True, True]
    assert lines[0]['error'] == 'empty file' and lines[3]['error'] == 'no such file'
    assert err == '3 of 4 files could not be used\n'


def test_all_files_bad_is_still_reported_one_by_one(files, tiny_run, capsys):  # noqa: F811
    assert main([str(files / 'empty.wav'), '--model', str(tiny_run.path), '--format', 'csv']) == 1
    assert capsys.readouterr().out.splitlines()[1].endswith('empty.wav,,,empty file,,,,')


def refusal(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == '' and err.count('\n') == 1, err
    return err


def test_refusals_are_one_line(files, tiny_run, capsys):  # noqa: F811
    good, run = str(files / 'good.wav'), str(tiny_run.path)
    assert 'required: --model' in refusal([good], capsys)
    assert 'required: FILE' in refusal(['--model', run], capsys)
    assert 'not a run directory' in refusal([good, '--model', str(files)], capsys)
    assert 'gone.wav: no such file' in refusal(['gone.wav', '--model', run], capsys)
    assert "invalid choice: 'xml'" in refusal([good, '--model', run, '--format', 'xml'], capsys)
    assert "invalid choice: 'gpu'" in refusal([good, '--model', run, '--device', 'gpu'], capsys)
    assert "Did you mean '--format'?" in refusal([good, '--model', run, '--fromat', 'csv'], capsys)


def test_an_absent_device_is_refused(files, tiny_run, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    arguments = [str(files / 'good.wav'), '--model', str(tiny_run.path), '--device', 'cuda']
    assert 'cuda was asked for' in refusal(arguments, capsys)


def test_synthetic_training_speech_is_said(files, tiny_run, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr('ser.inference.predictor.trained_on_synthetic_speech', lambda run: True)
    assert main([str(files / 'good.wav'), '--model', str(tiny_run.path)]) == 0
    assert 'trained on synthetic speech' in capsys.readouterr().err


def test_as_a_process_a_table_on_a_terminal(files, tiny_run):  # noqa: F811
    terminal, end = pty.openpty()
    command = [sys.executable, '-m', 'ser.predict', 'good.wav', 'empty.wav', '--model', str(tiny_run.path)]
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, cwd=files, stdout=end, stderr=subprocess.PIPE, text=True, timeout=120,
                          env=environment)
    os.close(end)
    text = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert done.returncode == 1, done.stderr
    lines = text.splitlines()
    assert lines[0].split() == ['file', 'emotion', 'confidence', 'neutral', 'happy', 'sad', 'angry']
    assert lines[2].startswith('good.wav')
    assert lines[3] == 'empty.wav: empty file'
