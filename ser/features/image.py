"""From a level in [0, 1] to the image a vision backbone takes: time to width, resize, channels, mean and deviation."""

import torch
from kornia.enhance import normalize
from kornia.geometry.transform import remap
from torch import nn

from ser.errors import SerError

CHANNELS = {'replicate': 3, 'single': 1, 'delta': 3}


class Imager(nn.Module):
    """Levels (B, C, F, T) of one feature to images (B, channels, size, size).

    Bilinear without antialias, pixel centres aligned at the edges (align_corners=False): kornia's remap with source
    coordinates held inside the clip equals interpolating the cut clip. `time: stretch` lets each clip's valid frames
    fill the width. `time: fixed` lets `seconds` fill it: a longer clip is cut at its centre, a shorter one is
    followed by 0, the floor, in every channel. One channel travels until the end; with 'delta' there are three.
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

    def resize(self, levels, frames):
        """float32 (B, C, F, T) in [0, 1], 0 beyond each clip's frames (B,) -> (B, C, size, size) in [0, 1]."""
        clips, _, bands, total = levels.shape
        start = torch.zeros_like(frames)
        if self.fixed_frames is not None:
            levels = nn.functional.pad(levels, (0, max(0, self.fixed_frames - total)))
            start = (frames - self.fixed_frames).clamp(min=0) // 2
            frames = torch.full_like(frames, self.fixed_frames)
        across = self._sources(frames) + start[:, None]
        down = self._sources(torch.full_like(frames, bands))
        shape = (clips, self.size, self.size)
        # remap counts pixels from corner to corner, so its own align_corners is True.
        return remap(levels, across[:, None, :].expand(shape), down[:, :, None].expand(shape),
                     mode='bilinear', padding_mode='border', align_corners=True)

    def normalise(self, images):
        """float32 (B, 1 or channels, size, size) in [0, 1] -> (B, channels, size, size), (x - mean) / std."""
        return normalize(images.expand(-1, self.channels, -1, -1), self.mean, self.std)

    def _sources(self, extents):
        """Where each output pixel's centre lies in each of `extents` (B,) input pixels: float32 (B, size)."""
        centres = torch.arange(self.size, device=extents.device, dtype=torch.float32) + 0.5
        extents = extents.to(torch.float32)[:, None]
        return torch.minimum((centres * extents / self.size - 0.5).clamp(min=0.0), extents - 1.0)
