"""A source-filter voice: glottal pulses and noise through formants (Fant 1960, "Acoustic Theory of Speech Production").

Each glottal pulse is one short impulse response, computed on a frequency grid from the source's spectral tilt and a
cascade of formant resonances at that moment, placed at its fractional time and added up. Noise (consonants, breath,
the room) is added in overlapping frames with random spectra. Vowel formants: Peterson and Barney 1952, rounded.
"""

from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 44100
STEP_SECONDS = 0.005
"""Grid of every control curve."""

VOWELS_HZ = {'a': (730, 1090, 2440, 3400), 'e': (530, 1840, 2480, 3500), 'i': (270, 2290, 3010, 3600),
             'o': (570, 840, 2410, 3300), 'u': (300, 870, 2240, 3300)}
NASAL_HZ = (250, 1100, 2200, 3300)
BANDWIDTHS_HZ = (70, 90, 130, 180)
# Consonant -> (voicing, noise level, noise centre in Hz, noise width in Hz, share of a syllable).
CONSONANTS = {
    'm': (0.45, 0.0, 1000, 1000, 0.25), 'n': (0.45, 0.0, 1000, 1000, 0.25), 'l': (0.6, 0.0, 1000, 1000, 0.2),
    'd': (0.15, 0.12, 3500, 3000, 0.2), 't': (0.0, 0.25, 4500, 3500, 0.25), 'k': (0.0, 0.25, 2200, 1500, 0.25),
    's': (0.0, 0.30, 7000, 2500, 0.35), 'f': (0.0, 0.12, 6000, 6000, 0.3)}

_PULSE = 1024
_NOISE = 512
_PULSE_LEAD = 0.002


@dataclass(frozen=True)
class Controls:
    """What the voice does, as curves on the STEP_SECONDS grid; every array is float64 (T,) unless said."""

    pitch_hz: np.ndarray
    voicing: np.ndarray
    """Amplitude of the pulses, linear."""
    formants_hz: np.ndarray
    """(T, 4)."""
    noise: np.ndarray
    """Amplitude of consonant noise, linear."""
    noise_hz: np.ndarray
    """(T, 2): centre and width."""


@dataclass(frozen=True)
class Quality:
    """Manner of voicing."""

    tilt_db: float = 6.0
    """Fall of the source's spectrum in dB per octave above 500 Hz: small is pressed and bright, large is soft."""
    jitter: float = 0.005
    """Deviation of a period, as a share of it."""
    shimmer_db: float = 0.4
    """Deviation of a pulse's level."""
    breath: float = 0.01
    """Aspiration noise relative to voicing."""


def articulate(syllables, seconds, tract):
    """Curves of a sequence of syllables.

    syllables: strings of a consonant and a vowel ('ma'), or '-' for a pause. seconds: duration of each.
    tract: factor on all formants (a shorter vocal tract is above 1).
    Returns (voicing (T,), formants (T, 4), noise (T,), noise_hz (T, 2), vowel mask (T,) of syllable number or -1).
    """
    pieces = []
    previous = VOWELS_HZ['e']
    for number, (syllable, duration) in enumerate(zip(syllables, seconds, strict=True)):
        if syllable == '-':
            pieces.append((duration, 0.0, previous, 0.0, (1000, 1000), -1))
            continue
        voicing, noise, centre, width, share = CONSONANTS[syllable[0]]
        formants = VOWELS_HZ[syllable[1]]
        onset = NASAL_HZ if syllable[0] in 'mn' else formants
        pieces.append((duration * share, voicing, onset, noise, (centre, width), -1))
        pieces.append((duration * (1 - share), 1.0, formants, 0.0, (centre, width), number))
        previous = formants
    edges = np.round(np.cumsum([piece[0] for piece in pieces]) / STEP_SECONDS).astype(int)
    counts = np.diff(edges, prepend=0)
    curves = [np.repeat(np.asarray([piece[i] for piece in pieces], dtype=float), counts, axis=0) for i in range(1, 6)]
    voicing, formants, noise, noise_hz, vowel = curves
    return smooth(voicing, 5), smooth(formants, 9) * tract, smooth(noise, 3), noise_hz, vowel.astype(int)


