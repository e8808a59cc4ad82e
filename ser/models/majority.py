"""The commonest class: log shares of the training classes for every clip, whatever is heard."""

import torch
from torch import nn

from ser.models.contract import Output, SpeechModel
from ser.models.fitted import FittedNetwork, check_fitted


class LengthFrontEnd(nn.Module):
    """forward gives {'samples': int64 (B,)}, how long each clip is: all that a network needs that does not listen."""

    views = ()

    def prepare(self, lengths, device):
        """No tables: (0, 0), as FrontEnd.prepare."""
        return 0, 0

    def kept_tables(self, length, device):
        """No tables: (), as FrontEnd.kept_tables."""
        return ()

    def forward(self, waveforms, lengths, draw=None):
        """waveforms (B, T), lengths (B,) int64 -> the view."""
        return {'samples': lengths}


class MajorityNetwork(FittedNetwork):
    """Logits (B, C): log shares of the classes in training."""

    view = 'samples'

    def __init__(self, names):
        super().__init__(names)
        self.register_buffer('log_priors', torch.zeros(len(names)))

    def forward(self, views, mix=None) -> Output:
        return Output(self.log_priors.expand(len(views['samples']), -1), {}, {})

    def learn(self, train, valid):
        """Take the shares of the classes from `train`; nothing is chosen. Returns ''."""
        counts = torch.bincount(train.labels, minlength=len(self.names)).double()
        self.log_priors.copy_((counts / counts.sum()).log())
        return ''


def build_majority(config, names, load_pretrained: bool = True, auxiliary=None) -> SpeechModel:
    """The whole system for the classes `names`. Raises SerError for what it cannot do (see check_fitted)."""
    check_fitted(config, auxiliary)
    return SpeechModel(LengthFrontEnd(), MajorityNetwork(names))
