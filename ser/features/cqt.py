"""Constant-Q power, defined by nnAudio's kernels: nnAudio's own layer, or the same transform by one FFT.

Both engines take float32 waveforms (B, T) and give squared magnitudes (B, bins, 1 + T // hop): atoms are
Hann-windowed, L1-normalised, scaled by the square root of their length, and zeros surround the clip (librosa.cqt's
definition). Squared, because decibels need no root, whose gradient at silence is infinite.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from ser.errors import SerError
from ser.features.cqt_tables import FASTEST, PRODUCTS, Atoms, TableCache, fastest_product, quality, smooth
from ser.features.learned import LearnedFilters
from ser.features.level import frames_at
from ser.features.waveform import without_state

# Zeros after the clip, in lengths of the longest atom: half an atom, and what rings past it.
ROOM = 0.75
# Clips transformed at once, by the device's type; elsewhere all. More would leave a processor's cache (NOTES.md).
CLIPS_AT_ONCE = {'cpu': 32}
# Seconds.
LONGEST_ATOM = 60.0
# A Hann window's bandwidth in bins of its own length: librosa.filters.window_bandwidth('hann').
HANN_BANDWIDTH = 1.50018310546875


def check_bins(config, sample_rate):
    """Raise SerError when the band of a bin of `config` (CqtConfig) passes half of `sample_rate` Hz.

    As librosa does: a bin's band reaches half the bandwidth of its atom above its frequency. So, too, when the lowest
    bin's atom would last longer than LONGEST_ATOM seconds.
    """
    lowest = quality(config.bins_per_octave) / LONGEST_ATOM
    if config.fmin_hz < lowest:
        raise SerError(f'features.cqt.fmin_hz: at {config.fmin_hz:g} Hz the lowest bin needs '
                       f'{quality(config.bins_per_octave) / config.fmin_hz:.0f} s of sound, over {LONGEST_ATOM:g}; '
                       f'at least {lowest:.3g} Hz, or fewer features.cqt.bins_per_octave')
    nyquist = sample_rate / 2
    frequencies = config.fmin_hz * 2.0 ** (np.arange(config.bins) / config.bins_per_octave)
    tops = frequencies * (1 + 0.5 * HANN_BANDWIDTH / quality(config.bins_per_octave))
    above = np.flatnonzero(tops > nyquist)
    if len(above):
        first = above[0]
        remedy = f'set features.cqt.bins to at most {first}, or ' if first else ''
        raise SerError(f'features.cqt: the band of bin {first + 1} of {config.bins}, at {frequencies[first]:.1f} Hz, '
                       f'reaches {tops[first]:.1f} Hz, above half the sample rate of {sample_rate} Hz; bands may reach '
                       f'{nyquist:g} Hz: {remedy}lower features.cqt.fmin_hz')


class NnAudioCqt(nn.Module):
    """nnAudio's CQT1992v2 with librosa's Q and zero padding, its kernels out of the state dict.

    learned: LearnedFilters of the kernels, real and imaginary (2, bins, width), or None.
    """

    def __init__(self, config, sample_rate):
        # It brings scipy.signal: seconds to import, which systems without a CQT do without.
        from nnAudio.features.cqt import CQT1992v2

        super().__init__()
        check_bins(config, sample_rate)
        # nnAudio's Q is filter_scale / (r - 1).
        scale = quality(config.bins_per_octave) * (2.0 ** (1.0 / config.bins_per_octave) - 1.0)
        self.layer = without_state(CQT1992v2(
            sr=sample_rate, hop_length=config.hop_length, fmin=config.fmin_hz, n_bins=config.bins,
            bins_per_octave=config.bins_per_octave, filter_scale=scale, pad_mode='constant',
            output_format='Complex', verbose=False))
        kernels = torch.cat([self.layer.cqt_kernels_real, self.layer.cqt_kernels_imag], dim=1).transpose(0, 1)
        self.learned = LearnedFilters(kernels) if config.trainable else None

    def forward(self, waveforms, shown=None, filters=None):
        """float32 (B, T), shown int64 (B, N) or None -> float32 (B, bins, N), squared magnitude.

        filters: float32 (2, bins, width), what was learned (LearnedFilters), or None for the definition.
        """
        if filters is None:
            return frames_at(self.layer(waveforms).square().sum(-1), shown)
        real, imaginary = self.learned(filters)[:, :, None]
        values = functional_call(self.layer, {'cqt_kernels_real': real, 'cqt_kernels_imag': imaginary}, (waveforms,))
        return frames_at(values.square().sum(-1), shown)


class FoldedCqt(nn.Module):
    """The same transform by one FFT of the clip.

    One value every `hop` samples is a spectrum aliased `hop` times. With N = hop * M, X = rfft(clip, N) and
    H_k the spectrum of nnAudio's k-th atom, the frames of bin k are

        ifft_M( sum_j X[j M + m] conj(H_k[j M + m]) ) / hop,    m = 0 .. M-1.

    H_k is negligible away from its frequency, so an octave needs few j: a small matrix product for each m. N leaves
    ROOM for the longest atom after the clip, so nothing wraps round. Tables depend on M alone, which is rounded up to a
    product of 2, 3, 5 and 7; they are built when first met and kept while `table_mb` allows. Nothing in them learns.
    """

    learned = None

    def __init__(self, config, sample_rate):
        super().__init__()
        if config.trainable:
            raise SerError("features.cqt.trainable: engine 'folded' works with tables, which cannot learn; set "
                           'features.cqt.engine: nnaudio')
        check_bins(config, sample_rate)
        self.hop_length = config.hop_length
        self.atoms = Atoms(config, sample_rate)
        self.tables = TableCache(config.table_mb * 1e6)
        self.asked, self.products = config.product, dict(FASTEST)

    def forward(self, waveforms, shown=None):
        """float32 (B, T), shown int64 (B, N) or None -> float32 (B, bins, N), squared magnitude."""
        at_once = CLIPS_AT_ONCE.get(waveforms.device.type, len(waveforms))
        if len(waveforms) <= at_once:
            return frames_at(self._power(waveforms), shown)
        parts = waveforms.split(at_once)
        frames = [None] * len(parts) if shown is None else shown.split(at_once)
        return torch.cat([frames_at(self._power(part), numbers) for part, numbers in zip(parts, frames, strict=True)])

    def _power(self, waveforms):
        """float32 (B, T) -> float32 (B, bins, 1 + T // hop), squared magnitude."""
        clips, samples = waveforms.shape
        hops = self.hops(samples)
        groups, product = self._groups(hops, waveforms.device), PRODUCTS[self._product(hops, waveforms.device)]
        spectrum, first = self._spectrum(waveforms, hops, groups)
        folded = []
        for group in groups:
            part = spectrum[:, group.start * hops - first:group.stop * hops - first]
            # Contiguous (M, B, J): a batched product of strided complex matrices is ten times slower.
            part = part.reshape(clips, group.stop - group.start, hops).permute(2, 0, 1).contiguous()
            folded.append(product.of(part, group.table))
        frames = torch.fft.ifft(torch.cat(folded, dim=-1), dim=0)[:1 + samples // self.hop_length]
        real, imaginary = torch.view_as_real(frames).unbind(-1)
        return (real.square() + imaginary.square()).permute(1, 2, 0)

    def prepare(self, lengths, device):
        """Build the tables for clips of `lengths` samples on `device`, those first in line that table_mb holds.

        Returns how many tables are there, and how many the lengths need.
        """
        wanted = list(dict.fromkeys(self.hops(samples) for samples in lengths))
        room, fitting = self.tables.limit_bytes, []
        for hops in wanted:
            size = self.atoms.bytes(hops, self._product(hops, device))
            if size <= room:
                room -= size
                fitting.append(hops)
        # What was used last is dropped last.
        for hops in reversed(fitting):
            self._groups(hops, device)
        return len(fitting), len(wanted)

    def kept(self, samples, device):
        """The Groups for clips of `samples` if they are kept, else None."""
        return self.tables.kept.get((self.hops(samples), device))

    def _groups(self, hops, device):
        product = self._product(hops, device)
        return self.tables.get((hops, device), lambda: self.atoms.groups(hops, device, product))

    def _product(self, hops, device):
        """The form of the matrix product on `device`: as configured, as known, or measured at the first clip length."""
        if self.asked != 'auto':
            return self.asked
        if device.type not in self.products:
            # What is measured may differ from run to run, and rounding with it.
            self.products[device.type] = 'complex' if torch.are_deterministic_algorithms_enabled() else fastest_product(
                device, lambda name: self.atoms.groups(hops, device, name))
        return self.products[device.type]

    def hops(self, samples):
        """M for clips of `samples`: the clip and ROOM after it, in hops, rounded up to a fast length."""
        room = math.ceil((samples + ROOM * max(self.atoms.lengths)) / self.hop_length)
        return smooth(max(room, 1 + samples // self.hop_length))

    def _spectrum(self, waveforms, hops, groups):
        """The spectrum from index `first` on, as far as the groups reach; a real signal's, so mirrored at both ends."""
        size = hops * self.hop_length
        half = torch.fft.rfft(waveforms, n=size)
        first = min(group.start for group in groups) * hops
        end = max(group.stop for group in groups) * hops
        parts = [half[:, max(first, 0):end]]
        if first < 0:
            parts.insert(0, half[:, 1:1 - first].conj().flip(-1))
        if end > half.shape[1]:
            parts.append(half[:, size - end + 1:size - half.shape[1] + 1].conj().flip(-1))
        return torch.cat(parts, dim=-1), first


ENGINES = {'folded': FoldedCqt, 'nnaudio': NnAudioCqt}
