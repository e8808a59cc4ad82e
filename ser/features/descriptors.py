"""Low-level descriptors of speech, frame by frame: energy, spectral shape, mel cepstrum; pitch is descriptors_voice's.

Frames lie wholly within a clip, so padding reaches none of them. Definitions are librosa's where it has the descriptor
(zero crossings, RMS, centroid, spread, roll-off, flatness, on the power of Hann windows) and those of Eyben et al. 2016
("The Geneva Minimalistic Acoustic Parameter Set") for alpha ratio, Hammarberg index and spectral slopes.
"""

from typing import NamedTuple

import numpy as np
import torch
import torchaudio
from torch import nn

from ser.errors import SerError
from ser.features.cepstrum import Mfcc
from ser.features.descriptors_voice import VOICED_ONLY, Voice
from ser.features.level import valid_frames

# Power of a frame under which it is silent, full scale being 1: -100 dB.
SILENCE = 1e-10
# The spectrum that descriptors look at.
LOWEST_HZ = 50.0
ROLLOFFS = (0.25, 0.5, 0.75, 0.9)
# Hz; the ratio of the peaks below and above 2 kHz needs some of the latter.
LOWEST_RATE = 8000
# Periods of the lowest pitch within a frame, without which its autocorrelation says nothing.
FEWEST_PERIODS = 2
# Names of the descriptors that `_shape` gives, in its order.
SHAPE = ('centroid', 'spread', 'skewness', 'kurtosis', *(f'rolloff{round(100 * share)}' for share in ROLLOFFS),
         'flatness', 'entropy', 'flux', 'alpha_ratio', 'hammarberg', 'low_share', 'high_share', 'slope', 'slope_0_500',
         'slope_500_1500')
# Share of full hearing that a band's power counts in loudness (Stevens's exponent for power).
LOUDNESS_EXPONENT = 0.3
# Half width in kHz under which a spectrum counts as a single line.
NARROW_KHZ = 0.02


class Frames(NamedTuple):
    """Descriptors of a batch of B clips in N frames at most."""

    values: torch.Tensor
    """float32 (B, F, N), finite everywhere; beyond a clip's frames they mean nothing."""
    valid: torch.Tensor
    """bool (B, 1, N), the clip's own frames."""
    voiced: torch.Tensor
    """bool (B, 1, N), frames with a pitch, all of them valid."""


def power_decibels(power):
    """10 log10 of power, -100 dB at least."""
    return 10.0 * torch.log10(power.clamp(min=SILENCE))


def check_functionals(config, sample_rate):
    """Raise SerError for a FunctionalsConfig that does not hold together, or not at `sample_rate` Hz."""
    if sample_rate < LOWEST_RATE:
        raise SerError(f'features.sample_rate: {sample_rate} Hz is too low for functionals, whose spectral slopes and '
                       f'ratios reach up to 4 kHz; at least {LOWEST_RATE}, such as 16000')
    if config.coefficients >= config.bands:
        raise SerError(f'model.functionals.coefficients: {config.coefficients} from {config.bands} bands; at most '
                       f'{config.bands - 1}: lower it or raise model.functionals.bands')
    if config.pitch_low_hz >= config.pitch_high_hz or config.pitch_high_hz > sample_rate / 4:
        raise SerError(f'model.functionals: a pitch from {config.pitch_low_hz:g} to {config.pitch_high_hz:g} Hz cannot '
                       f'be looked for at {sample_rate} Hz; pitch_low_hz must be below pitch_high_hz, and that at most '
                       f'{sample_rate / 4:g}')
    if config.window_seconds * config.pitch_low_hz < FEWEST_PERIODS:
        raise SerError(f'model.functionals.window_seconds: {config.window_seconds:g} s are less than {FEWEST_PERIODS} '
                       f'periods of pitch_low_hz {config.pitch_low_hz:g}; at least '
                       f'{FEWEST_PERIODS / config.pitch_low_hz:.3f}')


