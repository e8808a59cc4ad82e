"""The ring between a callback and a loop, and a microphone that is pretended, missing, busy."""

import builtins
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from ser.errors import SerError
from ser.inference.live_audio import Ring, microphone, sound_library
from tests.listener import noise
from tests.shard_factory import audio_bytes


@pytest.mark.parametrize('seed', range(5))
def test_a_ring_gives_what_was_written_once_and_in_order(seed):
    generator, ring = np.random.default_rng(seed), Ring(50)
    samples, written, taken = generator.integers(-9, 9, 500).astype(np.int16), 0, []
    while written < 500:
        size = int(generator.integers(0, 26))
        ring.write(samples[written:written + size])
        written += size
        if generator.random() < 0.7 or written + 26 > 50 + sum(map(len, taken)):
            taken.append(ring.take(0)[0])
    taken.append(ring.take(0)[0])
    assert np.array_equal(np.concatenate(taken), samples) and (ring.lost, ring.overruns) == (0, 0)


def test_what_is_written_over_is_counted():
    ring = Ring(10)
    ring.write(np.arange(7, dtype=np.int16))
    ring.write(np.arange(7, 34, dtype=np.int16), overrun=True)
    assert ring.take(1)[0].tolist() == list(range(24, 34))
    assert (ring.lost, ring.overruns) == (24, 2)


def test_taking_waits_for_enough_and_ends_with_the_sound():
    ring, found = Ring(100), []
    thread = threading.Thread(target=lambda: found.extend([ring.take(6), ring.take(1)]))
    thread.start()
    ring.write(np.ones(5, np.int16))
    ring.write(np.ones(5, np.int16))
    ring.end()
    thread.join(10)
    assert len(found[0][0]) == 10 and found[0][1] > 0 and found[1] is None


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """The module as `import sounddevice` finds it."""
    shutil.copy(Path(__file__).parent / 'pretend_microphone.py', tmp_path / 'sounddevice.py')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'sounddevice', raising=False)
    yield sound_library()
    sys.modules.pop('sounddevice')


def test_the_microphone_fills_the_ring(pretended, tmp_path, monkeypatch):
    samples = noise(0.5, 3000)
    (tmp_path / 'x.wav').write_bytes(audio_bytes(samples, 8000, 'wav'))
    monkeypatch.setenv('SER_TEST_SOUND', str(tmp_path / 'x.wav'))
    monkeypatch.setenv('SER_TEST_SPEED', '100')
    with microphone(pretended) as (ring, rate, name):
        assert (rate, name) == (8000, 'pretended input')
        assert np.array_equal(ring.take(4000)[0], samples)
        assert ring.take(1) is None and ring.overruns == 1


def test_no_device_and_a_busy_one_are_said(pretended, tmp_path, monkeypatch):
    with pytest.raises(SerError, match='no microphone was found .Error querying device -1.. Plug one in'), \
            microphone(pretended):
        pass
    (tmp_path / 'x.wav').write_bytes(audio_bytes(noise(0.1, 9), 8000, 'wav'))
    monkeypatch.setenv('SER_TEST_SOUND', str(tmp_path / 'x.wav'))
    monkeypatch.setenv('SER_TEST_BUSY', '1')
    with pytest.raises(SerError, match="'pretended input' cannot be opened at 8000 Hz .Error opening"), \
            microphone(pretended):
        pass


@pytest.mark.parametrize(('error', 'said'), [
    (ImportError('no'), r"needs the package sounddevice: pip install -e '\.\[mic\]'"),
    (OSError('PortAudio library not found'), r'needs PortAudio, .* \(PortAudio library not found\)\. Install it')])
def test_a_missing_library_is_said(monkeypatch, error, said):
    real = builtins.__import__

    def missing(name, *rest):
        if name == 'sounddevice':
            raise error
        return real(name, *rest)

    monkeypatch.setattr(builtins, '__import__', missing)
    with pytest.raises(SerError, match=said):
        sound_library()
