"""What a step minimises: a sum of terms, each a mean over the clips of the whole step, whatever ranks and batches."""

import numpy as np
import torch
from torch import nn

from ser.training.contrastive import ContrastiveTerm
from ser.training.losses import CccLoss, Loss


class HeadTerm(nn.Module):
    """The loss of one head: logits read from an Output, targets by name, standardised where they are numbers."""

    def __init__(self, loss, target, scale, read):
        """read: Output -> logits. scale: (mean, std) of a regression, None for classes."""
        super().__init__()
        self.loss, self.target, self.read, self.scaled = loss, target, read, scale is not None
        for name, value in zip(('mean', 'std'), scale or (0.0, 1.0), strict=True):
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32), persistent=False)

    def _wanted(self, targets):
        wanted = targets[self.target]
        # Of class numbers and shares nothing is to be standardised; numbers are learnt as deviations from the mean.
        return (wanted - self.mean) / self.std if self.scaled else wanted

    def weight(self, targets, weights, mix=None):
        """The sum of the clips' weights, a scalar; known before the forward pass."""
        return self.loss.weight(self._wanted(targets), weights, mix)

    def total(self, output, targets, weights, mix=None):
        """The weighted sum of the clips' losses, a scalar."""
        return self.loss.total(self.read(output), self._wanted(targets), weights, mix)


class PenaltyTerm(nn.Module):
    """A scalar of a micro-batch that the network reports itself (Output.penalties), weighed by its clips."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def weight(self, targets, weights, mix=None):
        """The sum of the clips' weights."""
        return weights.sum()

    def total(self, output, targets, weights, mix=None):
        """The penalty times that sum."""
        return output.penalties[self.name].float() * weights.sum()


class Objective(nn.Module):
    """All terms of a task and a network as sums and weights; the main head's is the first."""

    def __init__(self, task, loss, class_counts, train_rows, network=None, times=None):
        """task: Task. loss: the config's training.loss. class_counts: training clips of an epoch per class. train_rows:
        their numbers, int (N,). network: tells its own terms, `side_losses` and `penalties`: name -> share of the loss.
        times: how often an epoch draws each of `train_rows` on average, float (N,); None is once."""
        super().__init__()
        main = task.heads[0]
        target = 'votes' if task.config.kind == 'emotion' and task.config.soft_labels else main.target
        made = Loss(loss, task.names, class_counts) if loss.kind != 'ccc' else CccLoss(loss)
        terms, shares = [HeadTerm(made, target, main.scale, main.read)], [1.0]
        for head in task.heads[1:]:
            values = task.columns[head.target][train_rows]
            known = values >= 0
            counts = np.bincount(values[known], None if times is None else times[known], len(head.names))
            config = task.config.auxiliary[head.target]
            terms.append(HeadTerm(Loss(config, head.names, counts.tolist(), f'task.auxiliary.{head.target}'),
                                  head.target, None, head.read))
            shares.append(config.weight)
        for name, share in getattr(network, 'side_losses', {}).items():
            terms.append(HeadTerm(made, target, main.scale, lambda output, name=name: output.side_logits[name]))
            shares.append(share)
        for name, share in getattr(network, 'penalties', {}).items():
            terms.append(PenaltyTerm(name))
            shares.append(share)
        contrastive = getattr(loss, 'contrastive', None)
        if contrastive is not None:
            terms.append(ContrastiveTerm(contrastive.temperature, main.target))
            shares.append(contrastive.weight)
        self.terms = nn.ModuleList(terms)
        self.register_buffer('shares', torch.tensor(shares), persistent=False)

    def weights(self, targets, weights, mix=None):
        """float32 (terms,): the sum of the clips' weights for each term; known before the forward pass."""
        return torch.stack([term.weight(targets, weights, mix) for term in self.terms])

    def totals(self, output, targets, weights, mix=None):
        """float32 (terms,): the weighted sum of the clips' losses for each term."""
        return torch.stack([term.total(output, targets, weights, mix) for term in self.terms])

    def joined(self, totals, weights):
        """The loss to minimise: each term's mean times its share, `weights` being those of the whole step."""
        return (self.shares * totals / weights.clamp(min=1e-12)).sum()
