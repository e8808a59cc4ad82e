"""From a sequence of frames to one vector per clip, over the clip's own frames."""

import torch
from torch import nn

# Added to a variance before its root, whose gradient at 0 is infinite.
DEVIATION_EPSILON = 1e-5


def masked_mean(x, mask):
    """The mean of x (B, T, D) over mask bool (B, T), at least one frame each: (B, D)."""
    inside = mask[..., None].to(x.dtype)
    return (x * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)


class MeanPooling(nn.Module):
    """The masked mean. width: of its output."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x, mask):
        """x (B, T, D), mask bool (B, T) -> (B, D) and the weight of each frame float32 (B, T)."""
        return masked_mean(x, mask), (mask / mask.sum(dim=1, keepdim=True).clamp(min=1)).float()


class AttentionPooling(nn.Module):
    """A mean of frames weighed by a softmax over the clip's own frames (Bahdanau et al. 2015).

    hidden: width of a tanh layer before the score, 0 for a linear score. statistics: the weighted deviation beside the
    mean (Okabe et al. 2018). width: of its output.
    """

    def __init__(self, width, hidden=0, statistics=False):
        super().__init__()
        self.statistics, self.width = statistics, width * (2 if statistics else 1)
        layers = [nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1)] if hidden else [nn.Linear(width, 1)]
        self.score = nn.Sequential(*layers)

    def forward(self, x, mask):
        """x (B, T, D), mask bool (B, T) -> (B, width) and the attention float32 (B, T), which sums to 1 per clip."""
        scores = self.score(x)[..., 0].float().masked_fill(~mask, -torch.inf)
        weights = scores.softmax(dim=1)
        shares = weights[..., None]
        mean = (shares * x).sum(dim=1)
        if not self.statistics:
            return mean, weights
        variance = (shares * (x - mean[:, None]).square()).sum(dim=1)
        return torch.cat([mean, (variance + DEVIATION_EPSILON).sqrt()], dim=1), weights


def build_pooling(kind, width, hidden=0):
    """'mean', 'attention' or 'statistics' of frames `width` wide."""
    if kind == 'mean':
        return MeanPooling(width)
    return AttentionPooling(width, hidden, statistics=kind == 'statistics')
