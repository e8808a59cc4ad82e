"""Constant-Q power, defined by nnAudio's kernels: nnAudio's own layer, or the same transform by one FFT.

Both engines take float32 waveforms (B, T) and give squared magnitudes (B, bins, 1 + T // hop): atoms are
Hann-windowed, L1-normalised, scaled by the square root of their length, and zeros surround the clip (librosa.cqt's
definition). Squared, because decibels need no root, whose gradient at silence is infinite.
"""

import logging
import math
from collections import OrderedDict

import numpy as np
import torch
from nnAudio.features.cqt import CQT1992v2
from nnAudio.utils import create_cqt_kernels
from scipy.signal import ZoomFFT
from torch import nn

from ser.errors import SerError
from ser.features.level import frames_at
from ser.features.waveform import without_state

log = logging.getLogger(__name__)

# An atom's spectrum is kept this many bandwidths (rate / length) either side of its frequency, the last FADE of them
# fading out. A Hann sidelobe is at 1 / (pi x^3) there: -92 dB at 24; 8 would be -64 dB, which lets loud harmonics
# through a floor of -80 dB. The fade keeps the cut from ringing in time.
HALF_BAND = 32
FADE = 8
# Zeros after the clip, in lengths of the longest atom: half an atom, and what rings past it.
ROOM = 0.75


def quality(bins_per_octave):
    """Frequency over bandwidth, (r^2 + 1) / (r^2 - 1) with r = 2 ** (1 / bins_per_octave): librosa's."""
    ratio = 2.0 ** (2.0 / bins_per_octave)
    return (ratio + 1) / (ratio - 1)


def check_bins(config, sample_rate):
    """Raise SerError when a bin of `config` (CqtConfig) lies above half of `sample_rate` Hz."""
    nyquist = sample_rate / 2
    frequencies = config.fmin_hz * 2.0 ** (np.arange(config.bins) / config.bins_per_octave)
    above = np.flatnonzero(frequencies > nyquist)
    if len(above):
        first = above[0]
        remedy = f'set features.cqt.bins to at most {first}' if first else 'lower features.cqt.fmin_hz'
        raise SerError(f'features.cqt: bin {first + 1} of {config.bins} is at {frequencies[first]:.1f} Hz, above half '
                       f'the sample rate of {sample_rate} Hz; bins may reach {nyquist:g} Hz: {remedy}')


class NnAudioCqt(nn.Module):
    """nnAudio's CQT1992v2 with librosa's Q and zero padding, its kernels out of the state dict."""

    def __init__(self, config, sample_rate):
        super().__init__()
        check_bins(config, sample_rate)
        # nnAudio's Q is filter_scale / (r - 1).
        scale = quality(config.bins_per_octave) * (2.0 ** (1.0 / config.bins_per_octave) - 1.0)
        self.layer = without_state(CQT1992v2(
            sr=sample_rate, hop_length=config.hop_length, fmin=config.fmin_hz, n_bins=config.bins,
            bins_per_octave=config.bins_per_octave, filter_scale=scale, pad_mode='constant',
            output_format='Complex', verbose=False))

    def forward(self, waveforms, shown=None):
        """float32 (B, T), shown int64 (B, N) or None -> float32 (B, bins, N), squared magnitude."""
        return frames_at(self.layer(waveforms).square().sum(-1), shown)


