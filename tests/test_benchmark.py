"""`ser benchmark` and tools/benchmark.py as people run them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ser.benchmark import main
from ser.benchmarks.names import RIVALS, STAGES
from tests.test_benchmark_table import row
from tests.tiny import ASSIGNMENTS
from tests.tiny_benchmark import CQT, no_long_warm_up  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent
TINY = ['--set', *ASSIGNMENTS, *CQT, '--batch', '4', '--seconds', '0.5', '--repeats', '2', '--device', 'cpu']


def measured(folder, capsys, *more):
    """(rows of the JSON, everything printed), the files checked for what every run's have."""
    files = folder / 'f.json', folder / 'f.png'
    code = main([*TINY, *more, '--json', str(files[0]), '--plot', str(files[1])])
    out, err = capsys.readouterr()
    assert code == 0 and 'Traceback' not in err, err
    read = json.loads(files[0].read_text())
    assert read['environment']['batches'] == [4] and 'torch' in read['environment']['packages']
    for one in read['rows']:
        assert one['batch'] == 4 and one['seconds'] == 0.5 and one['ms_per_clip'] > 0
        low, high = one['spread']
        assert low <= one['ms_per_clip'] <= high and one['clips_per_second'] == pytest.approx(
            1000 / one['ms_per_clip'], rel=1e-4)
        assert one['percent_of_step'] > 0 and one['peak_mb'] >= 0
    assert files[1].read_bytes().startswith(b'\x89PNG')
    return read['rows'], out, err


@pytest.mark.slow
def test_stages_against_rivals_as_table_json_and_picture(tmp_path, capsys):
    rows, out, err = measured(tmp_path, capsys, '--stages', 'read', 'cqt', 'mel', 'train_step', '--against',
                              'nnaudio-1992', 'cached')
    assert [(row['stage'], row['implementation']) for row in rows] == [
        ('read', 'ser'), ('cqt', 'ser'), ('cqt', 'nnaudio-1992'), ('mel', 'ser'), ('train_step', 'ser'),
        ('train_step', 'cached')]
    assert out.index('processor: ') < out.index('\nbatch 4') < out.index('\ncqt ') < out.index('\ntrain_step ')
    assert 'cqt, nnaudio-1992, batch 4' in err


@pytest.mark.slow
def test_every_stage_against_every_rival(tmp_path, capsys):
    rows, *_ = measured(tmp_path, capsys, '--against', *RIVALS)
    met = {(row['stage'], row['implementation']) for row in rows}
    assert {stage for stage, name in met if name == 'ser'} == {*STAGES}
    features = {'librosa', 'librosa-parallel', 'nnaudio-1992', 'nnaudio-2010', 'torchaudio', 'bare-ffts'}
    assert {name for stage, name in met if stage == 'front_end'} == {'ser', *features}
    assert {(stage, name) for stage, name in met if name in ('cached', 'webdataset')} == {
        ('train_step', 'cached'), ('train_from_shards', 'cached'), ('read_decode', 'webdataset'),
        ('first_batch', 'webdataset')}


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
def test_on_a_gpu(tmp_path, capsys):
    code = main([*TINY, '--device', 'cuda', '--set', 'run.cuda_graphs=true', '--stages', 'copy', 'cqt', 'mel',
                 'level_image', 'front_end', 'model_forward', 'train_step', 'train_from_shards', '--against',
                 'nnaudio-1992', 'nnaudio-2010', 'torchaudio', 'cached', '--json', str(tmp_path / 'f.json')])
    out, err = capsys.readouterr()
    assert code == 0, out + err
    read = json.loads((tmp_path / 'f.json').read_text())['rows']
    rows = {(one['stage'], one['implementation']): one for one in read}
    for (stage, name), one in rows.items():
        assert one['ms_per_clip'] > 0 and one['peak_mb'] >= 0, stage
        if name == 'ser':
            assert 0 < one['fraction_of_floor'] <= 1.5, stage
    # One graph, and the copies into and out of it.
    assert rows['cqt', 'ser']['launches'] > 5 and 0 < rows['front_end', 'ser']['launches'] < 10


@pytest.mark.slow
def test_a_stage_that_fails_leaves_the_others(tmp_path, capsys):
    code = main([*TINY, '--stages', 'cqt', 'mel', '--set', 'features.cqt.bins=200', '--json', str(tmp_path / 'f.json')])
    out, _ = capsys.readouterr()
    cqt, mel = json.loads((tmp_path / 'f.json').read_text())['rows']
    assert code == 1 and sorted(cqt) == ['batch', 'error', 'implementation', 'seconds', 'stage']
    assert mel['ms_per_clip'] > 0 and f"cqt (ser): {cqt['error']}" in out and 'half the sample rate' in cqt['error']


@pytest.mark.slow
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
    assert 'config: maxmvit-tiny; made clips of 0.1 s; 5 timings of each' in capsys.readouterr().out
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


@pytest.mark.slow
def test_the_tool_runs_from_anywhere(tmp_path):
    done = subprocess.run([sys.executable, str(ROOT / 'tools' / 'benchmark.py'), *TINY, '--stages', 'mel'],
                          cwd=tmp_path, capture_output=True, text=True, timeout=120,
                          env=os.environ | {'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
    assert 'mel    ser' in done.stdout and not list(tmp_path.iterdir())
