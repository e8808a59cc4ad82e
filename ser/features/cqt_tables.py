"""The tables of the folded CQT: nnAudio's atoms as bands of a spectrum, folded by octaves, kept within bounds."""

import logging
import math
import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch

log = logging.getLogger(__name__)

# An atom's spectrum is kept this many bandwidths (rate / length) either side of its frequency, the last FADE of them
# fading out. A Hann sidelobe is at 1 / (pi x^3) there: -92 dB at 24; 8 would be -64 dB, which lets loud harmonics
# through a floor of -80 dB. The fade keeps the cut from ringing in time.
HALF_BAND = 32
FADE = 8


def quality(bins_per_octave):
    """Frequency over bandwidth, (r^2 + 1) / (r^2 - 1) with r = 2 ** (1 / bins_per_octave): librosa's."""
    ratio = 2.0 ** (2.0 / bins_per_octave)
    return (ratio + 1) / (ratio - 1)


@dataclass(frozen=True)
class Group:
    """The bins of an octave, folded: `table` for j in [start, stop), in the layout of a product (PRODUCTS)."""

    start: int
    stop: int
    table: torch.Tensor


class Atoms:
    """nnAudio's CQT kernels, each cut to its support. lengths: samples of each bin's atom."""

    def __init__(self, config, sample_rate):
        from nnAudio.utils import create_cqt_kernels  # brings scipy.signal: seconds to import

        self.hop_length, self.sample_rate, self.octave = config.hop_length, sample_rate, config.bins_per_octave
        kernels, width, lengths, self.frequencies = create_cqt_kernels(
            quality(config.bins_per_octave), sample_rate, config.fmin_hz, config.bins, config.bins_per_octave)
        self.lengths = [int(length) for length in lengths]
        # The centre of each is at index (length + 1) // 2. Not buffers: nothing to move or save.
        halves = [(length + 1) // 2 for length in self.lengths]
        self.atoms = [np.complex128(kernel[width // 2 - half:width // 2 + half])
                      for kernel, half in zip(kernels, halves, strict=True)]

    def groups(self, hops, device, product):
        """The Groups for M = hops on `device`, for a product of PRODUCTS."""
        groups = []
        # Tables are shared by calls with and without autograd, so they may not be born as inference tensors.
        with torch.inference_mode(False):
            for octave, start, stop in self._octaves(hops):
                table = np.zeros((len(octave), (stop - start) * hops), dtype=np.complex64)
                for row, index in zip(table, octave, strict=True):
                    first, values = self._band(index, hops)
                    row[first - start * hops:first - start * hops + len(values)] = values
                table = torch.from_numpy(table).view(len(octave), stop - start, hops).permute(2, 1, 0)
                groups.append(Group(start, stop, PRODUCTS[product].layout(table).to(device)))
        if torch.device(device).type == 'cuda':
            # They are read on several streams, and so is what they may replace in the cache: all work ends here.
            torch.cuda.synchronize(device)
        return groups

    def bytes(self, hops, product):
        """Bytes that `groups` would take."""
        return sum(PRODUCTS[product].cell_bytes * hops * (stop - start) * len(octave)
                   for octave, start, stop in self._octaves(hops))

    def _octaves(self, hops):
        """(bins, first j, last j + 1) of each octave."""
        for low in range(0, len(self.atoms), self.octave):
            octave = range(low, min(low + self.octave, len(self.atoms)))
            extents = [self._extent(index, hops) for index in octave]
            yield (octave, min(first for first, _ in extents) // hops,
                   -(-max(first + count for first, count in extents) // hops))

    def _reach(self, index, hops):
        """Centre, bandwidth and half width of bin `index`'s band, in points of the spectrum; whether it is whole."""
        size = hops * self.hop_length
        centre, bandwidth = self.frequencies[index] * size / self.sample_rate, size / self.lengths[index]
        # An atom under 2 * HALF_BAND samples long fills the whole circle and has no edge to fade.
        whole = 2 * HALF_BAND * bandwidth >= size
        return centre, bandwidth, size / 2 if whole else HALF_BAND * bandwidth, whole

    def _extent(self, index, hops):
        """Where bin `index`'s band starts in the spectrum of N = hops * hop points, and how many points it has."""
        centre, _, reach, whole = self._reach(index, hops)
        first = max(math.ceil(centre - reach), -(self.hop_length // 2) * hops)
        return first, hops * self.hop_length if whole else math.floor(centre + reach) - first + 1

    def _band(self, index, hops):
        """Where bin `index`'s band starts, and conj(H) over it, scaled."""
        from scipy.signal import ZoomFFT

        size, length, atom = hops * self.hop_length, self.lengths[index], self.atoms[index]
        centre, bandwidth, _, whole = self._reach(index, hops)
        first, count = self._extent(index, hops)
        points = first + np.arange(count)
        spectrum = ZoomFFT(len(atom), [first, first + count], m=count, fs=size)(atom)
        spectrum = spectrum * np.exp(2j * np.pi * points * (len(atom) // 2) / size)
        if not whole:
            inside = (HALF_BAND - np.abs(points - centre) / bandwidth) / FADE
            spectrum = spectrum * (0.5 - 0.5 * np.cos(np.pi * np.clip(inside, 0, 1)))
        return first, spectrum.conj() * (math.sqrt(length) / self.hop_length)


class ComplexProduct:
    """A batched product of complex matrices, (M, B, J) x (M, J, K)."""

    cell_bytes = 8

    @staticmethod
    def layout(table):
        """complex64 (M, J, K) as the product wants it."""
        return table.contiguous()

    @staticmethod
    def of(part, table):
        """complex64 (M, B, J) x the table -> complex64 (M, B, K)."""
        return torch.bmm(part, table)


class RealProduct:
    """The same as one real product twice as wide each way, for devices whose complex one is slow or missing."""

    cell_bytes = 16

    @staticmethod
    def layout(table):
        """complex64 (M, J, K) as float32 (M, 2 J, 2 K): a row for each real and imaginary part."""
        real, imaginary = table.real, table.imag
        rows = [torch.stack([real, imaginary], dim=-1), torch.stack([-imaginary, real], dim=-1)]
        return torch.stack(rows, dim=2).flatten(1, 2).flatten(2).contiguous()

    @staticmethod
    def of(part, table):
        """complex64 (M, B, J) x the table -> complex64 (M, B, K)."""
        return torch.view_as_complex(torch.bmm(torch.view_as_real(part).flatten(2), table).unflatten(-1, (-1, 2)))


PRODUCTS = {'complex': ComplexProduct, 'real': RealProduct}
# Measured once and for all (NOTES.md); on other devices FoldedCqt measures.
FASTEST = {'cpu': 'complex'}


def fastest_product(device, groups_of, clips=16, repeats=5, clock=None):
    """The name in PRODUCTS that takes `device` the least time over tables `groups_of(name)`; one that fails is out.

    clock: gives seconds once the device has done what was asked of it before (unless given: by waiting for it).
    """
    clock, seconds = clock or (lambda: _now(device)), {}
    for name, product in PRODUCTS.items():
        try:
            groups = groups_of(name)
            shapes = [(len(group.table), clips, group.stop - group.start) for group in groups]
            parts = [torch.randn(shape, dtype=torch.complex64, device=device) for shape in shapes]
            times = []
            for _ in range(repeats):
                started = clock()
                for part, group in zip(parts, groups, strict=True):
                    product.of(part, group.table)
                times.append(clock() - started)
            seconds[name] = sorted(times)[repeats // 2]
        except RuntimeError as error:
            log.debug('%s product on %s: %s', name, device, error)
    best = min(seconds, key=seconds.get, default='real')
    log.info('CQT on %s: %s', device, ', '.join(f'{name} product {1e3 * taken:.2f} ms' for name, taken in
                                                seconds.items()) + f'; {best} it is')
    return best


def _now(device):
    if device.type != 'cpu':
        getattr(torch, device.type).synchronize()
    return time.perf_counter()


class TableCache:
    """Lists of Groups by key, the least recently used dropped first to stay within `limit_bytes`."""

    def __init__(self, limit_bytes):
        self.limit_bytes = limit_bytes
        self.kept = OrderedDict()
        self._warned = False

    @property
    def bytes(self):
        """Bytes held."""
        return sum(_bytes(groups) for groups in self.kept.values())

    def get(self, key, build):
        """The groups of `key`, built when they are not there; a list over the limit by itself is not kept."""
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        groups = build()
        size = _bytes(groups)
        if size > self.limit_bytes:
            if not self._warned:
                log.warning('CQT tables of %.3g MB exceed features.cqt.table_mb (%.3g): rebuilt for every batch. '
                            'Raise it', size / 1e6, self.limit_bytes / 1e6)
            self._warned = True
            return groups
        while self.kept and self.bytes + size > self.limit_bytes:
            self.kept.popitem(last=False)
        self.kept[key] = groups
        return groups

    def __getstate__(self):
        # A copied or pickled front end builds its own tables.
        return {'limit_bytes': self.limit_bytes, 'kept': OrderedDict(), '_warned': False}


def _bytes(groups):
    return sum(group.table.numel() * group.table.element_size() for group in groups)


def smooth(number):
    """The least product of 2, 3, 5 and 7 that is at least `number`: FFTs of such lengths are fast."""
    while True:
        rest = number
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 1
