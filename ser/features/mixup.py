"""Mixup (Zhang et al. 2018): each clip mixed with a partner, the same partner and share for every view."""

from dataclasses import dataclass

import numpy as np
import torch

from ser.randomness import generator


@dataclass(frozen=True)
class Mix:
    """Partner of each row, int64 (B,), and the share in [0, 1] that a row keeps of itself.

    The share is a float32 scalar tensor where it is drawn: torch.compile takes a Python number for a constant, and
    would compile anew for each.
    """

    permutation: torch.Tensor
    share: torch.Tensor | float

    def to(self, device, non_blocking=False):
        """The same mix on `device`, the share as a float32 scalar tensor."""
        share = torch.as_tensor(self.share, dtype=torch.float32)
        return Mix(self.permutation.to(device, non_blocking=non_blocking), share.to(device, non_blocking=non_blocking))


def draw_mix(config, weights, seed, global_step, rank):
    """The Mix of one batch, keyed by (seed, global_step, rank), or None where there is nothing to mix.

    config: MixupConfig. weights (B,): rows of weight 0 keep themselves and are nobody's partner. The share is
    Beta(alpha, alpha). Draw it before the batch goes to the device: weights are read on the host.
    """
    if config.alpha == 0:
        return None
    random = generator('mixup', seed, global_step, rank)
    mixed, share = random.random() < config.probability, float(random.beta(config.alpha, config.alpha))
    valid = np.flatnonzero(torch.as_tensor(weights).numpy(force=True) > 0)
    if not mixed or len(valid) < 2:
        return None
    permutation = np.arange(len(weights))
    permutation[valid] = random.permutation(valid)
    return Mix(torch.from_numpy(permutation), torch.tensor(share, dtype=torch.float32))


def mix_images(images, mix):
    """share * x + (1 - share) * x[permutation] of every view: dict of float (B, C, H, W) to the same."""
    if mix is None:
        return images
    mixed = {}
    for view, x in images.items():
        share = torch.as_tensor(mix.share, dtype=x.dtype, device=x.device)
        mixed[view] = torch.lerp(x[mix.permutation.to(x.device)], x, share)
    return mixed
