"""Every small preset through the same commands: trains, stops, resumes to the same weights, evaluates, predicts."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ser.config.load import load_config
from ser.config.presets import preset_names
from ser.errors import SerError
from ser.evaluate import main as evaluate
from ser.evaluation import plots
from ser.files import sha256_of
from ser.models import build_model
from ser.predict import main as predict
from ser.train import main as train
from ser.training.loop import Trainer
from tests.shard_factory import EMOTIONS, audio_bytes, make_shards, tone

ROOT = Path(__file__).resolve().parent.parent
# What is fitted at once has no step to stop after.
FITTED = ('majority', 'svm')
PRESETS = [name for name in preset_names() if name.endswith('-tiny') or name in FITTED]
RATE = 16000
SHRUNK = ['data.workers=0', 'data.audit=quick', 'training.epochs=1', 'training.batch_size=4',
          'evaluation.bootstrap=20', 'run.threads=1']


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=6, clips_per=1, rate=RATE, shard_sizes=(9, 15))
    return folder


@pytest.fixture(scope='module')
def recordings(tmp_path_factory):
    """A clip, silence and 0.05 s, as files."""
    folder = tmp_path_factory.mktemp('recordings')
    clips = {'a': tone(1), 'b-silence': np.zeros(RATE // 2, np.int16), 'c-short': tone(2, 0.05)}
    for name, samples in clips.items():
        (folder / f'{name}.wav').write_bytes(audio_bytes(samples, RATE, 'wav'))
    return folder


@pytest.fixture(autouse=True)
def _threads_and_no_pictures(monkeypatch):
    """Threads as before, and no time spent on drawing, which has tests of its own."""
    before = torch.get_num_threads()
    monkeypatch.setattr(plots, 'save', lambda figure, path: Path(path).write_bytes(b'a picture'))
    yield
    torch.set_num_threads(before)


def arguments(preset, shards, out):
    return ['--shards', str(shards), '--config', preset, '--out', str(out), '--device', 'cpu', '--set', *SHRUNK]


def rows(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def stop_after_a_step(monkeypatch):
    """From now on, training is asked to stop by a signal once its first step is done and saved."""
    plain = Trainer.launch

    def launch(self, fetched, stop=None):
        stopped = plain(self, fetched, stop)
        if self.progress.global_step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return stopped

    monkeypatch.setattr(Trainer, 'launch', launch)


@pytest.mark.parametrize('preset', [
    # Of images, encoders and experts, smaller models do all this in test_train, test_ssl and test_moe.
    pytest.param(preset, marks=[] if preset in ('crnn-tiny', 'svm') else [pytest.mark.slow])
    for preset in PRESETS])
def test_a_preset_trains_stops_resumes_evaluates_and_predicts(preset, shards, recordings, tmp_path, monkeypatch,
                                                              capfd):
    whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
    assert train(arguments(preset, shards, whole)) == 0
    with monkeypatch.context() as patch:
        stop_after_a_step(patch)
        code = train([*arguments(preset, shards, stopped), 'training.checkpoint_steps=1'])
    assert code == (0 if preset in FITTED else 128 + signal.SIGTERM)
    assert train(['--resume', str(stopped)]) == 0
    assert sha256_of(stopped / 'best.safetensors') == sha256_of(whole / 'best.safetensors')
    assert (stopped / 'predictions.csv').read_bytes() == (whole / 'predictions.csv').read_bytes()
    scores = json.loads((whole / 'test_metrics.json').read_text())
    assert evaluate([str(whole)]) == 0
    assert json.loads((whole / 'test_metrics.json').read_text()) == scores
    capfd.readouterr()
    assert predict([str(recordings), '--model', str(whole), '--device', 'cpu', '--format', 'jsonl']) in (0, 1)
    answers = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert len(answers) == 3 and 'error' not in answers[0]
    for answer in answers:
        assert answer['silent'] is (answer['file'].endswith('silence.wav'))
        if 'error' not in answer and not answer['silent']:
            assert list(answer['probabilities']) == list(EMOTIONS)
            assert sum(answer['probabilities'].values()) == pytest.approx(1, abs=1e-3)


@pytest.fixture(scope='module')
def models():
    """The model of each preset with random weights and statistics, built once."""
    built = {}

    def model_of(preset):
        if preset not in built:
            config = load_config((preset,))
            torch.manual_seed(0)
            model = build_model(config, EMOTIONS, load_pretrained=False).eval().requires_grad_(False)
            for module in model.modules():
                if getattr(module, 'running_mean', None) is not None:
                    module.running_mean.normal_(0, 0.5)
                    module.running_var.uniform_(0.5, 2)
            built[preset] = config, model
        return built[preset]

    return model_of


def clips(rate, *seconds):
    return [torch.from_numpy(tone(i, s, rate)) for i, s in enumerate(seconds)]


def batch(waveforms, total=None):
    """(int16 (B, T), lengths) of clips, padded with zeros to `total` samples or to the longest."""
    lengths = torch.tensor([len(clip) for clip in waveforms])
    padded = torch.zeros(len(waveforms), total or int(lengths.max()), dtype=torch.int16)
    for row, clip in zip(padded, waveforms, strict=True):
        row[:len(clip)] = clip
    return padded, lengths


@pytest.mark.parametrize('preset', PRESETS)
def test_a_clip_gives_the_same_logits_alone_and_in_a_padded_batch(preset, models):
    config, model = models(preset)
    rate = config.data.sample_rate
    several = clips(rate, 0.41, 1.3, 0.77)
    together = model(*batch(several, int(1.9 * rate)))
    alone = torch.cat([model(*batch([clip])) for clip in several])
    assert together.shape == (3, len(EMOTIONS)) and together.isfinite().all()
    assert (together - alone).abs().max() < 1e-4


@pytest.mark.parametrize(('preset', 'what'), [
    # A minute of constant-Q transform takes seconds.
    pytest.param(preset, what, marks=[pytest.mark.slow] if (preset, what) == ('maxmvit-tiny', '60 s') else [])
    for preset in PRESETS for what in ('silence', '0.05 s', '60 s')])
def test_odd_clips_are_finite_or_refused_clearly(preset, what, models):
    config, model = models(preset)
    rate = config.data.sample_rate
    clip = {'silence': torch.zeros(rate, dtype=torch.int16), '0.05 s': clips(rate, 0.05)[0],
            '60 s': clips(rate, 60)[0]}[what]
    try:
        logits = model(*batch([clip]))
    except SerError as error:
        assert '\n' not in str(error) and any(character.isdigit() for character in str(error))
    else:
        assert logits.shape == (1, len(EMOTIONS)) and logits.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize('preset', [preset for preset in PRESETS if preset not in FITTED])
def test_a_killed_preset_resumes_to_the_same_weights(preset, shards, tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    assert train([*arguments(preset, shards, whole), 'training.epochs=4']) == 0
    command = [*arguments(preset, shards, killed), 'training.epochs=4', 'training.checkpoint_steps=1',
               'run.log_seconds=0.001']
    with subprocess.Popen([sys.executable, '-m', 'ser.train', *command], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:
        deadline = time.monotonic() + 200
        for line in process.stdout:
            if 'epoch 2/' in line:
                process.kill()
                break
            assert time.monotonic() < deadline
        process.stdout.read()
    assert train(['--resume', str(killed), '--set', 'data.workers=1']) == 0
    assert sha256_of(killed / 'best.safetensors') == sha256_of(whole / 'best.safetensors')
    epochs = rows(whole / 'metrics.csv')
    assert [row['epoch'] for row in rows(killed / 'metrics.csv')] == [row['epoch'] for row in epochs]
