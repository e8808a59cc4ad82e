"""`ser.load`: the same answers as the command's, from files and from waveforms, and refusals in one line."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import ser
from ser.evaluation.calibration import Calibration
from ser.inference.loaded import LOUDEST, Answer, DimensionsAnswer, as_samples
from ser.inference.recordings import read_recording
from ser.predict import main as predict
from tests.shard_factory import audio_bytes, tone
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture(scope='module')
def model(tiny_run):  # noqa: F811
    return ser.load(tiny_run.path, device='cpu')


@pytest.fixture
def file(tmp_path):
    both = np.stack([tone(1, 1.2, 44100), tone(2, 1.2, 44100)], axis=1)
    (tmp_path / 'stereo.wav').write_bytes(audio_bytes(both, 44100, 'wav'))
    return tmp_path / 'stereo.wav'


def test_importing_is_instant():
    code = ('import sys, ser\nassert not {"torch", "numpy", "soundfile"} & set(sys.modules)\n'
            'assert "load" in dir(ser) and ser.SerError\n'
            'try: ser.lode\nexcept AttributeError as error: print(error)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60,
                          cwd=Path(__file__).parent.parent)
    assert done.stdout == "module 'ser' has no attribute 'lode'\n", done.stderr


def test_a_file_has_the_answer_of_the_command(model, tiny_run, file, capsys):  # noqa: F811
    assert predict([str(file), '--model', str(tiny_run.path), '--device', 'cpu']) == 0
    line = json.loads(capsys.readouterr().out)
    samples, rate = soundfile.read(file, dtype='float32')
    for answer in (model(file), model(str(file)), model(samples.T, rate)):
        assert isinstance(answer, Answer)
        assert (answer.emotion, answer.likeliest) == (line['emotion'], line['likeliest'])
        assert answer.confidence == pytest.approx(line['confidence'], abs=1e-6)
        assert answer.probabilities == pytest.approx(line['probabilities'], abs=1e-6)
        assert tuple(answer.probabilities) == model.names and answer.auxiliary == {}
    assert model.sample_rate == 16000 and isinstance(model.calibration, Calibration)
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.emotion = 'happy'


@pytest.mark.parametrize('rate', [16000, 44100])
@pytest.mark.parametrize('channels', [None, 1, 2])
def test_samples_are_those_of_a_file(tmp_path, rate, channels):
    shape = (6000,) if channels is None else (channels, 6000)
    waveform = np.random.default_rng(0).integers(-32768, 32767, shape).astype(np.int16)
    (tmp_path / 'x.wav').write_bytes(audio_bytes(waveform.T, rate, 'wav'))
    expected = read_recording(tmp_path / 'x.wav', 16000)
    for form in (waveform, waveform / np.float32(32768), waveform / 32768, (waveform / 32768).astype('>f4'),
                 np.asfortranarray(waveform), torch.from_numpy(waveform),
                 torch.from_numpy(waveform / 32768).requires_grad_()):
        assert np.array_equal(as_samples(form, rate, 16000), expected)
    assert np.array_equal(as_samples(waveform, float(rate), 16000), expected)


def test_it_says_what_it_is_in_one_line(model, tiny_run, tmp_path):  # noqa: F811
    assert repr(model).startswith(f'<model of {tiny_run.path}: maxmvit, mel: mvitv2; 4 classes (neutral, happy, sad, '
                                  'angry); 16000 Hz; cpu; test (')
    assert 'UA ' in repr(model) and 'protocol: ' in repr(model) and '\n' not in repr(model)
    run = tmp_path / 'run'
    shutil.copytree(tiny_run.path, run)
    (run / 'test_metrics.json').unlink()
    assert repr(ser.load(run, 'cpu')).endswith('; cpu; it was never tested>')


def test_silence_has_no_emotion(model, tiny_run, monkeypatch):  # noqa: F811
    quiet = np.zeros(16000, np.float32)
    assert model(quiet, 16000) == Answer('silence', None, None, {}, {}, True)
    loud, silent = model.batch([tone(1), quiet], 16000)
    assert not loud.silent and silent.silent and sum(loud.probabilities.values()) == pytest.approx(1)
    assert not ser.load(tiny_run.path, 'cpu', silence_db=-200)(quiet, 16000).silent
    with pytest.raises(ser.SerError, match='silence-db is 1. A level from -200 to 0 dBFS is allowed; the nearest is 0'):
        ser.load(tiny_run.path, 'cpu', silence_db=1.0)
    monkeypatch.setattr('ser.inference.predictor.Predictor.classifies', False)
    assert model(quiet, 16000) == DimensionsAnswer({}, True)


def test_many_clips_at_once(model, file):
    waveform = tone(1) / np.float32(32768)
    answers = model.batch([file, (tone(3, rate=8000), 8000), waveform, waveform[None]], 16000)
    assert answers[0].probabilities == pytest.approx(model(file).probabilities, abs=1e-6)
    assert answers[1].probabilities == pytest.approx(model(tone(3, rate=8000), 8000).probabilities, abs=1e-6)
    assert answers[2].probabilities == pytest.approx(answers[3].probabilities, abs=1e-6)
    assert model.batch([]) == []


def test_overshoot_is_cut_off_as_in_a_file():
    loud = np.array([0.5, 1.5, -LOUDEST], np.float32)
    assert as_samples(loud, 16000, 16000).tolist() == [16384, 32767, -32768]


@pytest.mark.parametrize(('waveform', 'rate', 'message'), [
    (np.zeros(0, np.float32), 16000, 'the waveform: is empty'),
    (np.zeros((2, 0), np.float32), 16000, 'shape (2, 0) cannot be used'),
    (np.array([0.0, np.nan]), 16000, 'the waveform: holds NaN or infinite samples'),
    (np.array([0.0, -np.inf], np.float32), 16000, 'NaN or infinite'),
    (np.zeros((9, 2), np.float32), 16000, 'shape (9, 2) cannot be used: (n,) or (channels, n) is wanted'),
    (np.zeros((65, 99), np.float32), 16000, 'at most 64 channels'),
    (np.zeros((1, 1, 9), np.float32), 16000, 'shape (1, 1, 9) cannot be used'),
    (np.float32(0), 16000, 'float32 is no audio: give a path'),
    (np.zeros(9, np.int32), 16000, 'samples of type int32 cannot be used: float32 or float64 in [-1, 1], or int16'),
    (torch.zeros(9, dtype=torch.bfloat16), 16000, 'samples of type bfloat16'),
    (np.full(9, 3000.0), 16000, 'a peak of 3000 cannot be used'),
    ([0.0] * 9, 16000, 'list is no audio'),
    (None, 16000, 'NoneType is no audio'),
    ('clip.wav', 16000, 'clip.wav: a file says its own sample rate'),
    (np.zeros(9), None, 'a waveform needs its sample rate'),
    (np.zeros(9), 0, 'sample_rate 0: a whole number of Hz from 2000 to 768000 is wanted'),
    (np.zeros(9), -16000, 'sample_rate -16000'),
    (np.zeros(9), 16000.5, 'sample_rate 16000.5'),
    (np.zeros(9), float('nan'), 'sample_rate nan'),
    (np.zeros(9), '16k', "sample_rate '16k'"),
])
def test_what_is_no_audio_is_refused_in_one_line(model, waveform, rate, message):
    with pytest.raises(ser.SerError) as caught:
        model(waveform, rate)
    assert message in str(caught.value) and '\n' not in str(caught.value)


def test_too_long_a_waveform_is_refused(monkeypatch):
    monkeypatch.setattr('ser.inference.loaded.MAX_SAMPLES', 100)
    with pytest.raises(ser.SerError, match=r'shape \(2, 51\) is too long \(allowed: 100 samples\)'):
        as_samples(np.zeros((2, 51)), 16000, 16000)


def test_bad_files_and_runs_are_named(model, tmp_path):
    (tmp_path / 'text.wav').write_text('no audio')
    for name, why in (('gone.wav', 'cannot be opened'), ('text.wav', 'cannot be decoded')):
        with pytest.raises(ser.SerError, match=f'{name}: {why}'):
            model(tmp_path / name)
    with pytest.raises(ser.SerError, match='clip 2: is empty'):
        model.batch([np.zeros(9), np.zeros(0)], 16000)
    with pytest.raises(ser.SerError, match='a list of clips is wanted'):
        model.batch('one.wav')
    with pytest.raises(ser.SerError, match='not a run directory'):
        ser.load(tmp_path)


def test_uncalibrated_on_demand_and_dimensions_by_name(tiny_run, file, monkeypatch):  # noqa: F811
    raw = ser.load(tiny_run.path, 'cpu', calibrated=False)
    assert not raw.calibration.fitted and raw(file).emotion == raw(file).likeliest
    monkeypatch.setattr('ser.inference.predictor.Predictor.classifies', False)
    answer = raw(file)
    assert isinstance(answer, DimensionsAnswer) and tuple(answer.dimensions) == raw.names
