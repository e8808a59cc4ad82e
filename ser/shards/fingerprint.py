"""A clip's fingerprint: which samples it holds, what it sounds like whatever was done to the file, and plain facts.

The descriptor says where in time and pitch the energy below 3.2 kHz lies, relative to the clip's own middle, spread and
level. So gain, silence before and after, resampling and lossy coding hardly move it, and another take moves it far.
"""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from ser.shards.decode import decode

RATE_HZ = 8000
BAND_HZ = (100.0, 3200.0)
"""What is compared: below the edge of 8 kHz recordings, above hum and DC."""

FRAME_SECONDS = 0.01
SILENCE_DB = 35.0
"""A frame this far below the clip's loudest is silence."""

CELLS, BANDS = 32, 16
DESCRIPTOR = CELLS * BANDS
FACTS = ('duration_seconds', 'level_db', 'leading_silence', 'trailing_silence', 'inner_silence', 'rate_hz',
         'bandwidth_hz')
"""Seconds; RMS in dB of full scale; shares of the duration; Hz as stored; Hz up to which there is anything."""

_HOP = round(RATE_HZ * FRAME_SECONDS)
_WINDOW = 256
_BLOCK_FRAMES = 4096
# The descriptor covers this many standard deviations of the energy in time.
_WIDTH = 5.0
_FLOOR = 1e-4
_FULL_SCALE = 32768.0
_UNREADABLE_RATE_HZ = 16000

_SPECTRUM = 1024
_SPECTRUM_FRAMES = 64
_SPECTRUM_BANDS = 128
_SPECTRUM_PERCENTILE = 80
_ABOVE_ROUNDING_DB = 10.0
_WALL_DB = 20.0
_WALL_BANDS = 6
# Nothing is recorded or coded for less; a hum ends like a wall.
_LEAST_WALL_HZ = 3000.0
_FULL_BAND = 0.85


@dataclass(frozen=True)
class Fingerprint:
    """Of one clip. pcm: sha256 (32 bytes) of the decoded int16 samples. facts: float32 (7,), FACTS, NaN if unknown.

    descriptor: int8 (512,), a direction; spread: seconds, the standard deviation of the energy in time. Both are zero
    in a clip without any sound.
    """

    pcm: bytes
    facts: np.ndarray
    descriptor: np.ndarray
    spread: float


def fingerprint(data, suffix, sha256=None):
    """The Fingerprint of an audio member's bytes. Raises BadSample as decode does."""
    samples, rate = stored_samples(data, suffix, sha256)
    waveform = samples.astype(np.float32)
    energy = _band_energy(_low_band(waveform, rate))
    sounding = _sounding(energy)
    facts = (len(samples) / rate, _level_db(waveform), *_silence(sounding), rate, _bandwidth_hz(waveform, rate))
    descriptor, spread = _describe(energy, sounding)
    return Fingerprint(hashlib.sha256(samples).digest(), np.array(facts, dtype=np.float32), descriptor, spread)


def stored_samples(data, suffix, sha256=None):
    """(int16 (n,), rate in Hz) of an audio member's bytes at the rate they are stored at. Raises BadSample."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate = file.samplerate
    except (soundfile.LibsndfileError, ValueError):
        # decode says what is wrong with it.
        rate = _UNREADABLE_RATE_HZ
    return decode(data, suffix, rate, sha256).samples, rate


def sounding_waveform(samples, rate):
    """What two recordings are compared by: int16 (n,) at 8 kHz without the silence around it, float32 (m,).

    Empty where there is no sound.
    """
    low = _low_band(samples.astype(np.float32), rate)
    frames = np.flatnonzero(_sounding(_band_energy(low)))
    return low[frames[0] * _HOP:(frames[-1] + 1) * _HOP] if len(frames) else low[:0]


def _low_band(waveform, rate):
    """float32 (n,) in units of 16 bits to 8 kHz, full scale 1."""
    return soxr.resample(waveform, rate, RATE_HZ, quality='LQ') / np.float32(_FULL_SCALE)


def _band_edges():
    """Bins of the short spectrum at which the mel-spaced bands begin, and the last one's end: int (17,)."""
    low, high = (np.log1p(hz / 700) for hz in BAND_HZ)
    return np.rint(700 * np.expm1(np.linspace(low, high, BANDS + 1)) * _WINDOW / RATE_HZ).astype(int)


