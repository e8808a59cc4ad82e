"""`ser predict` as people run it."""

import io
import json
import math
import os
import pty
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from ser.cli import main as ser
from ser.files import write_json
from ser.inference.predictor import Predictor
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
        assert list(line) == ['file', 'emotion', 'likeliest', 'confidence', 'silent', 'short', 'probabilities']
        assert list(line['probabilities']) == ['neutral', 'happy', 'sad', 'angry']
        assert sum(line['probabilities'].values()) == pytest.approx(1)
        assert line['confidence'] == max(line['probabilities'].values()) == line['probabilities'][line['likeliest']]


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
    assert err.startswith('note: probabilities are uncalibrated (8 validation clips are too few')
    assert err.endswith('\n3 of 4 files could not be used: 1 empty file, 1 cannot be decoded, 1 no such file\n')


def test_all_files_bad_is_still_reported_one_by_one(files, tiny_run, capsys):  # noqa: F811
    assert main([str(files / 'empty.wav'), '--model', str(tiny_run.path), '--format', 'csv']) == 1
    assert capsys.readouterr().out.splitlines()[1].endswith('empty.wav,,,,,empty file,,,,')


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
    assert f"no such folder. Did you mean '{run}'?" in refusal(['gone.wav', '--model', f'{run}s'], capsys)
    assert 'gone.wav: no such file' in refusal(['gone.wav', '--model', run], capsys)
    assert "invalid choice: 'xml'" in refusal([good, '--model', run, '--format', 'xml'], capsys)
    assert "invalid choice: 'gpu'" in refusal([good, '--model', run, '--device', 'gpu'], capsys)
    assert '--top 0: how many' in refusal([good, '--model', run, '--top', '0'], capsys)
    assert '--threshold 1.5: a probability' in refusal([good, '--model', run, '--threshold', '1.5'], capsys)
    assert '--threshold nan: a probability' in refusal([good, '--model', run, '--threshold', 'nan'], capsys)
    assert '--jobs 0: a number of threads, 1 to 256' in refusal([good, '--model', run, '--jobs', '0'], capsys)
    assert 'is one of the recordings' in refusal([good, '--model', run, '--format', 'csv', '--out', good], capsys)
    shard = str(tiny_run.shards / 'test-00000.tar')
    assert 'is one of the recordings' in refusal([shard, '--model', run, '--format', 'csv', '--out', shard], capsys)
    assert f'nothing can be written in {good}' in refusal([good, '--model', run, '--out', f'{good}/x.csv'], capsys)
    assert 'this is a folder' in refusal([good, '--model', run, '--out', str(files)], capsys)
    assert 'no format ends in .xlsx' in refusal([good, '--model', run, '--out', 'x.xlsx'], capsys)
    assert 'silence-db is 5. A level from -200 to' in refusal([good, '--model', run, '--silence-db', '5'], capsys)
    assert "Did you mean '--format'?" in refusal([good, '--model', run, '--fromat', 'csv'], capsys)


def lines_of(arguments, capsys, code=0):
    """JSON lines of a run of the command, and what it said on stderr."""
    assert main(list(map(str, arguments))) == code
    out, err = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], err


def test_calibrated_unless_raw_and_the_threshold_may_be_given(files, tiny_run, capsys, tmp_path):  # noqa: F811
    run = tmp_path / 'run'
    shutil.copytree(tiny_run.path, run)
    write_json(run / 'calibration.json', {'temperature': 0.5, 'threshold': 0.99, 'risk': 0.1})
    given = [files / 'good.wav', '--model', run]
    (calibrated,), err = lines_of(given, capsys)
    assert calibrated['emotion'] == 'unknown' != calibrated['likeliest']
    (raw,), _ = lines_of([*given, '--raw'], capsys)
    squares = {name: share**2 for name, share in raw['probabilities'].items()}
    assert calibrated['probabilities'] == pytest.approx(
        {name: square / sum(squares.values()) for name, square in squares.items()}, abs=1e-6)
    assert raw['emotion'] == raw['likeliest'] == calibrated['likeliest']
    (named,), _ = lines_of([*given, '--threshold', '0'], capsys)
    assert named == calibrated | {'emotion': calibrated['likeliest']}
    (raw_unknown,), _ = lines_of([*given, '--raw', '--threshold', '1', '--top', '2'], capsys)
    assert raw_unknown['emotion'] == 'unknown' and len(raw_unknown['probabilities']) == 2
    assert main([*map(str, given), '--format', 'table']) == 0
    assert capsys.readouterr().err == err == (
        "note: probabilities are calibrated on validation (temperature 0.5); 'unknown' below 99 % (the run's "
        'threshold, chosen for at most 10 % wrong answers)\n')


