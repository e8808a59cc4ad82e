"""The band of a transmission: what lies below and above it is filtered out."""

import torch
from scipy.fft import next_fast_len

from ser.features.drawn import between

# Half of the filter's length: with Hamming's window an edge is about 50 Hz wide.
_REACH_SECONDS = 0.032


def draw_band_limit(step, draws):
    """Each clip's edges in Hz: 0 for no high pass, infinity for no low pass."""
    low = between(step.low_hz or (0.0, 0.0), draws[:, 0])
    high = between(step.high_hz, draws[:, 1]) if step.high_hz else low + float('inf')
    return {'low_hz': low, 'high_hz': high}


def low_pass(edges, reach):
    """float32 (n, 2 * reach + 1): windowed-sinc filters with edges (n,) as shares of the sampling rate, sum 1.

    An edge of 0.5 and above passes everything, one of 0 nothing but the mean under the window.
    """
    places = torch.arange(-reach, reach + 1, device=edges.device, dtype=torch.float32)
    window = torch.hamming_window(2 * reach + 1, periodic=False, device=edges.device)
    taps = torch.sinc(2.0 * edges.clamp(max=0.5)[:, None] * places) * window
    return taps / taps.sum(dim=1, keepdim=True)


def filtered(samples, taps):
    """float32 (n, T): each row of samples (n, T) convolved with its taps (n, 2 * reach + 1), without delay."""
    total, reach = samples.shape[1], taps.shape[1] // 2
    size = next_fast_len(total + 2 * reach, real=True)
    spectrum = torch.fft.rfft(samples, size) * torch.fft.rfft(taps, size)
    return torch.fft.irfft(spectrum, size)[:, reach:reach + total]


def band_limit(samples, lengths, drawn, rate):
    """samples (n, T) between each clip's edges."""
    reach = max(1, round(_REACH_SECONDS * rate))
    low, high = drawn.values['low_hz'], drawn.values['high_hz']
    below = low_pass(low / rate, reach) * (low > 0)[:, None]
    return filtered(samples, low_pass(high / rate, reach) - below), lengths
