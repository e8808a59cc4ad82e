"""Levels: decibels relative to each clip's own maximum, and each clip scaled to [0, 1]; valid frames only.

What lies beyond a clip's last valid frame never reaches its numbers, so a clip alone and the same clip
padded in a batch agree, and silence stays finite in value and in gradient.
"""

import torch

RANGE_EPSILON = 1e-8
# Under this power a clip is silent; times 10 ** (-floor / 10) it is still a normal float32.
QUIETEST_POWER = 1e-20


def frame_counts(lengths, hop_length):
    """Frames of centred analysis, 1 + n // hop: int64 (B,) for lengths (B,) in samples."""
    return 1 + lengths // hop_length


def valid_frames(frames, total):
    """Which of `total` frames belong to each clip: bool (B, 1, total) for frames (B,)."""
    return (torch.arange(total, device=frames.device) < frames[:, None])[:, None, :]


def decibels(power, frames, floor_db):
    """10 log10 of power (B, F, T) relative to the clip's maximum over its valid frames; in [floor_db, 0].

    librosa.power_to_db(ref=max, top_db=-floor_db) of the cut clip, without its absolute threshold
    (amin). Frames beyond the clip hold floor_db.
    """
    valid = valid_frames(frames, power.shape[-1])
    power = power.masked_fill(~valid, 0.0)
    loudest = power.amax(dim=(1, 2), keepdim=True).clamp(min=QUIETEST_POWER)
    return 10.0 * torch.log10((power / loudest).clamp(min=10.0 ** (floor_db / 10.0)))


def unit_range(values, frames):
    """values (B, F, T) of each clip scaled to [0, 1] by its least and greatest valid value; 0 beyond the clip.

    (x - min) / (max - min + 1e-8): a constant clip becomes 0.
    """
    valid = valid_frames(frames, values.shape[-1])
    least = values.masked_fill(~valid, torch.inf).amin(dim=(1, 2), keepdim=True)
    greatest = values.masked_fill(~valid, -torch.inf).amax(dim=(1, 2), keepdim=True)
    return ((values - least) / (greatest - least + RANGE_EPSILON)).masked_fill(~valid, 0.0)
