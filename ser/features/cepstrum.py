"""What is made of decibels: the mel cepstrum, and slopes along time."""

import math

import numpy as np
import torch
from torch import nn

from ser.errors import SerError


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
