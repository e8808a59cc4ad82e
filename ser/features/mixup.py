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

    def pin_memory(self):
        """The same mix in page-locked memory."""
        return Mix(self.permutation.pin_memory(), torch.as_tensor(self.share, dtype=torch.float32).pin_memory())

    def clone(self):
        """The same mix in memory of its own."""
        return Mix(self.permutation.clone(), torch.as_tensor(self.share, dtype=torch.float32).clone())

    def copy_(self, other):
        """Take over the numbers of another mix of as many clips."""
        self.permutation.copy_(other.permutation, non_blocking=True)
        self.share.copy_(other.share, non_blocking=True)


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


def mix_views(views, mix):
    """share * x + (1 - share) * x[permutation] of every view, a dict of float tensors with clips first.

    Views of whole numbers are lengths, int64 (B,): of two clips the longer one's.
    """
    if mix is None:
        return views
    return {name: _mixed(x, mix) for name, x in views.items()}


def mix_waveforms(waveforms, lengths, mix):
    """The same of waveforms float32 (B, T), zero beyond their lengths int64 (B,), and the longer one's length."""
    return _mixed(waveforms, mix), _mixed(lengths, mix)


def _mixed(x, mix):
    partner = x[mix.permutation.to(x.device)]
    if not x.is_floating_point():
        return torch.maximum(x, partner)
    return torch.lerp(partner, x, torch.as_tensor(mix.share, dtype=x.dtype, device=x.device))
