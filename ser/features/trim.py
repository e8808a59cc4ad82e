"""Cutting clips of a batch: quiet ends by level, and a fixed length; every clip starts at sample 0 afterwards."""

import torch
from torch import nn

# Levels per window: librosa's default of 2048 samples every 512.
HOPS_PER_WINDOW = 4


def shifted(waveforms, starts, lengths, total):
    """float32 (B, total): each clip's `lengths` (B,) samples from `starts` (B,) on, zeros after them."""
    # On a CPU numbers cost nothing to read, and copying is fifty times faster than looking up each sample.
    return (_copied if waveforms.device.type == 'cpu' else gathered)(waveforms, starts, lengths, total)


def _copied(waveforms, starts, lengths, total):
    found = waveforms.new_zeros(len(waveforms), total)
    for row, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        found[row, :length] = waveforms[row, start:start + length]
    return found


def gathered(waveforms, starts, lengths, total):
    """`shifted` without reading a number back from the device."""
    places = torch.arange(total, device=waveforms.device)
    inside = places < lengths[:, None]
    found = (starts[:, None] + places).clamp(max=waveforms.shape[1] - 1)
    return waveforms.gather(1, found).masked_fill(~inside, 0.0)


class LevelTrim(nn.Module):
    """Quiet ends of each clip off: librosa.effects.trim over its own samples, with a margin (config LevelTrim)."""

    def __init__(self, config, sample_rate):
        super().__init__()
        self.hop = max(1, round(config.window_seconds * sample_rate / HOPS_PER_WINDOW))
        self.margin = round(config.margin_seconds * sample_rate)
        self.share = 10.0 ** (-config.below_db / 10.0)

    def bounds(self, waveforms, lengths):
        """int64 (B,) each: first sample and number of samples that stay. A silent clip stays whole.

        waveforms float32 (B, T), zero from `lengths` (B,) on.
        """
        power = self.power(waveforms)
        frames = torch.arange(power.shape[1], device=power.device)
        power = power.masked_fill(frames > (lengths // self.hop)[:, None], 0.0)
        loudest = power.amax(dim=1, keepdim=True)
        loud = (power > loudest * self.share) & (loudest > 0)
        first = torch.where(loud, frames, power.shape[1]).amin(dim=1)
        last = torch.where(loud, frames, -1).amax(dim=1)
        silent = last < 0
        start = torch.where(silent, 0, (first * self.hop - self.margin).clamp(min=0))
        stop = torch.where(silent, lengths, torch.minimum((last + 1) * self.hop + self.margin, lengths))
        return start, stop - start

    def power(self, waveforms):
        """float32 (B, 1 + T // hop): the sum of squares in a window round every hop-th sample; zeros surround (B, T).

        A window is made of blocks of a hop each, so that every sample is read once.
        """
        blocks, over = divmod(waveforms.shape[1], self.hop)
        whole, rest = waveforms.split([blocks * self.hop, over], dim=1)
        rest = nn.functional.pad(rest, (0, self.hop - over))[:, None]
        blocks = torch.cat([torch.linalg.vector_norm(part, dim=2).square()
                            for part in (whole.unflatten(1, (blocks, self.hop)), rest)], dim=1)
        half = HOPS_PER_WINDOW // 2
        return nn.functional.pad(blocks, (half, half - 1)).unfold(1, HOPS_PER_WINDOW, 1).sum(dim=2)

    def forward(self, waveforms, lengths):
        """waveforms float32 (B, T), zero from lengths (B,) on -> the same shape and the lengths that are left."""
        starts, kept = self.bounds(waveforms, lengths)
        return shifted(waveforms, starts, kept, waveforms.shape[1]), kept


def cut_to(waveforms, lengths, samples, places=None):
    """At most `samples` of each clip: float32 (B, samples) and lengths int64 (B,).

    places: float32 (B,) in [0, 1), which of the possible cuts a longer clip gets; None for the centre.
    """
    spare = (lengths - samples).clamp(min=0)
    if places is None:
        starts = spare // 2
    else:
        starts = torch.minimum((places.to(torch.float64) * (spare + 1)).long(), spare)
    kept = lengths.clamp(max=samples)
    return shifted(waveforms, starts, kept, samples), kept
