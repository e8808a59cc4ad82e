"""Cross-attention between the token maps of two views, before pooling."""

import torch
from torch import nn

from ser.errors import SerError


def attention(config) -> nn.MultiheadAttention:
    """Multi-head attention of config.width, config.heads and config.dropout on (B, N, width).

    Raises SerError when the heads do not divide the width.
    """
    if config.width % config.heads:
        raise SerError(f"model.fusion: heads {config.heads} does not divide width {config.width}")
    return nn.MultiheadAttention(config.width, config.heads, dropout=config.dropout, batch_first=True)


def feed_forward(width: int, inner: int, dropout: float) -> nn.Sequential:
    """Linear - GELU - Dropout - Linear - Dropout."""
    return nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width),
                         nn.Dropout(dropout))


class _Direction(nn.Module):
    """One view looks at the other: x += Attention(LN(x), LN'(context)), then x += FeedForward(LN(x))."""

    def __init__(self, config):
        super().__init__()
        self.query_norm = nn.LayerNorm(config.width)
        self.context_norm = nn.LayerNorm(config.width)
        self.attention = attention(config)
        self.attention_dropout = nn.Dropout(config.dropout)
        self.feed_norm = nn.LayerNorm(config.width)
        self.feed = feed_forward(config.width, 4 * config.width, config.dropout)

    def forward(self, x, context):
        context = self.context_norm(context)
        attended, weights = self.attention(self.query_norm(x), context, context)
        x = x + self.attention_dropout(attended)
        return x + self.feed(self.feed_norm(x)), weights


class CrossAttentionFusion(nn.Module):
    """Token maps (B, N1, w1) and (B, N2, w2) attend to each other, layer by layer, then mean-pool and merge.

    In each layer the first view looks at the second, then the second at the first as just updated. Maps are projected
    only where their width differs from config.width; the feed-forward is four times as wide. merge: 'concat'
    [a; b], 'add' a + b, 'gated' g a + (1 - g) b with g = sigmoid(Linear([a; b])).
    Details: 'attention_1' (B, N1, N2) and 'attention_2' (B, N2, N1), the last layer's weights, mean over heads;
    'gate' (B, width) with merge 'gated'.
    """

    tokens, least, most = True, 2, 2

    def __init__(self, config, widths):
        super().__init__()
        self.projections = nn.ModuleList(
            nn.Identity() if width == config.width else nn.Linear(width, config.width) for width in widths)
        self.first = nn.ModuleList(_Direction(config) for _ in range(config.layers))
        self.second = nn.ModuleList(_Direction(config) for _ in range(config.layers))
        self.merge = config.merge
        self.gate = nn.Linear(2 * config.width, config.width) if config.merge == 'gated' else None
        self.width = 2 * config.width if config.merge == 'concat' else config.width

    def forward(self, maps):
        a, b = (project(tokens) for project, tokens in zip(self.projections, maps, strict=True))
        for first, second in zip(self.first, self.second, strict=True):
            a, weights_1 = first(a, b)
            b, weights_2 = second(b, a)
        details = {'attention_1': weights_1.detach(), 'attention_2': weights_2.detach()}
        a, b = a.mean(dim=1), b.mean(dim=1)
        if self.merge == 'add':
            return a + b, details
        both = torch.cat((a, b), dim=1)
        if self.gate is None:
            return both, details
        gate = torch.sigmoid(self.gate(both))
        return gate * a + (1 - gate) * b, {**details, 'gate': gate.detach()}
