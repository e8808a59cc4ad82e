"""Filters that learn. The network owns the tensors, so that they are averaged, saved and synchronised with its weights;
the front end gets them with each batch."""

import torch
from torch import nn

from ser.errors import SerError


class LearnedFilters(nn.Module):
    """From the tensor that learns to filters: in units of each row's greatest magnitude, within the row's support.

    Units let one learning rate fit all rows, whose weights differ a thousandfold. What the definition has at 0 stays 0:
    an optimiser that scales its steps would open every band to all others with the first of them.
    `initial` float32 (..., rows, N) is where the tensor starts: the definition.
    """

    def __init__(self, filters):
        """filters: float32 (..., rows, N), the definition; a row may be all 0."""
        super().__init__()
        peaks = filters.abs().amax(dim=-1, keepdim=True)
        self.initial = filters / torch.where(peaks > 0, peaks, 1.0)
        self.register_buffer('scale', torch.where(filters != 0, peaks, 0.0), persistent=False)

    def forward(self, tensor):
        """The filters, of the same shape."""
        return tensor * self.scale


def initial_filters(trainable, engines):
    """feature -> the tensor that its filters start from, for those that learn.

    trainable: the features whose `trainable` is set. engines: feature -> what computes it, or None. Raises SerError
    where nothing is computed of a feature that is to learn.
    """
    found = {name: engine.learned.initial for name, engine in engines.items()
             if engine is not None and engine.learned is not None}
    for name in trainable:
        if name not in found:
            raise SerError(f'features.{name}.trainable: the model sees nothing that is made with these filters, so '
                           f'they cannot learn. Set it to false, or give the model {name}')
    return found


def learns(filters):
    """Whether any tensor of `filters` (feature -> tensor, or None) wants a gradient."""
    return filters is not None and any(tensor.requires_grad for tensor in filters.values())
