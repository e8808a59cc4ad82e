"""From a level in [0, 1] to the image a vision backbone takes: time to width, resize, channels, mean and deviation."""

from dataclasses import dataclass

import torch
from kornia.enhance import normalize
from kornia.geometry.transform import resize
from torch import nn

from ser.errors import SerError

CHANNELS = {'replicate': 3, 'single': 1, 'delta': 3}


@dataclass(frozen=True)
class Columns:
    """The frames that the columns of each clip's image lie between.

    shown: int64 (B, 2 * size), the left and the right neighbour of each column in turn, frame numbers that the batch
    has. weight: float32 (B, size), the right one's share. inside: bool (B, 1, 2 * size), which of them belong to the
    clip, or None when all do.
    """

    shown: torch.Tensor
    weight: torch.Tensor
    inside: torch.Tensor | None

    def between(self, levels):
        """float32 (B, C, F, 2 * size), a level for each of `shown` -> (B, C, F, size)."""
        if self.inside is not None:
            levels = levels.masked_fill(~self.inside[:, None], 0.0)
        return torch.lerp(levels[..., 0::2], levels[..., 1::2], self.weight[:, None, None, :])


class Imager(nn.Module):
    """Levels (B, C, F, T) of one feature to images (B, channels, size, size).

    Bilinear without antialias, pixel centres aligned at the edges (align_corners=False): along time between each
    clip's own frames, which equals interpolating the cut clip, then along frequency by kornia. `time: stretch` lets
    each clip's valid frames fill the width. `time: fixed` lets `seconds` fill it: a longer clip is cut at its centre,
    a shorter one is followed by 0, the floor, in every channel. One channel travels until the end; with 'delta' there
    are three.
    """

    def __init__(self, config, hop_length, sample_rate):
        super().__init__()
        if config.delta_width % 2 == 0:
            raise SerError(f'features.image.delta_width: {config.delta_width} is even; an odd number of frames is '
                           f'wanted, such as {config.delta_width + 1}')
        self.size, self.channels = config.size, CHANNELS[config.channels]
        self.fixed_frames = None
        if config.time.kind == 'fixed':
            self.fixed_frames = 1 + round(config.time.seconds * sample_rate) // hop_length
        mean, std = torch.tensor(config.mean), torch.tensor(config.std)
        if self.channels == 1:
            mean, std = mean.mean(0, keepdim=True), std.mean(0, keepdim=True)
        self.register_buffer('mean', mean, persistent=False)
        self.register_buffer('std', std, persistent=False)

    def columns(self, frames, total):
        """The Columns of clips of `frames` (B,) valid frames in a batch of `total`."""
        start, extent = torch.zeros_like(frames), frames
        if self.fixed_frames is not None:
            start = (frames - self.fixed_frames).clamp(min=0) // 2
            extent = torch.full_like(frames, self.fixed_frames)
        centres = torch.arange(self.size, device=frames.device, dtype=torch.float32) + 0.5
        source = (centres * extent[:, None] / self.size - 0.5).clamp(min=0.0)
        source = torch.minimum(source, extent[:, None] - 1.0)
        left = source.floor()
        shown = torch.stack([left, torch.minimum(left + 1.0, extent[:, None] - 1.0)], dim=-1).flatten(1).long()
        shown = shown + start[:, None]
        inside = (shown < frames[:, None])[:, None] if self.fixed_frames is not None else None
        return Columns(shown.clamp(max=total - 1), source - left, inside)

    def resize(self, columns):
        """float32 (B, C, F, size) in [0, 1], one level per column -> (B, C, size, size) in [0, 1]."""
        return resize(columns, (self.size, self.size), interpolation='bilinear', align_corners=False, antialias=False)

    def normalise(self, images):
        """float32 (B, 1 or channels, size, size) in [0, 1] -> (B, channels, size, size), (x - mean) / std."""
        return normalize(images.expand(-1, self.channels, -1, -1), self.mean, self.std)
