"""Networks that are fitted to the training part at once instead of trained by steps: what they share."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ser.config.augment import AugmentConfig
from ser.config.training import TrainingConfig
from ser.errors import SerError

# What is minimised by steps and how; the other keys of training say how long, with what means, what is kept.
BY_STEPS = ('optimizer', 'schedule', 'loss', 'clip_norm', 'ema')


class Clips(NamedTuple):
    """The M clips of a part in N rows, in the order of the index, on the CPU: one a clip, or each window of a long one.
    """

    values: torch.Tensor
    """The network's view, rows first."""
    classes: torch.Tensor
    """int64 (N,), class numbers."""
    ids: torch.Tensor
    """int64 (N,), rising: which clip a row is of."""

    @property
    def starts(self):
        """int64 (M,), a numpy array: the first row of each clip."""
        return np.unique(self.ids.numpy(), return_index=True)[1]

    @property
    def windows(self):
        """int64 (M,), a numpy array: how many rows each clip has."""
        return np.diff(self.starts, append=len(self.ids))

    @property
    def labels(self):
        """int64 (M,), the clips' class numbers."""
        return self.classes[self.starts]

    @property
    def shares(self):
        """float64 (N,), a numpy array: what each row counts, so that every clip counts 1."""
        windows = self.windows
        return np.repeat(1.0 / windows, windows)

    def joined(self, logs):
        """Logs (M, K) of the means of probabilities over each clip's rows, of the rows' logs (N, K); numpy arrays."""
        return np.logaddexp.reduceat(logs, self.starts, axis=0) - np.log(self.windows)[:, None]


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
        counts = torch.bincount(train.labels, minlength=len(self.names)).tolist()
        lacking = [name for name, count in zip(self.names, counts, strict=True) if not count]
        if lacking:
            listed = ', '.join(lacking)
            raise SerError(f'the training part ({len(train.labels)} clips for {len(self.names)} classes) has no clip '
                           f"of {listed}: draw other parts, or leave the class out: --set data.drop='[{listed}]'")
        return self.learn(train, valid)

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Nothing learns by steps: no part."""
        return {}

    def set_gradient_checkpointing(self, enable: bool = True):
        """There is no backward pass: nothing to do."""


def changed_training(config):
    """Names of the keys of training that a Config changes and a network fitted at once reads nothing of."""
    return [name for name, field in TrainingConfig.model_fields.items()
            if name != 'batch_size' and getattr(config.training, name) != field.default]


def check_fitted_keys(config):
    """Raise SerError for keys of training that say how to learn by steps, where nothing is learnt so."""
    ignored = [f'training.{name}' for name in changed_training(config) if name in BY_STEPS]
    if ignored:
        raise SerError(f'model.kind {config.model.kind}: this baseline is fitted at once, not by steps, and does not '
                       f'follow {", ".join(ignored)}. Leave such keys out: it learns from data, protocol, features and '
                       'model alone; or use a model that is trained, such as crnn')


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
