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


def frames_at(values, frames):
    """`values` (B, F, T) at the frame numbers `frames` int64 (B, N), or as they are for None: (B, F, N)."""
    if frames is None:
        return values
    return values.gather(2, frames[:, None, :].expand(-1, values.shape[1], -1))


def decibels(power, valid, floor_db):
    """10 log10 of power (B, F, T) relative to the clip's maximum over its valid frames; in [floor_db, 0].

    valid: bool (B, 1, T), or None when every frame is. librosa.power_to_db(ref=max, top_db=-floor_db) of the cut clip,
    without its absolute threshold (amin). Frames that are not valid hold floor_db.
    """
    if valid is not None:
        power = power.masked_fill(~valid, 0.0)
    loudest = power.amax(dim=(1, 2), keepdim=True).clamp(min=QUIETEST_POWER)
    return 10.0 * torch.log10((power / loudest).clamp(min=10.0 ** (floor_db / 10.0)))


def unit_range(values, valid):
    """values (B, F, T) of each clip scaled to [0, 1] by its least and greatest valid value; 0 where not valid.

    (x - min) / (max - min + 1e-8): a constant clip becomes 0. valid: as for `decibels`.
    """
    if valid is None:
        least, greatest = values.amin(dim=(1, 2), keepdim=True), values.amax(dim=(1, 2), keepdim=True)
        return (values - least) / (greatest - least + RANGE_EPSILON)
    least = values.masked_fill(~valid, torch.inf).amin(dim=(1, 2), keepdim=True)
    greatest = values.masked_fill(~valid, -torch.inf).amax(dim=(1, 2), keepdim=True)
    return ((values - least) / (greatest - least + RANGE_EPSILON)).masked_fill(~valid, 0.0)
