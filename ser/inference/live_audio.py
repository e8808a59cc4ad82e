"""Sound as it comes: a ring of the latest samples, and the microphone that fills it."""

import threading
import time
from contextlib import contextmanager

import numpy as np

from ser.errors import SerError, install

RING_SECONDS = 30.0
"""What is held of sound that nobody has asked for yet; older sound is lost, and counted."""


class Ring:
    """The latest `capacity` samples, int16, between a callback that writes and a loop that takes.

    lost: samples that were written over before anybody took them. overruns: times that this or the device lost some.
    """

    def __init__(self, capacity):
        self._samples = np.zeros(capacity, np.int16)
        self._written = self._taken = self.lost = self.overruns = 0
        self._arrived, self._ended = 0.0, False
        self._changed = threading.Condition()

    def write(self, block, overrun=False):
        """Add int16 (n,) samples over the oldest ones. overrun: whether the device lost some before these."""
        with self._changed:
            self._arrived = time.monotonic()
            self.overruns += bool(overrun)
            size = len(self._samples)
            kept = block[-size:]
            places = (self._written + len(block) - len(kept) + np.arange(len(kept))) % size
            self._samples[places] = kept
            self._written += len(block)
            self._changed.notify()

    def end(self):
        """No more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def take(self, count):
        """(all samples that were not taken yet, time.monotonic() at which the last one came), once there are `count`.

        None when the sound has ended before there are.
        """
        with self._changed:
            # Short waits: some systems deliver Ctrl-C only between them.
            while self._written - self._taken < count:
                if self._ended:
                    return None
                self._changed.wait(0.1)
            size = len(self._samples)
            first = max(self._taken, self._written - size)
            self.lost += first - self._taken
            self.overruns += first > self._taken
            self._taken = self._written
            return self._samples[np.arange(first, self._written) % size], self._arrived


def sound_library():
    """The sounddevice module. Raises SerError where it or PortAudio is missing."""
    try:
        import sounddevice
    except ImportError:
        raise SerError(f'--microphone needs the package sounddevice: {install("mic")}') from None
    except OSError as error:
        raise SerError(f'--microphone needs PortAudio, which sounddevice cannot load ({_one_line(error)}). Install it '
                       'with the system\'s package manager (Debian, Ubuntu: apt-get install libportaudio2)') from None
    return sounddevice


@contextmanager
def microphone(library):
    """Open the default input of a `sound_library()`: yields (Ring that it fills, its sample rate in Hz, its name).

    Raises SerError where there is no input or where it cannot be opened.
    """
    try:
        device = library.query_devices(kind='input')
        rate = int(device['default_samplerate'])
    except (library.PortAudioError, ValueError) as error:
        raise SerError(f'no microphone was found ({_one_line(error)}). Plug one in, or choose the default input in the '
                       "system's sound settings; python -m sounddevice lists the devices") from None
    ring = Ring(int(RING_SECONDS * rate))

    def heard(samples, frames, clock, status):
        ring.write(samples[:, 0], status.input_overflow)

    try:
        stream = library.InputStream(samplerate=rate, channels=1, dtype='int16', callback=heard,
                                     finished_callback=ring.end)
    except (library.PortAudioError, ValueError) as error:
        raise SerError(f'the microphone {device["name"]!r} cannot be opened at {rate} Hz ({_one_line(error)}). Is '
                       'another program using it, or is access to it forbidden?') from None
    with stream:
        yield ring, rate, device['name']


def _one_line(error):
    return ' '.join(str(error).split()).rstrip('.') or type(error).__name__
