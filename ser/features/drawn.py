"""What one transform of the audio drew for the clips that get it: numbers on the host, and those on the device."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from ser.config.section import Section


@dataclass(frozen=True)
class Drawn:
    """A step of augment.waveform for n of a batch's clips."""

    step: Section
    """Its config."""
    rows: torch.Tensor
    """Which of the batch's clips, int64 (n,)."""
    host: dict
    """Name -> numpy (n,): what shapes and groups are decided by, without asking the device."""
    values: dict
    """The same numbers as tensors (n,): float32, or int64 where they are whole. 'key': one for each clip."""

    def each(self, change):
        """The same with change(tensor) in place of every tensor."""
        values = {name: change(value) for name, value in self.values.items()}
        return replace(self, rows=change(self.rows), values=values)


def drawn_values(step, rows, host, keys):
    """A Drawn from numpy arrays. rows int64 (n,), host: name -> (n,), keys uint64 (n,)."""
    def tensor(array):
        return torch.from_numpy(array if array.dtype.kind == 'i' else array.astype(np.float32))

    values = {name: tensor(array) for name, array in host.items()}
    return Drawn(step, torch.from_numpy(rows), host, {**values, 'key': torch.from_numpy(keys.view(np.int64))})


def between(bounds, draws):
    """float64 (n,): uniform draws (n,) in [0, 1) spread over bounds (lowest, highest)."""
    return bounds[0] + (bounds[1] - bounds[0]) * draws


def whole_between(lowest, highest, draws):
    """int64 (n,): each of the whole numbers lowest..highest as likely as the others."""
    return np.minimum(lowest + np.floor((highest - lowest + 1) * draws), highest).astype(np.int64)


def runs(values):
    """Slices of equal neighbours of an array (n,)."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def inside(lengths, total):
    """bool (n, total): the samples that belong to clips of lengths (n,)."""
    return torch.arange(total, device=lengths.device) < lengths[:, None]


def fitted(samples, total):
    """float32 (n, total): samples (n, T) cut at the end, or zeros after them."""
    return nn.functional.pad(samples, (0, total - samples.shape[1]))


def at_least_one(new, lengths):
    """`new` lengths int64 (n,), where no clip that held a sample is left without."""
    return torch.maximum(new, lengths.clamp(max=1))
