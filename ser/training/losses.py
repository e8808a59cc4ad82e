"""Losses as sums and weights, so that a step over several ranks and micro-batches has one exact mean."""

import torch
from torch import nn
from torch.nn import functional

from ser.errors import SerError, did_you_mean


def class_weights(wanted, names, counts, where='training.loss'):
    """One weight per class, float32 (C,), from how many clips of each an epoch of training draws.

    wanted: 'none', 'inverse' (N / (C n), scikit-learn's 'balanced'), 'sqrt_inverse', 'effective' (the inverse of the
    effective number of clips, Cui et al. 2019, with beta = (N - 1) / N, over its mean over the classes that have
    clips), or {class: weight}. counts: (C,), not whole numbers where data.balance draws them; a class without clips
    weighs 1. Raises SerError for a weight of an unknown class.
    """
    if isinstance(wanted, dict):
        for name in wanted:
            if name not in names:
                raise SerError(f"{where}.class_weights: no class '{name}'. Classes: {', '.join(names)}."
                               f'{did_you_mean(name, names)}')
        return torch.tensor([float(wanted.get(name, 1.0)) for name in names])
    if wanted == 'none':
        return torch.ones(len(names))
    counts = torch.as_tensor(counts, dtype=torch.float64)
    present = counts > 0
    if wanted == 'effective':
        weights = 1 / _effective(counts[present])
        weights = weights / weights.mean()
    else:
        weights = counts.sum() / (len(names) * counts[present])
    every = torch.ones_like(counts).masked_scatter_(present, weights)
    return (every.sqrt() if wanted == 'sqrt_inverse' else every).float()


def _effective(counts):
    """(1 - beta^n) / (1 - beta) of counts n > 0, float64, beta = (N - 1) / N of their sum N."""
    total = counts.sum().clamp(min=1)
    return -torch.expm1(counts * torch.log1p(-1 / total)) * total


class Loss(nn.Module):
    """Cross-entropy or focal loss with smoothing, class weights and mixup.

    A step's loss is the sum of `total` over all its micro-batches and ranks divided by the sum of `weight`: class
    weights are shares of that mean, so that their scale does not matter, and a clip counts as much as its own class
    weighs, wherever smoothing spreads its target. Targets are class numbers int64 (B,), negative where unknown: such a
    clip counts nothing; or shares of votes float32 (B, C), where a clip counts as much as its classes weigh on average.
    """

    def __init__(self, config, names, counts, where='training.loss'):
        super().__init__()
        self.smoothing = getattr(config, 'label_smoothing', 0.0)
        self.gamma = config.gamma if getattr(config, 'kind', None) == 'focal' else 0.0
        weights = class_weights(config.class_weights, names, counts, where)
        self.register_buffer('class_weights', weights, persistent=False)

    def per_clip(self, logits, targets):
        """Unweighted loss of each clip, float32 (B,); logits (B, C).

        The focal factor (1 - p_t)^gamma is of the network's own probability of the target, p . t of votes t, without
        weights and smoothing, and is differentiated as Lin et al. (2017) define it.
        """
        logits = logits.float()
        soft = targets.is_floating_point()
        targets = targets if soft else targets.clamp(min=0)
        losses = functional.cross_entropy(logits, targets, label_smoothing=self.smoothing, reduction='none')
        if self.gamma:
            probabilities = logits.softmax(1)
            true = (probabilities * targets).sum(1) if soft else probabilities.gather(1, targets[:, None])[:, 0]
            losses = losses * (1 - true).clamp(min=1e-6) ** self.gamma
        return losses

    def _of_class(self, targets):
        """The class weight of each clip, 0 where its class is unknown."""
        if targets.is_floating_point():
            return targets @ self.class_weights
        return self.class_weights[targets.clamp(min=0)] * (targets >= 0)

    def _sides(self, targets, weights, mix):
        """(targets, share x weight) of each side of the mixture; one side without mixup."""
        if mix is None:
            return [(targets, weights * self._of_class(targets))]
        partner = targets[mix.permutation]
        return [(targets, mix.share * weights * self._of_class(targets)),
                (partner, (1 - mix.share) * weights * self._of_class(partner))]

    def weight(self, targets, weights, mix=None):
        """The sum of the clips' weights, a scalar; known before the forward pass."""
        return sum(side.sum() for _, side in self._sides(targets, weights, mix))

    def total(self, logits, targets, weights, mix=None):
        """The weighted sum of the clips' losses, a scalar."""
        return sum((self.per_clip(logits, wanted) * side).sum() for wanted, side in self._sides(targets, weights, mix))


class CccLoss(nn.Module):
    """1 - concordance correlation (Lin 1989), the mean over dimensions, of a micro-batch's clips.

    A correlation belongs to a batch, not to a clip: `total` is the micro-batch's value times the weight of its clips,
    so that a step's loss is the mean of its micro-batches. Targets float32 (B, D) and predictions in the same units,
    in which it does not matter how they are scaled; mixup mixes targets as it mixes images.
    """

    def __init__(self, config):
        super().__init__()
        self.mse_weight = config.mse_weight

    def weight(self, targets, weights, mix=None):
        """The sum of the clips' weights, a scalar."""
        return weights.sum()

    def total(self, predicted, targets, weights, mix=None):
        """(mean of 1 - CCC over dimensions + mse_weight x mean squared error) times the clips' weight, a scalar."""
        predicted = predicted.float()
        if mix is not None:
            targets = torch.lerp(targets[mix.permutation], targets, mix.share)
        share = (weights / weights.sum().clamp(min=1e-12))[:, None]
        mean_p, mean_t = (share * predicted).sum(0), (share * targets).sum(0)
        spread_p, spread_t = (share * (predicted - mean_p) ** 2).sum(0), (share * (targets - mean_t) ** 2).sum(0)
        together = (share * (predicted - mean_p) * (targets - mean_t)).sum(0)
        ccc = 2 * together / (spread_p + spread_t + (mean_p - mean_t) ** 2).clamp(min=1e-8)
        loss = (1 - ccc).mean()
        if self.mse_weight:
            loss = loss + self.mse_weight * (share * (predicted - targets) ** 2).sum(0).mean()
        return loss * weights.sum()
