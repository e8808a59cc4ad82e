"""Descriptors of the voice: pitch by normalised autocorrelation, voicing, harmonics-to-noise ratio, and how pitch and
level vary from frame to frame.

The autocorrelation of a windowed frame over that of the window (Boersma 1993, "Accurate short-term analysis of the
fundamental frequency and the harmonics-to-noise ratio of a sampled sound").
"""

import math

import torch
from torch import nn

# Pitch is told in semitones above this.
REFERENCE_HZ = 27.5
# Cost per octave below the highest pitch, in units of autocorrelation: of two peaks as high the higher pitch wins.
OCTAVE_COST = 0.02
# A frame this far below the clip's loudest has no pitch.
QUIET_DB = 40.0
# Frames over which a median smooths the pitch.
MEDIAN_FRAMES = 5
# Autocorrelation is held below this, which bounds the ratio of harmonics to noise at 30 dB.
MOST_PERIODIC = 0.999
NAMES = ('voicing', 'pitch', 'harmonics_to_noise', 'jitter', 'shimmer', 'first_harmonics', 'harmonic_tilt')
VOICED_ONLY = NAMES[1:]
# Band of the third formant, whose level against the first harmonic tells how hard a voice is pressed.
THIRD_FORMANT_HZ = (2000.0, 3500.0)


class Voice(nn.Module):
    """Power spectra of frames to NAMES and whether there is a pitch.

    voicing: the normalised autocorrelation at the pitch, in [0, 1]. pitch: semitones above 27.5 Hz. jitter, shimmer:
    change of pitch (semitones) and of level (dB) since the frame before, without sign. first_harmonics: level of the
    first over the second, harmonic_tilt: over the loudest bin of the third formant's band, both dB.
    """

    def __init__(self, config, sample_rate, window_length):
        """config: FunctionalsConfig. window_length: samples of the Hann window behind the spectra."""
        super().__init__()
        self.names, self.sample_rate, self.threshold = NAMES, sample_rate, config.voicing
        self.low = max(2, math.floor(sample_rate / config.pitch_high_hz))
        self.high = math.ceil(sample_rate / config.pitch_low_hz)
        # Long enough that no lag that is looked at wraps round.
        self.n_fft = 2 ** math.ceil(math.log2(window_length + self.high + 2))
        window = torch.hann_window(window_length, dtype=torch.float64)
        own = torch.fft.irfft(torch.fft.rfft(window, n=self.n_fft).abs().square(), n=self.n_fft)
        lags = torch.arange(self.low - 1, self.high + 2)
        self.register_buffer('window_share', (own[lags] / own[0]).float(), persistent=False)
        costs = OCTAVE_COST * torch.log2(lags[1:-1] / self.low)
        self.register_buffer('costs', costs.float(), persistent=False)
        bins = 1 + self.n_fft // 2
        self.formant = slice(*(min(bins - 1, round(hz * self.n_fft / sample_rate)) for hz in THIRD_FORMANT_HZ))

    def forward(self, power, level, valid):
        """power float32 (B, N, K) of frames, level (B, N) in dB, valid bool (B, N)
        -> float32 (B, len(NAMES), N), bool (B, N)."""
        lag, strength = self._period(power)
        loudest = level.masked_fill(~valid, -torch.inf).amax(dim=1, keepdim=True)
        voiced = valid & (strength > self.threshold) & (level > loudest - QUIET_DB)
        pitch = 12 * torch.log2(self.sample_rate / lag / REFERENCE_HZ)
        pitch = _median(pitch, voiced)
        before = voiced & nn.functional.pad(voiced[:, :-1], (1, 0))
        jitter, shimmer = (torch.where(before, _change(values), 0.0) for values in (pitch, level))
        first, tilt = self._harmonics(power, pitch)
        held = strength.clamp(min=1 - MOST_PERIODIC, max=MOST_PERIODIC)
        noise = 10 * torch.log10(held / (1 - held))
        values = [strength, *(torch.where(voiced, v, 0.0) for v in (pitch, noise, jitter, shimmer, first, tilt))]
        return torch.stack(values, dim=1), voiced

    def _period(self, power):
        """(lag in samples, autocorrelation there in [0, 1]), float32 (B, N) each, of the best peak of each frame."""
        lagged = torch.fft.irfft(power, n=self.n_fft)
        energy = lagged[..., :1].clamp(min=torch.finfo(power.dtype).tiny)
        curve = lagged[..., self.low - 1:self.high + 2] / (energy * self.window_share)
        left, middle, right = curve[..., :-2], curve[..., 1:-1], curve[..., 2:]
        # A parabola through each peak and its neighbours: a high pitch has its top between two samples.
        turn, bend = right - left, (2 * middle - left - right).clamp(min=1e-6)
        tops = torch.where((middle > left) & (middle >= right), middle + turn.square() / (8 * bend), -1.0)
        place = (tops - self.costs).argmax(dim=2, keepdim=True)
        top, turn, bend = (part.gather(2, place)[..., 0] for part in (tops, turn, bend))
        return self.low + place[..., 0] + (0.5 * turn / bend).clamp(-0.5, 0.5), top.clamp(0, 1)

    def _harmonics(self, power, pitch):
        """Level in dB of the first harmonic over the second and over the third formant's band, (B, N) each."""
        per_bin = self.n_fft / self.sample_rate
        first = (REFERENCE_HZ * torch.exp2(pitch / 12) * per_bin)[..., None]
        places = torch.cat([first, 2 * first], dim=2).round().long().clamp(1, power.shape[2] - 2)
        near = torch.stack([power.gather(2, places + step) for step in (-1, 0, 1)]).amax(dim=0)
        band = power[..., self.formant].amax(dim=2)
        first, second, band = (10 * torch.log10(part.clamp(min=1e-10)) for part in (*near.unbind(dim=2), band))
        return first - second, first - band


def _change(values):
    """|x[n] - x[n - 1]| of (B, N), 0 for the first."""
    return nn.functional.pad((values[:, 1:] - values[:, :-1]).abs(), (1, 0))


def _median(pitch, voiced):
    """Pitch (B, N) in semitones, the median over its voiced neighbourhood where it is voiced itself, 0 elsewhere."""
    half = MEDIAN_FRAMES // 2
    held = nn.functional.pad(torch.where(voiced, pitch, torch.inf), (half, half), value=torch.inf)
    around = held.unfold(1, MEDIAN_FRAMES, 1).sort(dim=2).values
    count = nn.functional.pad(voiced, (half, half)).unfold(1, MEDIAN_FRAMES, 1).sum(dim=2, keepdim=True)
    middle = around.gather(2, (count - 1).clamp(min=0) // 2)[..., 0]
    return torch.where(voiced, middle, 0.0)