def _band_energy(low):
    """Energy of each band in each frame, float64 (frames, 16); frame k is centred on sample k * _HOP + _HOP / 2."""
    edges = _band_edges()
    count = max(-(-len(low) // _HOP), 1)
    padded = np.zeros((count - 1) * _HOP + _WINDOW, dtype=np.float32)
    before = (_WINDOW - _HOP) // 2
    padded[before:before + len(low)] = low
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW).astype(np.float32)
    blocks = []
    for start in range(0, count, _BLOCK_FRAMES):
        power = _power(frames[start:start + _BLOCK_FRAMES] * window)[:, :edges[-1]]
        blocks.append(np.add.reduceat(power, edges[:-1], axis=1))
    return np.concatenate(blocks).astype(np.float64)


def _power(frames):
    """Power spectra of frames, float32 (n, w), as float32 (n, w / 2 + 1)."""
    # numpy's takes five times as long, but this takes long to import: an audit that finds all in its cache does not.
    from scipy.fft import rfft

    spectrum = rfft(frames)
    return spectrum.real**2 + spectrum.imag**2


def _sounding(energy):
    """Which frames are not silence, bool (frames,)."""
    total = energy.sum(1)
    return total > max(total.max() * 10 ** (-SILENCE_DB / 10), 1e-12)


def _describe(energy, sounding):
    """(descriptor int8 (512,), spread in seconds); zeros where nothing sounds."""
    total = np.where(sounding, energy.sum(1), 0)
    if not sounding.any():
        return np.zeros(DESCRIPTOR, dtype=np.int8), 0.0
    time = np.arange(len(total)) + 0.5
    middle = np.average(time, weights=total)
    # A single frame has no extent: that of half a frame keeps the cells apart.
    spread = max(np.sqrt(np.average((time - middle) ** 2, weights=total)), 0.5)
    grown = np.zeros((len(total) + 1, BANDS))
    np.cumsum(energy * sounding[:, None], axis=0, out=grown[1:])
    edges = np.clip(middle + spread * _WIDTH * (np.arange(CELLS + 1) / CELLS - 0.5), 0, len(total))
    before = np.minimum(edges.astype(int), len(total) - 1)
    share = (edges - before)[:, None]
    cells = np.diff(grown[before] * (1 - share) + grown[before + 1] * share, axis=0)
    levels = np.log(np.maximum(cells, 0) + _FLOOR * cells.max())
    levels -= levels.mean()
    return np.rint(levels.ravel() * (127 / max(np.abs(levels).max(), 1e-9))).astype(np.int8), spread * FRAME_SECONDS


def _silence(sounding):
    """Shares of the duration that are silence: before, after and inside."""
    frames = np.flatnonzero(sounding)
    if not len(frames):
        return 1.0, 0.0, 0.0
    leading, trailing = frames[0], len(sounding) - 1 - frames[-1]
    inner = len(sounding) - leading - trailing - len(frames)
    return leading / len(sounding), trailing / len(sounding), inner / len(sounding)


def _level_db(waveform):
    """RMS of the clip in dB of full scale; NaN in digital silence."""
    power = float(np.dot(waveform, waveform)) / len(waveform)
    return 10 * np.log10(power / _FULL_SCALE**2) if power else np.nan


def _bandwidth_hz(waveform, rate):
    """Hz at which a wall cuts the spectrum off, as an earlier rate or a codec leaves one; rate / 2 where there is none.

    NaN where that cannot be told: the clip sinks into the rounding of 16 bits, whose power is known, before any wall.
    """
    if len(waveform) < _SPECTRUM:
        return np.nan
    starts = np.linspace(0, len(waveform) - _SPECTRUM, min(_SPECTRUM_FRAMES, len(waveform) // _SPECTRUM)).astype(int)
    window = np.hanning(_SPECTRUM).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, _SPECTRUM)[starts] * window
    power = _power(frames)[:, 1:].reshape(len(frames), _SPECTRUM_BANDS, -1).mean(2)
    total = power.sum(1)
    # Not the mean: a click, or a sample cut off at full scale, sounds up to rate / 2.
    power = np.percentile(power[total >= total.max() * 10 ** (-SILENCE_DB / 10)], _SPECTRUM_PERCENTILE, axis=0)
    rounding = float(np.dot(window, window)) / 12
    above_db = 10 * np.log10(np.maximum(power / rounding, 1e-3))
    heard = np.flatnonzero(above_db > _ABOVE_ROUNDING_DB)
    if not len(heard):
        return np.nan
    top = heard[-1] + 1
    if top >= _FULL_BAND * _SPECTRUM_BANDS:
        return rate / 2
    start = max(top - _WALL_BANDS, 0)
    before = above_db[start:top]
    if before.max() - above_db[top + 2:].max() < _WALL_DB:
        return np.nan
    # The foot of the filter that left the wall does not count.
    edge = start + np.flatnonzero(before > before.max() - _WALL_DB)[-1] + 1
    hz = edge / _SPECTRUM_BANDS * rate / 2
    return hz if hz >= _LEAST_WALL_HZ else np.nan