def test_a_file_of_silence_is_said_to_be_silent(files, tiny_run, capsys):  # noqa: F811
    (files / 'quiet.wav').write_bytes(audio_bytes(np.full(16000, 9, np.int16), 16000, 'wav'))
    given = [files / 'quiet.wav', files / 'good.wav', '--model', tiny_run.path]
    (quiet, good), _ = lines_of(given, capsys)
    assert quiet == {'file': str(files / 'quiet.wav'), 'emotion': 'silence', 'likeliest': None, 'confidence': None,
                     'silent': True, 'short': False, 'probabilities': {}}
    assert not good['silent'] and good['likeliest']
    for level, silent in ((-200, False), (-80, False), (-70, True)):
        (quiet, _), _ = lines_of([*given, '--silence-db', level], capsys)
        assert quiet['silent'] is silent and bool(quiet['probabilities']) is not silent


def test_a_file_shorter_than_a_syllable_is_answered_with_a_remark(files, tiny_run, capsys):  # noqa: F811
    for name, length in (('short.wav', 1590), ('long.wav', 1600)):
        (files / name).write_bytes(audio_bytes(tone(1)[:length], 16000, 'wav'))
    answers, notes = lines_of([files / 'short.wav', files / 'long.wav', '--model', tiny_run.path], capsys)
    assert all(answer['likeliest'] for answer in answers)
    assert [answer['short'] for answer in answers] == [True, False]
    assert 'note: shorter than 0.1 s' in notes and 'short.wav' in notes and 'long.wav' not in notes


def test_a_file_heard_in_several_windows_is_said_to_be(files, tiny_run, capsys):  # noqa: F811
    (files / 'long.wav').write_bytes(audio_bytes(tone(1, 1.5), 16000, 'wav'))
    _, notes = lines_of([files / 'good.wav', files / 'long.wav', '--model', tiny_run.path], capsys)
    most = Predictor(tiny_run.path, 'cpu').config.data.max_seconds
    count = math.ceil(1.5 / most)
    assert notes.endswith(f'note: {files / "long.wav"} (2 s) was heard as {count} windows of {1.5 / count:.3g} s, '
                          'whose mean this is; --timeline shows it over time\n') and 'good.wav' not in notes


def test_a_run_whose_training_is_not_finished_is_said_to_be(files, tiny_run, capsys, tmp_path):  # noqa: F811
    run = tmp_path / 'run'
    shutil.copytree(tiny_run.path, run)
    (run / 'test_metrics.json').unlink()
    given = [files / 'good.wav', '--model', run]
    for more in ([], ['--timeline']):
        _, notes = lines_of([*given, *more, '--format', 'jsonl'], capsys)
        assert notes.startswith(f'note: training of {run} is not finished; these are its best weights so far. '
                                f'Continue: python -m ser.train --resume {run}\n')
    # Fetched from elsewhere.
    (run / 'environment.json').unlink()
    assert 'not finished' not in lines_of(given, capsys)[1]


def test_a_wrong_run_waits_for_no_torch(files):
    code = ('import sys; from ser.cli import main\n'
            'assert main(sys.argv[1:]) == 2 and not {"torch", "sklearn", "matplotlib", "fastapi"} & set(sys.modules)')
    for words in (['predict', 'good.wav', '--model', 'gone'], ['inspect', 'good.wav', '--model', 'gone'],
                  ['serve', 'gone'], ['report', 'gone'], ['train', '--resume', 'gone'],
                  ['export', 'gone', '--format', 'onnx']):
        done = subprocess.run([sys.executable, '-c', code, *words], cwd=files, capture_output=True, text=True,
                              timeout=60, env=os.environ | {'PYTHONPATH': str(ROOT)})
        assert done.returncode == 0 and done.stderr.startswith('error: gone: no such folder. Runs are'), done.stderr


def test_the_number_of_threads_changes_not_a_byte(files, tiny_run, capsys):  # noqa: F811
    texts = []
    for jobs in ('1', '2', '7'):
        assert main([str(files), str(tiny_run.shards), '--model', str(tiny_run.path), '--jobs', jobs]) == 1
        texts.append(capsys.readouterr().out)
    assert texts[0].count('\n') == 4 + 64 and len(set(texts)) == 1


def test_shards_and_standard_input(files, tiny_run, capsys, monkeypatch):  # noqa: F811
    audio = (files / 'good.wav').read_bytes()
    monkeypatch.setattr('sys.stdin', types.SimpleNamespace(buffer=io.BytesIO(audio), isatty=lambda: False))
    key, clip = next(iter(tiny_run.clips.items()))
    shard = tiny_run.shards / 'test-00000.tar'
    given = ['-', files / 'good.wav', shard, clip]
    lines, _ = lines_of([*given, '--model', tiny_run.path], capsys)
    assert lines[0]['file'] == '-' and lines[2]['file'] == f'{shard}/{key}'
    for one, other in ((0, 1), (2, -1)):
        assert lines[one]['probabilities'] == pytest.approx(lines[other]['probabilities'], abs=1e-6)


def test_a_damaged_shard_is_named_and_the_rest_goes_on(files, tiny_run, capsys):  # noqa: F811
    (files / 'cut.tar').write_bytes((tiny_run.shards / 'test-00000.tar').read_bytes()[:3000])
    given = [files / 'cut.tar', files / 'good.wav', '--model', tiny_run.path]
    lines, err = lines_of(given, capsys, code=1)
    assert lines[0]['file'] == str(files / 'cut.tar') and 'truncated' in lines[0]['error']
    assert err.endswith('\n1 of 2 files could not be used: 1 not a usable shard\n')


