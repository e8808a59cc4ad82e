"""`ser evaluate` as people run it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ser.evaluate import main
from tests.shard_factory import make_shards
from tests.tiny_run import tiny_run  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def run(tiny_run, tmp_path):  # noqa: F811
    shutil.copytree(tiny_run.path, tmp_path / 'run')
    return tmp_path / 'run'


def test_scores_and_classes_are_printed(run, capsys):
    assert main([str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    metrics = json.loads((run / 'test_metrics.json').read_text())
    assert lines[0].startswith('test (') and f'UA {100 * metrics["ua"]:.1f} %' in lines[0]
    header = next(number for number, line in enumerate(lines) if line.startswith('class '))
    assert [line.split()[0] for line in lines[header + 2:header + 6]] == ['neutral', 'happy', 'sad', 'angry']
    assert lines[-1] == f'written to {run}'


def test_other_shards(run, tmp_path, capsys):
    make_shards(tmp_path / 'others', n_speakers=2, clips_per=1, first_speaker=50)
    out = tmp_path / 'scores'
    assert main([str(run), '--shards', str(tmp_path / 'others'), '--out', str(out), '--device', 'cpu', '--set',
                 'evaluation.bootstrap=20']) == 0
    text = capsys.readouterr().out
    assert '2 unseen speakers, 8 clips' in text and f'written to {out}' in text
    assert (out / 'test_metrics.json').is_file()


def refusal(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == '' and err.count('\n') == 1, err
    return err


def test_refusals_are_one_line(run, tmp_path, capsys):
    assert 'not a run directory' in refusal([str(tmp_path)], capsys)
    assert '--out goes with --shards' in refusal([str(run), '--out', 'x'], capsys)
    assert '--device goes with --shards' in refusal([str(run), '--device', 'cpu'], capsys)
    assert '--set goes with --shards' in refusal([str(run), '--set', 'evaluation.seed=1'], capsys)
    assert 'no such shards' in refusal([str(run), '--shards', str(tmp_path / 'gone.tar')], capsys)
    assert 'pipe:' in refusal([str(run), '--shards', 'pipe:cat x.tar'], capsys)
    assert "Did you mean '--shards'?" in refusal([str(run), '--shard', 'x'], capsys)
    (run / 'predictions.csv').unlink()
    assert 'predictions.csv: no such file' in refusal([str(run)], capsys)


@pytest.mark.slow
def test_as_a_process_without_torch(run):
    code = (f'import sys\nfrom ser.evaluate import main\nassert main([{str(run)!r}]) == 0\n'
            'assert "torch" not in sys.modules')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=120,
                          env=os.environ | {'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
    done = subprocess.run([sys.executable, '-m', 'ser.evaluate', str(run)], cwd=ROOT, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0 and 'macro-F1' in done.stdout
