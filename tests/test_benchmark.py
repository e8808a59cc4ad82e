"""`ser benchmark` and tools/benchmark.py as people run them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ser.benchmark import main
from ser.benchmarks import timing
from tests.test_benchmark_table import row
from tests.tiny import ASSIGNMENTS
from tests.tiny_benchmark import CQT

ROOT = Path(__file__).resolve().parent.parent
TINY = ['--set', *ASSIGNMENTS, *CQT, '--batch', '4', '--seconds', '0.5', '--repeats', '2', '--device', 'cpu']


@pytest.fixture(autouse=True)
def no_long_warm_up(monkeypatch):
    monkeypatch.setattr(timing, 'WARM_UP', {'cpu': (1, 0.0)})


def test_every_stage_against_rivals_as_table_json_and_picture(tmp_path, capsys):
    files = tmp_path / 'f.json', tmp_path / 'f.png'
    code = main([*TINY, '--against', 'nnaudio-1992', 'torchaudio', 'cached', 'webdataset', '--json', str(files[0]),
                 '--plot', str(files[1])])
    out, err = capsys.readouterr()
    assert code == 0, err
    read = json.loads(files[0].read_text())
    met = {(one['stage'], one['implementation']) for one in read['rows']}
    ours = {'index', 'read', 'decode', 'batch', 'copy', 'cqt', 'mel', 'level_image', 'spec_augment', 'front_end',
            'model_forward', 'train_step', 'read_decode', 'first_batch', 'train_from_shards'}
    assert {stage for stage, name in met if name == 'ser'} == ours
    assert met - {(stage, 'ser') for stage in ours} == {
        ('cqt', 'nnaudio-1992'), ('mel', 'torchaudio'), ('front_end', 'nnaudio-1992'), ('front_end', 'torchaudio'),
        ('train_step', 'cached'), ('train_from_shards', 'cached'), ('read_decode', 'webdataset'),
        ('first_batch', 'webdataset')}
    for one in read['rows']:
        assert one['batch'] == 4 and one['seconds'] == 0.5 and one['ms_per_clip'] > 0
        low, high = one['spread']
        assert low <= one['ms_per_clip'] <= high and one['clips_per_second'] == pytest.approx(
            1000 / one['ms_per_clip'], rel=1e-4)
        assert one['percent_of_step'] > 0 and one['peak_mb'] >= 0
    assert read['environment']['batches'] == [4] and 'torch' in read['environment']['packages']
    assert files[1].read_bytes().startswith(b'\x89PNG')
    assert out.index('processor: ') < out.index('batch 4') < out.index('train_from_shards')
    assert 'front_end, nnaudio-1992, batch 4' in err and 'Traceback' not in err


def test_a_stage_that_fails_leaves_the_others(tmp_path, capsys):
    code = main([*TINY, '--stages', 'cqt', 'mel', '--set', 'features.cqt.bins=200', '--json', str(tmp_path / 'f.json')])
    out, _ = capsys.readouterr()
    cqt, mel = json.loads((tmp_path / 'f.json').read_text())['rows']
    assert code == 1 and sorted(cqt) == ['batch', 'error', 'implementation', 'seconds', 'stage']
    assert mel['ms_per_clip'] > 0 and f"cqt (ser): {cqt['error']}" in out and 'half the sample rate' in cqt['error']


def test_out_of_memory_in_one_stage_leaves_the_others(monkeypatch, capsys):
    from ser.features.cqt import FoldedCqt

    def too_little(self, *_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(FoldedCqt, 'forward', too_little)
    assert main([*TINY, '--stages', 'cqt', 'mel']) == 1
    out, _ = capsys.readouterr()
    assert 'cqt (ser): out of memory in cqt at batch 4, 0.5 s: lower --batch or --seconds' in out and 'mel ' in out


def test_scale_alone_measures_no_stage_and_is_in_both_files(tmp_path, monkeypatch, capsys):
    from ser.benchmarks import scale

    given = []
    rows = [{'axis': 'batch', 'value': 1, 'stage': 'front_end', 'ms_per_clip': 1.0}]
    monkeypatch.setattr(scale, 'scale_rows', lambda options, say: given.append(options) or rows)
    monkeypatch.setattr(scale, 'scale_lines', lambda scaled: [f'{len(scaled)} rows of scale'])
    monkeypatch.setattr(scale, 'draw', lambda figure, scaled: figure.subplots().set_title(str(len(scaled))))
    files = str(tmp_path / 'f.json'), str(tmp_path / 'f.png')
    assert main([*TINY, '--scale', '--json', files[0], '--plot', files[1]]) == 0
    read = json.loads(Path(files[0]).read_text())
    assert read['rows'] == [] and read['scale'] == rows and given[0].stages == ()
    assert '1 rows of scale' in capsys.readouterr().out and Path(files[1]).stat().st_size > 1000
    rows[0]['error'] = 'too long'
    assert main([*TINY, '--scale']) == 1


def test_the_default_config_fits_the_device(monkeypatch, capsys):
    import ser.benchmarks.run as run

    monkeypatch.setattr(run, 'measure', lambda cases, *_: [row()])
    assert main(['--stages', 'cqt', '--device', 'cpu', '--seconds', '0.1']) == 0
    assert 'config: maxmvit-tiny; clips of 0.1 s; 5 timings of each' in capsys.readouterr().out
    assert main(['--stages', 'cqt', '--config', 'base', '--device', 'cpu', '--seconds', '0.1']) == 0
    assert 'config: base; ' in capsys.readouterr().out


def refusal(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == '' and err.count('\n') == 1, err
    return err


def test_refusals_are_one_line(capsys, tmp_path):
    assert "--against: unknown 'librossa'. Did you mean 'librosa'?" in refusal(['--against', 'librossa'], capsys)
    assert "--stages: unknown 'cqtt'. Did you mean 'cqt'?" in refusal(['--stages', 'cqtt'], capsys)
    assert "Did you mean '--against'?" in refusal(['--agianst', 'librosa'], capsys)
    assert 'at most data.max_seconds, 30' in refusal(['--seconds', '60'], capsys)
    assert 'invalid int value' in refusal(['--batch', 'x'], capsys)
    assert '--batch -1: at least 1 is wanted' in refusal(['--batch=-1'], capsys)
    assert 'run.threads' in refusal(['--threads', '0'], capsys)
    assert 'no such shards' in refusal(['--shards', str(tmp_path / '*.tar')], capsys)
    assert "unknown key 'features.cqt.hop_lenght'" in refusal(['--set', 'features.cqt.hop_lenght=3'], capsys)
    assert '--json' in refusal(['--json', str(tmp_path / 'gone' / 'f.json')], capsys)
    assert '--plot' in refusal(['--plot', 'f.txt'], capsys)


def test_a_mistyped_name_loads_nothing_heavy():
    code = ("import sys, ser.benchmark as b\nassert b.main(['--stages', 'cqtt']) == 2\n"
            "print([m for m in ('numpy', 'torch', 'pydantic') if m in sys.modules])")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.rstrip() == '[]'


def test_the_tool_runs_from_anywhere(tmp_path):
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / 'benchmark.py'), *TINY, '--stages', 'mel'],
                          cwd=tmp_path, capture_output=True, text=True, timeout=120,
                          env=os.environ | {'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
    assert 'mel    ser' in done.stdout and not list(tmp_path.iterdir())