class FoldedCqt(nn.Module):
    """The same transform by one FFT of the clip.

    One value every `hop` samples is a spectrum aliased `hop` times. With N = hop * M, X = rfft(clip, N) and
    H_k the spectrum of nnAudio's k-th atom, the frames of bin k are

        ifft_M( sum_j X[j M + m] conj(H_k[j M + m]) ) / hop,    m = 0 .. M-1.

    H_k is negligible away from its frequency, so an octave needs few j: a small matrix product for each m. N leaves
    ROOM for the longest atom after the clip, so nothing wraps round. Tables depend on M alone, which is rounded up to a
    product of 2, 3, 5 and 7; they are built when first met and kept while `table_mb` allows.
    """

    def __init__(self, config, sample_rate):
        super().__init__()
        check_bins(config, sample_rate)
        self.hop_length, self.bins, self.group = config.hop_length, config.bins, config.bins_per_octave
        self.sample_rate = sample_rate
        kernels, width, lengths, self.frequencies = create_cqt_kernels(
            quality(config.bins_per_octave), sample_rate, config.fmin_hz, config.bins, config.bins_per_octave)
        self.lengths = [int(length) for length in lengths]
        # Each atom cut to its support, its centre at index (length + 1) // 2. Not buffers: nothing to move or save.
        halves = [(length + 1) // 2 for length in self.lengths]
        self.atoms = [np.complex128(kernel[width // 2 - half:width // 2 + half])
                      for kernel, half in zip(kernels, halves, strict=True)]
        self.tables = TableCache(config.table_mb * 1e6)

    def forward(self, waveforms, shown=None):
        """float32 (B, T), shown int64 (B, N) or None -> float32 (B, bins, N), squared magnitude."""
        clips, samples = waveforms.shape
        hops = self.hops(samples)
        groups = self.tables.get((hops, waveforms.device), lambda: self.build(hops, waveforms.device))
        spectrum, first = self._spectrum(waveforms, hops, groups)
        folded = []
        for start, stop, table in groups:
            part = spectrum[:, start * hops - first:stop * hops - first]
            # Contiguous (M, B, J): a batched product of strided complex matrices is ten times slower.
            part = part.reshape(clips, stop - start, hops).permute(2, 0, 1).contiguous()
            folded.append(torch.bmm(part, table))
        frames = torch.fft.ifft(torch.cat(folded, dim=-1), dim=0)[:1 + samples // self.hop_length]
        real, imaginary = torch.view_as_real(frames).unbind(-1)
        return frames_at((real.square() + imaginary.square()).permute(1, 2, 0), shown)

    def hops(self, samples):
        """M for clips of `samples`: the clip and ROOM after it, in hops, rounded up to a fast length."""
        room = math.ceil((samples + ROOM * max(self.lengths)) / self.hop_length)
        return _smooth(max(room, 1 + samples // self.hop_length))

    def _spectrum(self, waveforms, hops, groups):
        """The spectrum from index `first` on, as far as the groups reach; a real signal's, so mirrored at both ends."""
        size = hops * self.hop_length
        half = torch.fft.rfft(waveforms, n=size)
        first = min(start for start, _, _ in groups) * hops
        end = max(stop for _, stop, _ in groups) * hops
        parts = [half[:, max(first, 0):end]]
        if first < 0:
            parts.insert(0, half[:, 1:1 - first].conj().flip(-1))
        if end > half.shape[1]:
            parts.append(half[:, size - end + 1:size - half.shape[1] + 1].conj().flip(-1))
        return torch.cat(parts, dim=-1), first

    def build(self, hops, device):
        """Tables for M = hops: per octave (first j, last j + 1, complex64 (M, J, bins of the octave))."""
        bands = [self._band(index, hops) for index in range(self.bins)]
        groups = []
        # Tables are shared by calls with and without autograd, so they may not be born as inference tensors.
        with torch.inference_mode(False):
            for low in range(0, self.bins, self.group):
                octave = bands[low:low + self.group]
                start = min(first for first, _ in octave) // hops
                stop = -(-max(first + len(values) for first, values in octave) // hops)
                table = np.zeros((len(octave), (stop - start) * hops), dtype=np.complex64)
                for row, (first, values) in zip(table, octave, strict=True):
                    row[first - start * hops:first - start * hops + len(values)] = values
                table = torch.from_numpy(table).to(device).view(len(octave), stop - start, hops)
                groups.append((start, stop, table.permute(2, 1, 0).contiguous()))
        return groups

    def _band(self, index, hops):
        """Where bin `index`'s band starts in the spectrum of N = hops * hop points, and conj(H) over it, scaled."""
        size, length, atom = hops * self.hop_length, self.lengths[index], self.atoms[index]
        centre, bandwidth = self.frequencies[index] * size / self.sample_rate, size / length
        # An atom under 2 * HALF_BAND samples long fills the whole circle and has no edge to fade.
        whole = 2 * HALF_BAND * bandwidth >= size
        reach = size / 2 if whole else HALF_BAND * bandwidth
        first = max(math.ceil(centre - reach), -(self.hop_length // 2) * hops)
        count = size if whole else math.floor(centre + reach) - first + 1
        points = first + np.arange(count)
        spectrum = ZoomFFT(len(atom), [first, first + count], m=count, fs=size)(atom)
        spectrum = spectrum * np.exp(2j * np.pi * points * (len(atom) // 2) / size)
        if not whole:
            inside = (HALF_BAND - np.abs(points - centre) / bandwidth) / FADE
            spectrum = spectrum * (0.5 - 0.5 * np.cos(np.pi * np.clip(inside, 0, 1)))
        return first, spectrum.conj() * (math.sqrt(length) / self.hop_length)


class TableCache:
    """Kernel tables by key, the least recently used dropped first to stay within `limit_bytes`."""

    def __init__(self, limit_bytes):
        self.limit_bytes = limit_bytes
        self.kept = OrderedDict()

    @property
    def bytes(self):
        """Bytes held."""
        return sum(_bytes(groups) for groups in self.kept.values())

    def get(self, key, build):
        """The tables of `key`, built when they are not there; a set over the limit by itself is not kept."""
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        groups = build()
        size = _bytes(groups)
        if size > self.limit_bytes:
            log.warning('CQT tables of %.0f MB exceed features.cqt.table_mb (%.0f): rebuilt for every batch',
                        size / 1e6, self.limit_bytes / 1e6)
            return groups
        while self.kept and self.bytes + size > self.limit_bytes:
            self.kept.popitem(last=False)
        self.kept[key] = groups
        return groups

    def __getstate__(self):
        # A copied or pickled front end builds its own tables.
        return {'limit_bytes': self.limit_bytes, 'kept': OrderedDict()}


def _bytes(groups):
    return sum(table.numel() * table.element_size() for _, _, table in groups)


def _smooth(number):
    """The least product of 2, 3, 5 and 7 that is at least `number`: FFTs of such lengths are fast."""
    while True:
        rest = number
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 1


ENGINES = {'folded': FoldedCqt, 'nnaudio': NnAudioCqt}
