"""Transformer layers over the frames of clips of different lengths."""

import math

import torch
from torch import nn
from torch.nn import functional

from ser.errors import SerError
from ser.models.cross_attention import feed_forward

SLOWEST_WAVE = 10000.0


def sinusoids(frames, width, device=None):
    """float32 (frames, width): the positions of Vaswani et al. 2017, for any number of frames."""
    waves = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(SLOWEST_WAVE) / width))
    angles = torch.arange(frames, device=device)[:, None] * waves
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


class TimeLayer(nn.Module):
    """A pre-norm encoder layer with GELU (torch's TransformerEncoderLayer with norm_first): (B, T, width) to the same.

    Frames beyond a clip's end are no keys; what they become themselves is of no use.
    """

    def __init__(self, width, heads, inner, dropout):
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.attention_norm = nn.LayerNorm(width)
        self.inner, self.outer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attention_dropout = nn.Dropout(dropout)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = feed_forward(width, inner, dropout)

    def forward(self, x, mask):
        """x (B, T, width), mask bool (B, T) with at least one True a clip."""
        joint = self.inner(self.attention_norm(x)).unflatten(2, (3, self.heads, -1))
        query, key, value = joint.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :],
                                                           dropout_p=self.rate if self.training else 0.0)
        x = x + self.attention_dropout(self.outer(attended.transpose(1, 2).flatten(2)))
        return x + self.feed(self.feed_norm(x))


class TimeTransformer(nn.Module):
    """Positions, then encoder layers; with no layer, nothing at all."""

    def __init__(self, config, width, where):
        """config: ExpertTransformer. where: its dotted key. Raises SerError for heads that do not divide the width."""
        super().__init__()
        if config.layers and width % config.heads:
            raise SerError(f'{where}.heads: {config.heads} does not divide the width {width}; take a divisor of it')
        self.layers = nn.ModuleList(TimeLayer(width, config.heads, config.feedforward, config.dropout)
                                    for _ in range(config.layers))

    def forward(self, x, mask):
        """x (B, T, width), mask bool (B, T) -> (B, T, width)."""
        if len(self.layers):
            x = x + sinusoids(x.shape[1], x.shape[2], x.device).to(x.dtype)
        for layer in self.layers:
            x = layer(x, mask)
        return x
