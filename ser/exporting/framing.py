"""Frames of waveforms by lookup of whole blocks, which traces with any batch size and any length."""

import math

import torch
from torch.nn import functional


def frames_of(waveforms, numbers, hop, reach):
    """float32 (B, N, 2 * reach): the samples within `reach` of every hop-th sample of (B, T); zeros surround it.

    numbers: int64 (B, N) frame numbers, or None for all 1 + T // hop. hop and reach should share a large divisor: each
    frame is looked up in blocks of it.
    """
    clips, samples = waveforms.shape
    block = math.gcd(hop, reach)
    blocks = (samples + 2 * reach + block - 1) // block
    padded = functional.pad(waveforms, (reach, blocks * block - samples - reach))
    if numbers is None:
        numbers = torch.arange(1 + samples // hop, device=waveforms.device).expand(clips, -1)
    first = numbers * (hop // block) + blocks * torch.arange(clips, device=waveforms.device)[:, None]
    places = first[..., None] + torch.arange(2 * reach // block, device=waveforms.device)
    found = padded.reshape(clips * blocks, block).index_select(0, places.flatten())
    return found.reshape(clips, numbers.shape[1], 2 * reach)
