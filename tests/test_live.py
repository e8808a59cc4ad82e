"""Listening to sound that is known: what is shown, falling behind, and the command with a pretended microphone."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ser.errors import SerError
from ser.evaluation.calibration import Calibration
from ser.inference.live import Heard, listen, live_grid
from ser.inference.live_audio import Ring
from ser.predict import main
from tests.listener import RATE, Listener, noise
from tests.shard_factory import audio_bytes
from tests.tiny_run import tiny_run  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


class Steady(Ring):
    """Samples that come hop by hop, as fast as they are taken."""

    def __init__(self, samples, hops):
        super().__init__(len(samples))
        self.parts = np.split(samples, np.cumsum(hops)[:-1])

    def take(self, count):
        if not self.parts:
            return None
        self.write(self.parts.pop(0))
        return super().take(0)


def test_each_hop_shows_the_latest_window():
    predictor, shown = Listener(), []
    samples = np.concatenate([noise(4, 1000), np.zeros(4 * RATE, np.int16), noise(4, 12000)])
    heard = listen(predictor, Steady(samples, [RATE] * 12), RATE, live_grid(predictor, 3.0, 1.0), shown.append)
    assert [update.emotion for update in shown] == ['low'] * 6 + ['silence'] * 2 + ['middle', 'high', 'high', 'high']
    assert [update.seconds for update in shown] == list(range(1, 13))
    for i in (0, 2, 3, 9):
        window = samples[max(0, (i - 2) * RATE):(i + 1) * RATE]
        assert shown[i].values == pytest.approx(predictor.values([window])[0])
        assert shown[i].confidence == shown[i].values.max()
    assert shown[7].values is None and shown[7].level_db == -200
    assert (heard.seconds, len(heard.latencies), heard.skipped, heard.overruns) == (12, 12, 0, 0)
    assert all(0 <= latency < 5 for latency in heard.latencies)


def test_what_came_meanwhile_is_skipped_and_the_latest_shown():
    predictor, shown = Listener(), []
    samples = np.concatenate([noise(4, 1000), noise(4, 12000)])
    ring = Steady(samples, [RATE, 6 * RATE, RATE])
    heard = listen(predictor, ring, RATE, live_grid(predictor, 2.0, 1.0), shown.append)
    assert [update.seconds for update in shown] == [1, 7, 8] and heard.skipped == 5
    assert shown[1].values == pytest.approx(predictor.values([samples[5 * RATE:7 * RATE]])[0])


def test_other_rates_are_resampled_as_they_come():
    predictor, shown = Listener(), []
    tone = np.round(9000 * np.sin(2 * np.pi * 220 * np.arange(3 * 44100) / 44100)).astype(np.int16)
    listen(predictor, Steady(tone, [44100] * 3), 44100, live_grid(predictor, 1.0, 1.0), shown.append)
    level = 20 * np.log10(9000 / np.sqrt(2) / 32768)
    assert [update.level_db for update in shown] == [pytest.approx(level, abs=0.2)] * 3


def test_calibration_and_doubt():
    predictor, shown = Listener(), []
    predictor.calibration = Calibration(3.0, 0.6)
    listen(predictor, Steady(noise(1, 2000), [RATE]), RATE, live_grid(predictor), shown.append)
    assert shown[0].emotion == 'unknown'
    assert shown[0].values == pytest.approx(predictor.calibration.apply(predictor.values([noise(1, 2000)]))[0])


def test_an_interruption_ends_it_cleanly():
    def interrupted(update):
        raise KeyboardInterrupt

    heard = listen(Listener(), Steady(noise(1, 2000), [RATE]), RATE, live_grid(Listener()), interrupted)
    assert heard.words() == 'heard 1.0 s, 0 updates; 0 overruns'


def test_words_of_how_it_went():
    heard = Heard(12.34, [0.010, 0.020, 0.030], 4, 1, 0.5)
    assert heard.words() == (
        'heard 12.3 s, 3 updates; latency 20 ms (median), 29 ms (95 %); 1 overrun (0.5 s of sound lost); 4 updates '
        'skipped: this machine takes longer than a hop. Give a longer --hop')


def test_refusals():
    with pytest.raises(SerError, match='hop is 20 s'):
        live_grid(Listener(), 3.0, 20.0)
    with pytest.raises(SerError, match='silence-db is 5'):
        live_grid(Listener(), silence_db=5.0)
    regression = Listener()
    regression.classifies, regression.names = False, ('arousal',)
    with pytest.raises(SerError, match=r'predicts dimensions \(arousal\)'):
        live_grid(regression)


@pytest.fixture
def environment(tmp_path):
    (tmp_path / 'modules').mkdir()
    shutil.copy(Path(__file__).parent / 'pretend_microphone.py', tmp_path / 'modules' / 'sounddevice.py')
    (tmp_path / 'x.wav').write_bytes(audio_bytes(noise(2, 3000), RATE, 'wav'))
    return os.environ | {'PYTHONPATH': f'{tmp_path / "modules"}{os.pathsep}{ROOT}', 'OMP_NUM_THREADS': '1',
                         'SER_TEST_SOUND': str(tmp_path / 'x.wav')}


def test_the_command_until_the_sound_ends(environment, tiny_run, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.syspath_prepend(tmp_path / 'modules')
    monkeypatch.setenv('SER_TEST_SOUND', environment['SER_TEST_SOUND'])
    assert main(['--microphone', '--model', str(tiny_run.path), '--hop', '0.5', '--raw']) == 0
    sys.modules.pop('sounddevice')
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert 1 <= len(lines) <= 4 and all(re.match(r'0:0\d\.\d  \w+ \(.* %\)  -\d+ dBFS  neutral=', line)
                                        for line in lines)
    assert 'listening to pretended input; Ctrl-C ends it\n' in err
    assert re.search(r'heard [12]\.\d s, \d updates; latency \d+ ms \(median\), \d+ ms \(95 %\); 1 overrun', err)


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_ends_with_0(environment, tiny_run):  # noqa: F811
    terminal, end = pty.openpty()
    command = [sys.executable, '-m', 'ser.predict', '--microphone', '--model', str(tiny_run.path), '--hop', '0.2']
    # A parent that ignores Ctrl-C hands that down.
    process = subprocess.Popen(command, stdout=end, stderr=subprocess.PIPE, text=True,
                               env=environment | {'SER_TEST_FOREVER': '1'},
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    os.close(end)
    text, until = '', time.monotonic() + 100
    while text.count('\x1b[5A') < 2 and time.monotonic() < until:
        text += os.read(terminal, 65536).decode(errors='replace')
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    os.close(terminal)
    assert process.returncode == 0 and '█' in text, err
    assert 'updates; latency' in err and 'Traceback' not in err