def smooth(curve, width):
    """Moving average over `width` (odd) steps along the first axis, edges repeated."""
    pad = [(width // 2, width // 2)] + [(0, 0)] * (curve.ndim - 1)
    total = np.cumsum(np.pad(np.pad(curve, pad, mode='edge'), [(1, 0)] + pad[1:]), axis=0)
    return (total[width:] - total[:-width]) / width


def render(controls, quality, draw):
    """The voice's waveform, float64 (n,) at SAMPLE_RATE, n = T * STEP_SECONDS * SAMPLE_RATE.

    draw: numpy Generator behind jitter, shimmer and noise.
    """
    steps = len(controls.pitch_hz)
    out = np.zeros(round(steps * STEP_SECONDS * SAMPLE_RATE) + 2 * _PULSE)
    _add_pulses(out, controls, quality, draw)
    _add_noise(out, controls, quality, draw)
    return out[:-2 * _PULSE]


def pulse_times(pitch_hz, jitter, draw):
    """Seconds of each glottal closure: whole cycles of the pitch curve, every period then perturbed."""
    grid = np.arange(len(pitch_hz)) * STEP_SECONDS
    cycles = np.concatenate([[0.0], np.cumsum((pitch_hz[1:] + pitch_hz[:-1]) / 2 * STEP_SECONDS)])
    times = np.interp(np.arange(int(cycles[-1])), cycles, grid)
    periods = np.diff(times, prepend=0.0)
    return np.minimum(np.cumsum(periods * (1 + jitter * draw.standard_normal(len(periods)))), grid[-1])


def formant_response(frequency, formants, bandwidths=BANDWIDTHS_HZ):
    """Transfer function of a cascade of resonances: complex (..., F) for formants (..., K) and frequency (F,) in Hz.

    Each is F^2 / (F^2 - f^2 + i f B): 1 at 0 Hz, about F / B at its peak.
    """
    response = np.ones((*formants.shape[:-1], len(frequency)), dtype=np.complex64)
    square = (frequency**2).astype(np.float32)
    for index, bandwidth in enumerate(bandwidths):
        centre = (formants[..., index, None]**2).astype(np.float32)
        response *= centre / (centre - square + np.complex64(1j) * (frequency * bandwidth).astype(np.float32))
    return response


def _add_pulses(out, controls, quality, draw):
    times = pulse_times(controls.pitch_hz, quality.jitter, draw)
    level = 10 ** (quality.shimmer_db / 20 * draw.standard_normal(len(times)))
    step = np.minimum((times / STEP_SECONDS).astype(int), len(controls.voicing) - 1)
    # A pulse's energy at any pitch: more pulses a second are not louder ones.
    level *= controls.voicing[step] * np.sqrt(120.0 / controls.pitch_hz[step])
    keep = level > 1e-4
    times, step, level = times[keep], step[keep], level[keep]
    frequency = np.fft.rfftfreq(_PULSE, 1 / SAMPLE_RATE)
    tilt = (1 + (frequency / 500)**2) ** (-quality.tilt_db / 12.04) * frequency / (frequency + 60)
    place = (times + _PULSE_LEAD) * SAMPLE_RATE
    first = np.floor(place - _PULSE_LEAD * SAMPLE_RATE).astype(int)
    angle = (-2 * np.pi / SAMPLE_RATE * frequency * (place - first)[:, None]).astype(np.float32)
    delay = np.cos(angle) + np.complex64(1j) * np.sin(angle)
    response = formant_response(frequency, controls.formants_hz[step]) * delay * tilt.astype(np.float32)
    pulses = np.fft.irfft(response, axis=1) * level[:, None]
    for start, pulse in zip(first, pulses, strict=True):
        out[start:start + _PULSE] += pulse


def _add_noise(out, controls, quality, draw):
    hop = _NOISE // 2
    frames = (len(out) - 2 * _PULSE) // hop
    step = np.minimum((np.arange(frames) * hop / SAMPLE_RATE / STEP_SECONDS).astype(int), len(controls.noise) - 1)
    frequency = np.fft.rfftfreq(_NOISE, 1 / SAMPLE_RATE)
    centre, width = controls.noise_hz[step, :1], controls.noise_hz[step, 1:]
    shape = controls.noise[step, None] * np.exp((-0.5 * ((frequency - centre) / (width / 2))**2).astype(np.float32))
    breath = quality.breath * controls.voicing[step, None] * np.abs(
        formant_response(frequency, controls.formants_hz[step])) / (1 + frequency / 4000)
    add_shaped_noise(out, np.hypot(shape, breath), draw)


def add_shaped_noise(out, envelope, draw):
    """Add noise with a spectral envelope (frames, 257), a frame every 256 samples, Hann-windowed, to `out`."""
    hop = _NOISE // 2
    spectrum = draw.standard_normal((*envelope.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    frames = np.fft.irfft(spectrum * envelope.astype(np.float32), axis=1) * (np.sqrt(_NOISE) / 4)
    frames *= np.hanning(_NOISE + 1)[:-1]
    first, second = frames[:, :hop].ravel(), frames[:, hop:].ravel()
    out[:len(first)] += first
    out[hop:hop + len(second)] += second
