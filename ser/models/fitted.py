"""Networks that are fitted to the training part at once instead of trained by steps: what they share."""

from typing import NamedTuple

import torch
from torch import nn

from ser.config.augment import AugmentConfig
from ser.errors import SerError


class Clips(NamedTuple):
    """The clips of a part, in the order of the index, on the CPU."""

    values: torch.Tensor
    """The network's view, clips first."""
    classes: torch.Tensor
    """int64 (N,), class numbers."""


class FittedNetwork(nn.Module):
    """A network without parameters whose buffers `fit` fills. view: name of the one view it sees.

    A subclass has `learn(train, valid)`, which fills the buffers from Clips on the CPU and says in words what it chose.
    """

    view = ''

    def __init__(self, names):
        """names: classes in index order."""
        super().__init__()
        self.names = tuple(names)

    def fit(self, train, valid):
        """Fill the buffers from the Clips of training; whatever is chosen is chosen on those of validation.

        Returns what was chosen, in words. Raises SerError for a class without a clip to learn from.
        """
        counts = torch.bincount(train.classes, minlength=len(self.names)).tolist()
        lacking = [name for name, count in zip(self.names, counts, strict=True) if not count]
        if lacking:
            listed = ', '.join(lacking)
            raise SerError(f'the training part ({len(train.classes)} clips for {len(self.names)} classes) has no clip '
                           f"of {listed}: draw other parts, or leave the class out: --set data.drop='[{listed}]'")
        return self.learn(train, valid)

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Nothing learns by steps: no part."""
        return {}

    def set_gradient_checkpointing(self, enable: bool = True):
        """There is no backward pass: nothing to do."""


def check_fitted(config, auxiliary):
    """Raise SerError for keys of a Config that a network fitted at once cannot follow."""
    kind = f'model.kind {config.model.kind}'
    if config.task.kind != 'emotion':
        raise SerError(f'{kind}: this baseline learns classes, and task.kind is {config.task.kind}. Use task.kind '
                       'emotion, or a model that is trained, such as crnn')
    if auxiliary:
        raise SerError(f'{kind}: this baseline has one head, and task.auxiliary names {", ".join(auxiliary)}. Set '
                       'task.auxiliary={}, or use a model that is trained, such as crnn')
    if config.task.soft_labels:
        raise SerError(f'{kind}: this baseline learns labels, not shares of votes. Set task.soft_labels=false')
    if config.augment != AugmentConfig():
        raise SerError(f'{kind}: this baseline hears every training clip once, as it is. Leave out the keys of augment')
    if config.data.balance != 'none':
        raise SerError(f'{kind}: this baseline takes every training clip once, and data.balance is '
                       f"{config.data.balance}. Set data.balance=none")
