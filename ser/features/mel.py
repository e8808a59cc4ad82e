"""Mel and chroma power, mel cepstrum, and slopes along time."""

import math

import numpy as np
import torch
import torchaudio
from torch import nn

from ser.errors import SerError
from ser.features.waveform import without_state

# Bytes that one cell of the spectrogram takes while a chunk is worked on: complex, magnitude and power.
CELL_BYTES = 16


class PowerBanks(nn.Module):
    """Mel and chroma of one power spectrogram, worked out a few clips at a time.

    torchaudio's MelSpectrogram (Hann, centred, zeros round the clip, Slaney scale and norm: librosa's numbers)
    gives the mel; chroma is librosa's filter bank on the same spectrogram. `banks` says which are wanted.
    A chunk holds as many clips as keep its spectrogram under `chunk_mb` (one at least).
    """

    def __init__(self, mel, chroma, sample_rate, banks):
        super().__init__()
        check_mel(mel, sample_rate)
        self.banks, self.hop_length = tuple(banks), mel.hop_length
        self.bins, self.chunk_bytes = 1 + mel.n_fft // 2, mel.chunk_mb * 1e6
        self.layer = without_state(torchaudio.transforms.MelSpectrogram(
            sample_rate=sample_rate, n_fft=mel.n_fft, hop_length=mel.hop_length, n_mels=mel.bins, f_min=mel.fmin_hz,
            f_max=mel.fmax_hz, power=2.0, norm='slaney', mel_scale='slaney', pad_mode='constant'))
        filters = torch.from_numpy(chroma_filters(sample_rate, mel.n_fft, chroma.bins)).to(torch.float32)
        self.register_buffer('chroma_filters', filters, persistent=False)

    def forward(self, waveforms):
        """float32 (B, T) -> bank name to float32 power (B, bands, 1 + T // hop)."""
        frames = 1 + waveforms.shape[1] // self.hop_length
        clips = max(1, int(self.chunk_bytes // (CELL_BYTES * self.bins * frames)))
        chunks = [self._chunk(part) for part in waveforms.split(clips)]
        return {name: torch.cat([chunk[name] for chunk in chunks]) for name in self.banks}

    def _chunk(self, waveforms):
        power = self.layer.spectrogram(waveforms)
        filters = {'mel': self.layer.mel_scale, 'chroma': self._chroma}
        return {name: filters[name](power) for name in self.banks}

    def _chroma(self, power):
        return torch.matmul(self.chroma_filters, power)


def check_mel(mel, sample_rate):
    """Raise SerError when the bands of `mel` (MelConfig) do not fit under half of `sample_rate` Hz."""
    nyquist = sample_rate / 2
    top = nyquist if mel.fmax_hz is None else mel.fmax_hz
    if top > nyquist:
        raise SerError(f'features.mel.fmax_hz: {top:g} Hz is above half the sample rate of {sample_rate} Hz; '
                       f'at most {nyquist:g}, or null for just that')
    if mel.fmin_hz >= top:
        raise SerError(f'features.mel.fmin_hz: {mel.fmin_hz:g} Hz is not below the upper edge of {top:g} Hz; '
                       'lower fmin_hz or raise fmax_hz')


def chroma_filters(sample_rate, n_fft, bins):
    """Weights of each FFT bin in each pitch class, float64 (bins, 1 + n_fft // 2), C first.

    librosa.filters.chroma at its defaults (A4 = 440 Hz, octaves weighted by a Gaussian round the 5th, two octaves
    wide, columns of unit length), after Ellis 2007, "Chroma feature analysis and synthesis".
    """
    frequencies = np.arange(1, n_fft) * sample_rate / n_fft
    # Octaves above 27.5 Hz (A0), in pitch classes; the bin at 0 Hz is put 1.5 octaves below the first.
    pitches = bins * np.log2(frequencies / 27.5)
    pitches = np.concatenate(([pitches[0] - 1.5 * bins], pitches))
    widths = np.concatenate((np.maximum(np.diff(pitches), 1.0), [1.0]))
    half = np.round(bins / 2)
    distances = np.remainder(pitches - np.arange(bins)[:, None] + half + 10 * bins, bins) - half
    weights = np.exp(-0.5 * (2 * distances / widths) ** 2)
    weights /= np.linalg.norm(weights, axis=0)
    weights *= np.exp(-0.5 * ((pitches / bins - 5.0) / 2.0) ** 2)
    return np.ascontiguousarray(np.roll(weights, -3 * (bins // 12), axis=0)[:, :1 + n_fft // 2])


class Mfcc(nn.Module):
    """Mel cepstrum of mel decibels: DCT-II, orthonormal (librosa.feature.mfcc(S=...))."""

    def __init__(self, coefficients, mel_bins):
        super().__init__()
        if coefficients > mel_bins:
            raise SerError(f'features.mfcc.coefficients: {coefficients} from {mel_bins} mel bands; at most '
                           f'{mel_bins}: lower it or raise features.mel.bins')
        order, band = np.arange(coefficients)[:, None], np.arange(mel_bins)
        basis = np.cos(np.pi * order * (2 * band + 1) / (2 * mel_bins)) * math.sqrt(2 / mel_bins)
        basis[0] /= math.sqrt(2)
        self.register_buffer('basis', torch.from_numpy(basis).to(torch.float32), persistent=False)

    def forward(self, mel_db):
        """float32 (B, mels, T) in dB -> float32 (B, coefficients, T)."""
        return torch.matmul(self.basis, mel_db)


def slope(values, frames, width, order, fewest=1):
    """Savitzky-Golay derivative along time of each clip's valid frames: float32 (B, F, T).

    values (B, F, T), frames (B,), odd width, order 1 or 2. librosa.feature.delta(mode='interp') of the cut clip: a
    polynomial of degree `order` fitted to `width` frames. Its derivative is constant over the fit, so the half
    width at each edge repeats the nearest whole fit: no frame beyond the clip is ever read. A clip of fewer frames
    than `width` takes the widest odd width it has; under 3 frames its slope is 0. `fewest` is the least that any
    clip can have: narrower fits than it needs are not tried.
    """
    clips, bands, total = values.shape
    widest = _odd(frames).clamp(max=width)
    times = torch.arange(total, device=values.device).expand(clips, -1)
    result = torch.zeros_like(values)
    for span in range(max(3, min(width, _odd(fewest))), min(width, _odd(total)) + 1, 2):
        half = span // 2
        padded = nn.functional.pad(values, (half, half))
        fitted = sum(weight * padded[..., at:at + total] for at, weight in enumerate(_derivative(span, order)))
        nearest = torch.minimum(times.clamp(min=half), (frames - 1 - half)[:, None]).clamp(min=0)
        fitted = fitted.gather(2, nearest[:, None, :].expand(-1, bands, -1))
        result = torch.where((widest == span)[:, None, None], fitted, result)
    return result


def _odd(number):
    """The greatest odd number that is at most `number`."""
    return number - (number + 1) % 2


def _derivative(span, order):
    """Weights of the order-th derivative at the centre of a least-squares polynomial of that degree."""
    offsets = np.arange(span) - span // 2
    design = offsets[:, None] ** np.arange(order + 1)
    return (np.linalg.pinv(design.astype(np.float64))[order] * math.factorial(order)).tolist()
