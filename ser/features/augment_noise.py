"""Noise that is a pure function of a key and a sample's number, on any device, mixed in at a level."""

import math

import torch

from ser.features.drawn import between, inside

# SplitMix64 (ser.randomness) as signed numbers, which wrap as unsigned ones do.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX_2 = 0x94D049BB133111EB - 2**64
_LOW_32 = 2**32 - 1


def _logical_shift(x, bits):
    return (x >> bits) & (2 ** (64 - bits) - 1)


def hashes(keys, count):
    """int64 (n, count): SplitMix64 of the counters 1..count for keys int64 (n,)."""
    x = keys[:, None] + torch.arange(1, count + 1, device=keys.device) * _GOLDEN
    x = (x ^ _logical_shift(x, 30)) * _MIX_1
    x = (x ^ _logical_shift(x, 27)) * _MIX_2
    return x ^ _logical_shift(x, 31)


def normals(keys, total):
    """float32 (n, total): standard normal numbers (Box and Muller 1958), two from each hash.

    A number depends on its key and place alone, so a clip hears the same noise in any batch and on any device (to the
    rounding of logarithm and cosine).
    """
    found = hashes(keys, -(-total // 2))
    radius = ((_logical_shift(found, 32).float() + 0.5) * 2.0**-32).log_().mul_(-2.0).clamp_(min=0.0).sqrt_()
    angle = (found & _LOW_32).float() * (2.0 * math.pi * 2.0**-32)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=2).flatten(1)[:, :total]


def mixed_at(samples, lengths, noise, snr_db):
    """samples + noise (n, T), the noise scaled to snr_db (n,) below the clip's power over its own samples.

    A silent clip, and a silent noise, change nothing.
    """
    noise = noise.masked_fill(~inside(lengths, noise.shape[1]), 0.0)
    signal, power = (x.square().sum(dim=1) for x in (samples, noise))
    share = torch.where(power > 0, signal / power, 0.0) * 10.0 ** (-snr_db / 10.0)
    return torch.addcmul(samples, noise, share.sqrt()[:, None])


def draw_noise(step, draws):
    """The signal-to-noise ratio of each clip."""
    return {'snr_db': between(step.snr_db, draws[:, 0])}


def noise(samples, lengths, drawn, rate):
    """samples (n, T) with Gaussian noise at each clip's ratio."""
    return mixed_at(samples, lengths, normals(drawn.values['key'], samples.shape[1]), drawn.values['snr_db']), lengths


def draw_noise_level(step, draws):
    """The standard deviation of each clip's noise."""
    return {'deviation': between(step.deviation, draws[:, 0])}


def noise_level(samples, lengths, drawn, rate):
    """samples (n, T) with Gaussian noise of each clip's deviation."""
    found = normals(drawn.values['key'], samples.shape[1])
    return torch.addcmul(samples, found, drawn.values['deviation'][:, None]), lengths
