"""A stand-in for sounddevice that plays a file through its callback; a copy of this file is imported by that name.

SER_TEST_SOUND: the file, or nothing: then there is no device. SER_TEST_SPEED: times faster than real (default: 1).
SER_TEST_FOREVER: play again and again.
"""

import os
import threading
import time
from types import SimpleNamespace

import soundfile

BLOCK = 1024


class PortAudioError(Exception):
    """What the real module raises."""


def query_devices(kind):
    """The input, at the file's rate."""
    if not os.environ.get('SER_TEST_SOUND'):
        raise PortAudioError('Error querying device -1')
    rate = soundfile.info(os.environ['SER_TEST_SOUND']).samplerate
    return {'name': f'pretended {kind}', 'default_samplerate': float(rate)}


class InputStream:
    """Calls `callback` with (n, 1) int16 blocks from a thread; the third block says that some were lost before it."""

    def __init__(self, samplerate, channels, dtype, callback, finished_callback):
        if os.environ.get('SER_TEST_BUSY'):
            raise PortAudioError('Error opening InputStream: Device unavailable')
        assert (channels, dtype) == (1, 'int16')
        self._rate, self._callback, self._finished = samplerate, callback, finished_callback
        self._stopped, self._thread = threading.Event(), threading.Thread(target=self._play)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stopped.set()
        self._thread.join()

    def _play(self):
        samples, rate = soundfile.read(os.environ['SER_TEST_SOUND'], dtype='int16', always_2d=True)
        speed, started, played = float(os.environ.get('SER_TEST_SPEED', '1')), time.monotonic(), 0
        while not self._stopped.is_set():
            for first in range(0, len(samples), BLOCK):
                block = samples[first:first + BLOCK, :1]
                status = SimpleNamespace(input_overflow=played == 2 * BLOCK)
                self._callback(block, len(block), None, status)
                played += len(block)
                wait = started + played / rate / speed - time.monotonic()
                if self._stopped.wait(max(wait, 0)):
                    break
            if not os.environ.get('SER_TEST_FOREVER'):
                break
        self._finished()
