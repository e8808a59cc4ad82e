"""Transforms of the audio that keep every sample's worth: gain, polarity, circular shift."""

import torch

from ser.features.drawn import between


def draw_gain(step, draws):
    """The factor of each clip."""
    return {'factor': 10.0 ** (between(step.db, draws[:, 0]) / 20.0)}


def gain(samples, lengths, drawn, rate):
    """samples (n, T) times each clip's factor."""
    return samples * drawn.values['factor'][:, None], lengths


def draw_polarity(step, draws):
    """Nothing: who gets it, gets it."""
    return {}


def polarity(samples, lengths, drawn, rate):
    """-samples."""
    return -samples, lengths


def draw_shift(step, draws):
    """The share of its length by which each clip is rolled."""
    return {'share': between(step.share, draws[:, 0])}


def shift(samples, lengths, drawn, rate):
    """samples (n, T), each clip's own `lengths` (n,) samples rolled by a share of them, rounded to samples."""
    own = lengths.clamp(min=1)[:, None]
    offsets = (drawn.values['share'] * lengths).round().long()[:, None]
    places = torch.arange(samples.shape[1], device=samples.device)
    # Beyond the clip the places mean nothing and are set to 0 afterwards.
    return samples.gather(1, (places - offsets) % own), lengths
