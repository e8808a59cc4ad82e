"""Mel and chroma power without an FFT: the discrete Fourier transform as two small real matrix products.

An FFT of n samples in two steps (Cooley and Tukey 1965): with n = rows * columns, sample `columns * a + b` and bin
`k + rows * j`, a product over a, a turn of each number, a product over b. For 4096 samples that is a sixteenth of the
arithmetic of the whole matrix and a five-hundredth of its size, in operations that every runtime has.
"""

import numpy as np
import torch
from torch import nn

from ser.exporting.framing import frames_of
from ser.features.filters import chroma_filters, mel_filters


def factors(number):
    """(rows, columns) with rows * columns = number, as near to its root as there are; rows <= columns."""
    rows = int(number ** 0.5)
    while number % rows:
        rows -= 1
    return rows, number // rows


class PowerSpectrum(nn.Module):
    """float32 frames (B, N, n) to their power in the bins that `order` lists: (B, N, len(order)), windowed by Hann."""

    def __init__(self, n):
        super().__init__()
        rows, columns = factors(n)
        self.rows, self.columns, self.wanted = rows, columns, -(-(n // 2 + 1) // rows)
        a, b, k, j = np.arange(rows), np.arange(columns), np.arange(rows), np.arange(self.wanted)
        tables = {'window': torch.hann_window(n, dtype=torch.float64).numpy()}
        angles = 2 * np.pi / rows * np.outer(k, a)
        tables['first'] = np.concatenate([np.cos(angles), -np.sin(angles)])
        angles = 2 * np.pi / n * np.outer(k, b)
        tables['cosine'], tables['sine'] = np.cos(angles), np.sin(angles)
        angles = 2 * np.pi / columns * np.outer(b, j)
        tables['second'] = np.block([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]])
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(table).to(torch.float32), persistent=False)
        self.order = (k[:, None] + rows * j).flatten()

    def forward(self, frames):
        """float32 (B, N, n) -> float32 (B, N, rows * wanted), the bins `order`, some of them beyond n // 2."""
        table = (frames * self.window).unflatten(2, (self.rows, self.columns))
        turned = self.first @ table
        real, imaginary = turned[..., :self.rows, :], turned[..., self.rows:, :]
        turned = torch.cat([real * self.cosine + imaginary * self.sine,
                            imaginary * self.cosine - real * self.sine], dim=-1) @ self.second
        real, imaginary = turned[..., :self.wanted], turned[..., self.wanted:]
        return (real * real + imaginary * imaginary).flatten(2)


class MatrixBanks(nn.Module):
    """The power banks of ser.features.mel (mel, chroma) by matrix products alone; the same call, the same numbers."""

    def __init__(self, features, banks, mel=None):
        """features: FeaturesConfig. banks: names, in order. mel: float32 (bins, 1 + n_fft // 2) that was learned, or
        None for the definition."""
        super().__init__()
        config, rate = features.mel, features.sample_rate
        self.banks, self.n_fft, self.hop_length = tuple(banks), config.n_fft, config.hop_length
        self.spectrum = PowerSpectrum(config.n_fft)
        for name in self.banks:
            if name == 'chroma':
                filters = torch.from_numpy(chroma_filters(rate, config.n_fft, features.chroma.bins))
            else:
                filters = mel_filters(config, rate) if mel is None else mel
            self.register_buffer(name, self._ordered(filters.to(torch.float32)), persistent=False)

    def _ordered(self, filters):
        """(bins, 1 + n_fft // 2) -> (bins of the spectrum's order, bins); what lies beyond the half counts for 0."""
        order, bins = self.spectrum.order, filters.shape[1]
        rows = filters.T[np.minimum(order, bins - 1)]
        return rows.masked_fill(torch.from_numpy(order >= bins)[:, None], 0.0).contiguous()

    def forward(self, waveforms, shown=None, filters=None):
        """float32 (B, T), shown int64 (B, N) frame numbers or None for all -> bank to float32 power (B, bands, N)."""
        power = self.spectrum(frames_of(waveforms, shown, self.hop_length, self.n_fft // 2))
        return {name: (power @ getattr(self, name)).transpose(1, 2) for name in self.banks}