def test_odd_names(files, tiny_run, capsys, monkeypatch):  # noqa: F811
    monkeypatch.chdir(files)
    audio = (files / 'good.wav').read_bytes()
    names = ['--top', '-', 'new\nline', os.fsdecode(b'\xff.wav')]
    for name in names:
        Path(name).write_bytes(audio)
    given = ['--top', './-', *names[2:]]
    lines, _ = lines_of(['--model', tiny_run.path, '--', *given], capsys)
    assert [line['file'] for line in lines] == names


def test_out_is_written_whole_and_its_suffix_names_the_format(files, tiny_run, capsys):  # noqa: F811
    given = [str(files / 'good.wav'), str(files / 'empty.wav'), '--model', str(tiny_run.path)]
    for name, start in (('a.csv', 'file,emotion,likeliest,'), ('a.jsonl', '{"file"'), ('a.txt', 'file  ')):
        assert main([*given, '--out', str(files / 'new' / name)]) == 1
        out, err = capsys.readouterr()
        assert out == '' and err.startswith(f'{files / "new" / name}: written, 2 files\n')
        text = (files / 'new' / name).read_text()
        assert text.startswith(start) and text.endswith('\n') and text.count('empty file') == 1
    assert main([*given, '--out', str(files / 'new' / 'a.csv'), '--format', 'jsonl']) == 1
    assert json.loads((files / 'new' / 'a.csv').read_text().splitlines()[1])['error'] == 'empty file'
    assert not list((files / 'new').glob('.*'))


def test_a_regression_takes_no_options_of_classes(files, tiny_run, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr('ser.inference.predictor.Predictor.classifies', False)
    for option in (['--top', '2'], ['--threshold', '0.5'], ['--raw']):
        said = refusal([str(files / 'good.wav'), '--model', str(tiny_run.path), *option], capsys)
        assert f'{option[0]}: this run predicts dimensions (neutral, happy, sad, angry), not classes' in said


def test_further_heads_are_pointed_to(files, tiny_run, capsys, monkeypatch):  # noqa: F811
    init = Predictor.__init__

    def with_gender(self, *args, **options):
        init(self, *args, **options)
        self.auxiliary = {'gender': ('female', 'male')}

    monkeypatch.setattr(Predictor, '__init__', with_gender)
    given = [str(files / 'good.wav'), '--model', str(tiny_run.path), '--format']
    assert main([*given, 'csv']) == 0
    pointer = 'note: this model also answers for gender: --format jsonl shows it\n'
    assert capsys.readouterr().err.endswith(f'\n{pointer}')
    assert main([*given, 'jsonl']) == 0
    told = capsys.readouterr().err
    assert 'gender' not in told and told.startswith('note: ') and told.count('\n') == 1


def test_an_absent_device_is_refused(files, tiny_run, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    arguments = [str(files / 'good.wav'), '--model', str(tiny_run.path), '--device', 'cuda']
    assert 'cuda was asked for' in refusal(arguments, capsys)


def test_synthetic_training_speech_is_said(files, tiny_run, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr('ser.inference.predictor.trained_on_synthetic_speech', lambda run: True)
    assert main([str(files / 'good.wav'), '--model', str(tiny_run.path)]) == 0
    assert 'trained on synthetic speech' in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(('arguments', 'flows'), [([], False), (['--format', 'csv'], False), (['--out', 'x'], False),
                                                  (['--format', 'jsonl'], True), (['--format', 'table'], False)])
def test_a_bar_where_a_terminal_shows_nothing_else(files, tiny_run, monkeypatch, arguments, flows):  # noqa: F811
    monkeypatch.chdir(files)
    monkeypatch.setattr('sys.stderr', Terminal())
    monkeypatch.setattr('sys.stdout', Terminal() if '--format' in arguments[:1] and 'csv' not in arguments
                        else io.StringIO())
    assert main(['good.wav', '*/*.flac', '--model', str(tiny_run.path), *arguments]) == 0
    assert ('| 0/2 [' in sys.stderr.getvalue()) != flows


@pytest.mark.slow
def test_as_a_process_a_table_on_a_terminal(files, tiny_run):  # noqa: F811
    terminal, end = pty.openpty()
    command = [sys.executable, '-m', 'ser.predict', 'good.wav', 'empty.wav', '--model', str(tiny_run.path)]
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, cwd=files, stdout=end, stderr=subprocess.PIPE, text=True, timeout=300,
                          env=environment)
    os.close(end)
    text = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert done.returncode == 1, done.stderr
    lines = text.splitlines()
    assert lines[0].split() == ['file', 'emotion', 'confidence', 'neutral', 'happy', 'sad', 'angry']
    assert lines[2].startswith('good.wav')
    assert lines[3] == 'empty.wav: empty file'
