"""Where the windows of a long recording lie, and their samples as the recording is read."""

import math
from dataclasses import dataclass

import numpy as np

from ser.errors import SerError

WINDOW_SECONDS, HOP_SECONDS, MIN_SEGMENT_SECONDS = 3.0, 1.0, 1.0
SILENCE_DB = -60.0
"""Level in dBFS under which nobody is taken to speak. The loudest tenth of a second of the softest clips of RAVDESS
lies at -52 dBFS, the silence of its studio at -70 and below."""

SHORTEST_WINDOW_SECONDS, SHORTEST_HOP_SECONDS = 0.1, 0.05
LOWEST_DB = -200.0
"""Level of digital silence, and the lowest there is."""

_FRAME_SECONDS = 0.1
_ENVELOPE_SPANS = 4096


@dataclass(frozen=True)
class Grid:
    """Lengths in samples. A hop is a whole number of frames, whose levels tell silence apart."""

    sample_rate: int
    window: int
    hop: int
    frame: int

    def edges(self, samples):
        """Where the steps of a recording of so many samples begin, and its end: int64 (S + 1,); the last is short."""
        return np.append(np.arange(0, samples, self.hop), samples)


def grid_of(sample_rate, max_seconds, window_seconds=None, hop_seconds=None):
    """The Grid for these lengths. max_seconds: longest clip that the model takes.

    None is 3 s and 1 s, or less where the model takes less. Raises SerError for lengths that do not fit.
    """
    if window_seconds is None:
        window_seconds = min(WINDOW_SECONDS, max_seconds)
    _within('window', window_seconds, SHORTEST_WINDOW_SECONDS, max_seconds, "the run's data.max_seconds")
    if hop_seconds is None:
        hop_seconds = min(HOP_SECONDS, window_seconds)
    _within('hop', hop_seconds, SHORTEST_HOP_SECONDS, window_seconds, 'the window')
    frames = max(1, round(hop_seconds / _FRAME_SECONDS))
    # Rounded down, but not for what floating point lost: a hop is no longer than its window.
    frame = int(hop_seconds * sample_rate / frames + 1e-6)
    return Grid(sample_rate, int(window_seconds * sample_rate + 1e-6), frame * frames, frame)


def check_segments(min_segment_seconds, silence_db):
    """Raises SerError for a shortest segment or a level of silence that makes no sense."""
    if not (math.isfinite(min_segment_seconds) and min_segment_seconds >= 0):
        raise SerError(f'min-segment is {min_segment_seconds:g} s. Seconds from 0 up are allowed; 0 merges nothing')
    check_silence(silence_db)


def check_silence(silence_db):
    """Raises SerError for a level of silence that makes no sense; LOWEST_DB takes nothing for silence."""
    if not LOWEST_DB <= silence_db <= 0:
        raise SerError(f'silence-db is {silence_db:g}. A level from {LOWEST_DB:g} to 0 dBFS is allowed; the nearest is '
                       f'{0 if silence_db > 0 else LOWEST_DB:g}')


def _within(name, value, low, high, of):
    if not low <= value <= high:
        near = high if value > high else low
        raise SerError(f'{name} is {value:g} s. Allowed are {low:g} s to {high:g} s, {of}; the nearest is {near:g}')


def level_db(samples):
    """Level in dBFS, float64 (...), of int16 (..., n) samples: their RMS over the last axis, LOWEST_DB for zeros."""
    power = np.square(samples, dtype=np.float64).mean(axis=-1) / 32768.0**2
    return 10 * np.log10(np.maximum(power, 10 ** (LOWEST_DB / 10)))


def frame_levels(samples, frame):
    """(levels in dBFS of the whole frames of int16 (n,) samples, list of floats; the samples that are left over)."""
    whole = len(samples) // frame * frame
    return level_db(samples[:whole].reshape(-1, frame)).tolist(), samples[whole:]


def is_silent(samples, sample_rate, silence_db=SILENCE_DB):
    """Whether nobody is taken to speak in int16 (n,) samples, n >= 1, as `timeline_of` tells silence apart.

    No frame of 0.1 s reaches silence_db (dBFS); the last frame may be shorter.
    """
    levels, rest = frame_levels(samples, grid_of(sample_rate, math.inf).frame)
    return max([*levels, *([float(level_db(rest))] if len(rest) else [])]) < silence_db


class Course:
    """What is kept of a recording as its windows go by: levels, an envelope, how long it is; never its samples."""

    def __init__(self, grid):
        self.grid = grid
        self.samples = 0
        self.envelope = Envelope()
        self._levels, self._rest, self._ended = [], np.zeros(0, np.int16), False

    def windows(self, blocks):
        """Yield (start, samples) of each window of int16 `blocks`, in order: one every hop, all of the same length.

        The last one ends where the recording does, so it may start less than a hop after the one before. A recording
        shorter than a window is one window.
        """
        size, hop = self.grid.window, self.grid.hop
        held, base, start, covered = np.zeros(0, np.int16), 0, 0, 0
        for block in blocks:
            self._add(block)
            held = np.concatenate([held, block])
            while start + size <= self.samples:
                yield start, held[start - base:start - base + size]
                start, covered = start + hop, start + size
            # The last window may need all of these.
            gone = max(0, self.samples - size - base)
            held, base = held[gone:], base + gone
        self._finish()
        if covered < self.samples:
            first = max(0, self.samples - size)
            yield first, held[first - base:]

    def loudest(self, start, end):
        """Level in dBFS of the loudest frame that lies inside samples start to end."""
        frame = self.grid.frame
        first = -(-start // frame)
        last = len(self._levels) if self._ended and end == self.samples else end // frame
        return max(self._levels[first:last], default=LOWEST_DB)

    def _add(self, block):
        self.samples += len(block)
        self.envelope.add(block)
        levels, self._rest = frame_levels(np.concatenate([self._rest, block]), self.grid.frame)
        self._levels += levels

    def _finish(self):
        if len(self._rest):
            self._levels.append(float(level_db(self._rest)))
        self._ended = True


class Envelope:
    """The lowest and highest sample of equal spans, twice as long whenever there are too many: bounded memory."""

    def __init__(self, spans=_ENVELOPE_SPANS):
        self._spans, self._size = spans, 64
        self._low, self._high = np.zeros(0, np.int16), np.zeros(0, np.int16)
        self._rest = np.zeros(0, np.int16)

    def add(self, block):
        """Take in the next int16 (n,) samples."""
        self._rest = np.concatenate([self._rest, block])
        while count := min(len(self._rest) // self._size, 2 * self._spans - len(self._low)):
            spans = self._rest[:count * self._size].reshape(count, self._size)
            self._rest = self._rest[count * self._size:]
            self._low = np.concatenate([self._low, spans.min(axis=1)])
            self._high = np.concatenate([self._high, spans.max(axis=1)])
            if len(self._low) == 2 * self._spans:
                self._low = self._low.reshape(-1, 2).min(axis=1)
                self._high = self._high.reshape(-1, 2).max(axis=1)
                self._size *= 2

    def spans(self):
        """(low, high, samples per span): int16 (E,) each; the last span may hold fewer samples."""
        if not len(self._rest):
            return self._low, self._high, self._size
        return np.append(self._low, self._rest.min()), np.append(self._high, self._rest.max()), self._size
