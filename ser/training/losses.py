"""Losses as sums and weights, so that a step over several ranks and micro-batches has one exact mean."""

import torch
from torch import nn
from torch.nn import functional

from ser.errors import SerError, did_you_mean


def class_weights(wanted, names, counts):
    """One weight per class, float32 (C,), from the training part's clip counts.

    wanted: 'none', 'inverse' (N / (C n), scikit-learn's 'balanced'), 'sqrt_inverse', or {class: weight}.
    A class without training clips weighs 1. Raises SerError for a weight of an unknown class.
    """
    if isinstance(wanted, dict):
        for name in wanted:
            if name not in names:
                raise SerError(f"training.loss.class_weights: no class '{name}'. Classes: {', '.join(names)}."
                               f'{did_you_mean(name, names)}')
        return torch.tensor([float(wanted.get(name, 1.0)) for name in names])
    if wanted == 'none':
        return torch.ones(len(names))
    counts = torch.as_tensor(counts, dtype=torch.float64)
    weights = torch.where(counts > 0, counts.sum() / (len(names) * counts.clamp(min=1)), torch.ones_like(counts))
    return (weights.sqrt() if wanted == 'sqrt_inverse' else weights).float()


class Loss(nn.Module):
    """Cross-entropy or focal loss with smoothing, class weights and mixup.

    A step's loss is the sum of `total` over all its micro-batches and ranks divided by the sum of `weight`.
    """

    def __init__(self, config, names, counts):
        super().__init__()
        self.smoothing = config.label_smoothing
        self.gamma = config.gamma if config.kind == 'focal' else 0.0
        self.register_buffer('class_weights', class_weights(config.class_weights, names, counts), persistent=False)

    def per_clip(self, logits, targets):
        """Unweighted loss of each clip, float32 (B,); logits (B, C), targets int64 (B,)."""
        logits = logits.float()
        losses = functional.cross_entropy(logits, targets, label_smoothing=self.smoothing, reduction='none')
        if self.gamma:
            true_probability = logits.softmax(1).gather(1, targets[:, None])[:, 0]
            losses = losses * (1 - true_probability).clamp(min=1e-6) ** self.gamma
        return losses

    def _sides(self, targets, weights, mix):
        """(targets, share x weight) of each side of the mixture; one side without mixup."""
        if mix is None:
            return [(targets, weights * self.class_weights[targets])]
        partner = targets[mix.permutation]
        return [(targets, mix.share * weights * self.class_weights[targets]),
                (partner, (1 - mix.share) * weights * self.class_weights[partner])]

    def weight(self, targets, weights, mix=None):
        """The sum of the clips' weights, a scalar; known before the forward pass."""
        return sum(side.sum() for _, side in self._sides(targets, weights, mix))

    def total(self, logits, targets, weights, mix=None):
        """The weighted sum of the clips' losses, a scalar."""
        return sum((self.per_clip(logits, wanted) * side).sum() for wanted, side in self._sides(targets, weights, mix))
