"""Classifier heads: the fused vector (B, width) in, logits (B, classes) out."""

from torch import nn

from ser.errors import SerError


class BatchNormHead(nn.Module):
    """Linear - BatchNorm - Dropout - ReLU - Linear, in the order of the MaxMViT-MLP paper.

    Raises SerError for a training batch of one clip, which has no statistics.
    """

    def __init__(self, config, width, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, config.hidden), nn.BatchNorm1d(config.hidden),
                                    nn.Dropout(config.dropout), nn.ReLU(), nn.Linear(config.hidden, classes))

    def forward(self, x):
        if self.training and x.shape[0] < 2:
            raise SerError("model.head: 'mlp_bn' cannot train on a batch of 1 clip per process: take a larger "
                           "training.batch_size, or kind: mlp_ln")
        return self.layers(x)


class LayerNormHead(nn.Module):
    """Linear - LayerNorm - GELU - Dropout - Linear: no statistics over the batch."""

    def __init__(self, config, width, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, config.hidden), nn.LayerNorm(config.hidden), nn.GELU(),
                                    nn.Dropout(config.dropout), nn.Linear(config.hidden, classes))

    def forward(self, x):
        return self.layers(x)


class ResidualHead(nn.Module):
    """Linear, then blocks of h += Linear(Dropout(GELU(LayerNorm(h)))), then LayerNorm and Linear."""

    def __init__(self, config, width, classes):
        super().__init__()
        self.inner = nn.Linear(width, config.hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(config.hidden), nn.GELU(), nn.Dropout(config.dropout),
                          nn.Linear(config.hidden, config.hidden))
            for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.hidden)
        self.outer = nn.Linear(config.hidden, classes)

    def forward(self, x):
        h = self.inner(x)
        for block in self.blocks:
            h = h + block(h)
        return self.outer(self.norm(h))


HEADS: dict[str, type[nn.Module]] = {
    'mlp_bn': BatchNormHead,
    'mlp_ln': LayerNormHead,
    'mlp_residual_ln': ResidualHead,
}


def build_head(config, width: int, classes: int) -> nn.Module:
    """The head of `model.head`: (B, width) -> logits (B, classes)."""
    return HEADS[config.kind](config, width, classes)
