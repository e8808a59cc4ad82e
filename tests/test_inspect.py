"""`ser inspect` as people run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ser.inference import inspection
from ser.inference.predictor import Predictor
from ser.inference.recordings import find_recordings
from ser.inspect import main
from ser.predict import main as predict
from tests.shard_factory import audio_bytes, tone
from tests.tiny_run import tiny_run  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def files(tmp_path):
    for name in ('one.wav', 'folder/one.wav', 'folder/two.wav'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(audio_bytes(tone(len(name)), 16000, 'wav'))
    (tmp_path / 'text.wav').write_text('not audio')
    return tmp_path


@pytest.fixture
def no_pictures(monkeypatch):
    """Every picture is one byte string: drawing takes longest."""
    for name in ('draw_features', 'draw_stages', 'draw_spectra', 'draw_augmented', 'draw_layers', 'draw_explanation'):
        monkeypatch.setattr(inspection, name, lambda *_: b'drawn')


def test_stages_of_a_run_with_previews(files, tiny_run, no_pictures):  # noqa: F811
    assert main([str(files / 'one.wav'), '--model', str(tiny_run.path), '--stages', '--augment', '2', '--out',
                 str(files / 'out')]) == 0
    stages = json.loads((files / 'out' / 'one-stages.json').read_text())
    assert [preview['epoch'] for preview in stages['augmented']] == [0, 1]
    assert all(preview['drawn'] == ['masks'] for preview in stages['augmented'])
    assert stages['pictures'] == [f'one-{name}.png' for name in ('stages', 'spectra', 'augmented')]


def test_arrays_and_pictures_with_the_features_of_a_run(files, tiny_run, no_pictures, capsys):  # noqa: F811
    out = files / 'new' / 'out'
    assert main([str(files / 'one.wav'), str(files / 'folder'), '--model', str(tiny_run.path), '--out', str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(
        stem + suffix for stem in ('one', 'one-2', 'two')
        for suffix in ('-features.npz', '-features.png', '-explained.json', '-explained.npz', '-explained.png'))
    with np.load(out / 'one-features.npz') as arrays:
        assert sorted(arrays) == ['cqt_db', 'cqt_image', 'mel_db', 'mel_image', 'sample_rate', 'waveform']
        assert arrays['mel_image'].shape == (32, 32) and arrays['waveform'].dtype == np.float32
        assert np.array_equal(arrays['waveform'], tone(len('one.wav')) / np.float32(32768))
    assert (out / 'one-features.png').read_bytes() == b'drawn'
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f'{files / "one.wav"}: written: {out / "one-features.npz"}, one-features.png, '
                               'one-explained.npz, ')
    facts = json.loads((out / 'one-explained.json').read_text())
    assert lines[0].endswith(f"(0.40 s; Mel 32 x 26): {facts['emotion']} "
                             f"{100 * facts['probabilities'][facts['emotion']]:.1f} %")


def test_the_explained_answer_is_that_of_predict(files, tiny_run, no_pictures):  # noqa: F811
    assert main([str(files / 'one.wav'), '--model', str(tiny_run.path), '--out', str(files)]) == 0
    facts = json.loads((files / 'one-explained.json').read_text())
    result, = Predictor(tiny_run.path, 'cpu', calibrated=False).predict(find_recordings([str(files / 'one.wav')]))
    assert list(facts['probabilities'].values()) == pytest.approx(result.values.tolist(), abs=1e-5)
    assert facts['run'] == str(tiny_run.path) and list(facts['branches']) == ['mel']


@pytest.mark.slow
def test_the_same_clip_gives_the_same_bytes(files, tiny_run):  # noqa: F811
    for name in ('a', 'b'):
        assert main([str(files / 'one.wav'), '--model', str(tiny_run.path), '--out', str(files / name)]) == 0
    names = sorted(path.name for path in (files / 'a').iterdir())
    assert len(names) == 5 and (files / 'a' / 'one-explained.png').read_bytes().startswith(b'\x89PNG')
    for name in names:
        assert (files / 'a' / name).read_bytes() == (files / 'b' / name).read_bytes()


def test_no_file_of_a_timeline_is_written_over(files, tiny_run, no_pictures, monkeypatch):  # noqa: F811
    monkeypatch.chdir(files)
    given = ['one.wav', '--model', str(tiny_run.path)]
    theirs = ('one.png', 'one.json')
    assert predict([*given, '--timeline', '--picture', theirs[0], '--out', theirs[1]]) == 0
    before = [Path(name).read_bytes() for name in theirs]
    assert main([*given, '--stages', '--augment', '1']) == 0
    assert [Path(name).read_bytes() for name in theirs] == before


def test_bad_files_are_reported_and_the_rest_go_on(files, tiny_run, no_pictures, capsys):  # noqa: F811
    names = [str(files / name) for name in ('text.wav', 'gone.wav', 'one.wav')]
    assert main([*names, '--model', str(tiny_run.path), '--out', str(files / 'out')]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 and (files / 'out' / 'one-features.npz').is_file()
    assert f'{names[0]}: cannot be decoded' in err and f'{names[1]}: no such file' in err
    assert '2 of 3 files could not be used' in err
    assert not (files / 'out' / 'text-features.npz').exists()


def test_a_long_clip_shows_its_first_window(files, tiny_run, no_pictures, capsys):  # noqa: F811
    (files / 'long.wav').write_bytes(audio_bytes(tone(1, 0.75), 16000, 'wav'))
    assert main([str(files / 'long.wav'), '--model', str(tiny_run.path), '--out', str(files)]) == 0
    assert '0.75 s, window 1 of 2;' in capsys.readouterr().out
    assert len(np.load(files / 'long-features.npz')['waveform']) == 6000


def refusal(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == '' and err.count('\n') == 1, err
    return err


def test_refusals_are_one_line(files, capsys):
    one = str(files / 'one.wav')
    assert 'not a run directory' in refusal([one, '--model', str(files)], capsys)
    assert refusal([one, '--model', 'gone'], capsys).startswith('error: gone: no such folder. ')
    assert "unknown preset 'bass'" in refusal([one, '--config', 'bass'], capsys)
    assert 'not allowed with argument' in refusal([one, '--config', 'base', '--model', 'x'], capsys)
    assert 'no such file' in refusal(['gone.wav'], capsys)
    assert 'no folder can be made' in refusal([one, '--out', str(files / 'text.wav')], capsys)
    assert 'required: FILE' in refusal([], capsys)
    assert '--augment 0: how many previews to draw; 1 to 32' in refusal([one, '--stages', '--augment', '0'], capsys)
    assert '--augment -2: how many' in refusal([one, '--stages', '--augment', '-2'], capsys)
    assert 'add --stages' in refusal([one, '--augment', '2'], capsys)
    assert "invalid int value: 'many'" in refusal([one, '--stages', '--augment', 'many'], capsys)


@pytest.mark.slow
def test_as_a_process_with_the_base_preset_here(files):
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run([sys.executable, '-m', 'ser.inspect', 'one.wav'], cwd=files, capture_output=True, text=True,
                          timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    with np.load(files / 'one-features.npz') as arrays:
        assert arrays['sample_rate'] == 44100
        assert arrays['cqt_image'].shape == arrays['mel_image'].shape == (224, 224)


def test_the_standard_library_keeps_its_inspect():
    code = 'import ser.inspect, inspect; assert inspect.signature and inspect is not ser.inspect'
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