class Descriptors(nn.Module):
    """Waveforms to Frames. names: of the F descriptors; voiced_only: those that mean something in voiced frames alone.

    hop_seconds: between frames. Frequencies are in kHz, pitch in semitones above 27.5 Hz, levels in dB.
    """

    def __init__(self, config, sample_rate, floor_db):
        """config: FunctionalsConfig. sample_rate: Hz of the waveforms. floor_db: levels lie no further below the clip's
        loudest, such as -80."""
        super().__init__()
        check_functionals(config, sample_rate)
        self.sample_rate, self.floor_db = sample_rate, floor_db
        self.window_length = round(config.window_seconds * sample_rate)
        self.hop_length = max(1, round(config.hop_seconds * sample_rate))
        self.hop_seconds = self.hop_length / sample_rate
        self.bands = config.bands
        self.voice = Voice(config, sample_rate, self.window_length)
        self.n_fft = self.voice.n_fft
        window = torch.hann_window(self.window_length)
        # A full-scale sine has about the power of its frame, 0.5, in its spectrum.
        self.register_buffer('window', window / (window.square().sum() * self.n_fft / 2).sqrt(), persistent=False)
        frequencies = torch.arange(1 + self.n_fft // 2) * sample_rate / self.n_fft
        self.first = int((frequencies < LOWEST_HZ).sum())
        self._tables(frequencies)
        self.cepstrum = Mfcc(config.coefficients + 1, config.bands)
        self.names = ('level', 'loudness', 'zero_crossings', *(f'band{i + 1}' for i in range(config.bands)),
                      *(f'mfcc{i + 1}' for i in range(config.coefficients)), *SHAPE, *self.voice.names)
        self.voiced_only = tuple(name for name in self.names if name in VOICED_ONLY)

    def _tables(self, frequencies):
        khz = frequencies[self.first:] / 1000
        filters = torchaudio.functional.melscale_fbanks(len(frequencies), LOWEST_HZ, self.sample_rate / 2, self.bands,
                                                        self.sample_rate, norm=None, mel_scale='htk')
        ranges = [(khz >= low) & (khz < high) for low, high in ((0.05, 1), (1, 5), (0.25, 0.65), (1, 4))]
        moments = [khz**order for order in range(5)]
        products = torch.stack([*(shown.float() for shown in ranges), *moments], dim=1)
        self.register_buffer('products', torch.cat([filters[self.first:], products], dim=1), persistent=False)
        slopes = [_slope_weights(khz, *limits) for limits in ((0, np.inf), (0, 0.5), (0.5, 1.5))]
        self.register_buffer('slopes', torch.stack(slopes, dim=1), persistent=False)
        self.register_buffer('khz', khz, persistent=False)
        self.split_at = [int((khz < limit).sum()) for limit in (2.0, 5.0)]

    def frame_counts(self, lengths):
        """Frames that lie wholly within clips of `lengths` (B,) samples, at least 1: int64 (B,)."""
        return 1 + (lengths - self.window_length).clamp(min=0) // self.hop_length

    def forward(self, samples, lengths):
        """samples float32 (B, T), zero from lengths int64 (B,) on -> Frames."""
        if samples.shape[1] < self.window_length:
            samples = nn.functional.pad(samples, (0, self.window_length - samples.shape[1]))
        frames = samples.unfold(1, self.window_length, self.hop_length)
        valid = valid_frames(self.frame_counts(lengths), frames.shape[1])
        spectrum = torch.fft.rfft(frames * self.window, n=self.n_fft)
        power = spectrum.real.square() + spectrum.imag.square()
        level = power_decibels(self._framed(samples.square(), self.window_length))
        level = torch.maximum(level, self._loudest(level[:, None], valid)[:, 0] + self.floor_db)
        below = samples < 0
        crossings = self._framed((below[:, 1:] != below[:, :-1]).to(samples.dtype), self.window_length - 1)
        shape, bands, loudness = self._shape(power[..., self.first:], valid)
        voice, voiced = self.voice(power, level, valid[:, 0])
        plain = torch.stack([level, loudness, crossings], dim=1)
        cepstrum = _held(self.cepstrum(bands)[:, 1:].transpose(1, 2), bands.transpose(1, 2)).transpose(1, 2)
        values = torch.cat([plain, bands, cepstrum, shape, voice], dim=1)
        return Frames(values, valid, voiced[:, None])

    def _framed(self, values, length):
        """Means (B, N) of values (B, T) over frames of `length`."""
        return nn.functional.avg_pool1d(values[:, None], length, self.hop_length)[:, 0]

    def _loudest(self, decibels, valid):
        return decibels.masked_fill(~valid, -torch.inf).amax(dim=(1, 2), keepdim=True)

    def _shape(self, power, valid):
        """(SHAPE (B, S, N), mel bands in dB (B, bands, N), loudness (B, N)) of power (B, N, K)."""
        products = _held(power @ self.products, power)
        mel, sums, moments = products.split([self.bands, 4, 5], dim=2)
        total = moments[..., :1].clamp(min=SILENCE)
        decibels = power_decibels(power)
        bands = power_decibels(mel).transpose(1, 2)
        bands = torch.maximum(bands, self._loudest(bands, valid) + self.floor_db)
        cumulative = power.cumsum(dim=2)
        wanted = cumulative[..., -1:] * power.new_tensor(ROLLOFFS)
        places = torch.searchsorted(cumulative, wanted).clamp(max=power.shape[2] - 1)
        count, natural = power.shape[2], np.log(10) / 10
        log_mean = (moments[..., 0] / count).clamp(min=SILENCE).log()
        flat = (decibels.mean(dim=2) * natural - log_mean).exp()
        surprise = torch.linalg.vecdot(power, decibels) * natural / total[..., 0]
        entropy = (total[..., 0].log() - surprise) / np.log(count)
        shares = mel / mel.sum(dim=2, keepdim=True).clamp(min=SILENCE)
        roots = shares.sqrt()
        flux = (roots - torch.cat([roots[:, :1], roots[:, :-1]], dim=1)).square().sum(dim=2)
        levels = power_decibels(sums)
        peaks = [part.amax(dim=2) for part in decibels.tensor_split(self.split_at, dim=2)[:2]]
        low_share, high_share = (sums[..., 2:] / total).unbind(dim=2)
        values = [*_moments(moments / total), *self.khz[places].unbind(dim=2), flat, entropy, flux,
                  levels[..., 0] - levels[..., 1], peaks[0] - peaks[1], low_share, high_share,
                  *_held(decibels @ self.slopes, decibels).unbind(dim=2)]
        return torch.stack(values, dim=1), bands, mel.clamp(min=SILENCE).pow(LOUDNESS_EXPONENT).sum(dim=2)


def _held(products, frames):
    """Products (B, N, P) of frames (B, N, K) by a matrix, the same for frames that are equal to the one before: where a
    row stands among the others changes how its product is rounded, and rounding must not pass for a step."""
    equal = nn.functional.pad((frames[:, 1:] == frames[:, :-1]).all(dim=2), (1, 0))
    places = torch.arange(frames.shape[1], device=frames.device).expand_as(equal)
    first = places.masked_fill(equal, 0).cummax(dim=1).values
    return products.gather(1, first[..., None].expand_as(products))


def _slope_weights(khz, low, high):
    """Weights (K,) of a least-squares slope in dB per kHz over the bins from `low` to `high` kHz."""
    inside = ((khz >= low) & (khz < high)).float()
    centred = (khz - (khz * inside).sum() / inside.sum()) * inside
    return centred / centred.square().sum()


def _moments(raw):
    """Centroid and spread in kHz, skewness and excess kurtosis of spectra whose raw moments (B, N, 5) are given."""
    mean, second, third, fourth = raw[..., 1:].unbind(dim=2)
    variance = (second - mean.square()).clamp(min=0)
    skew = third - 3 * mean * second + 2 * mean**3
    tails = fourth - 4 * mean * third + 6 * mean.square() * second - 3 * mean**4
    width = variance + NARROW_KHZ**2
    return mean, variance.sqrt(), skew / width**1.5, tails / width.square() - 3
