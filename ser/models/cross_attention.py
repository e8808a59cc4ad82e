"""Cross-attention between the token maps of two views, before pooling."""

import torch
from torch import nn

from ser.errors import SerError


def attention(width: int, heads: int, dropout: float) -> nn.MultiheadAttention:
    """Multi-head attention on (B, N, width).

    Raises SerError when the heads do not divide the width.
    """
    if width % heads:
        raise SerError(f"model.fusion: heads {heads} does not divide width {width}")
    return nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)


def feed_forward(width: int, inner: int, dropout: float) -> nn.Sequential:
    """Linear - GELU - Dropout - Linear - Dropout."""
    return nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width),
                         nn.Dropout(dropout))


class _PreNormDirection(nn.Module):
    """One view looks at the other: x += Attention(LN(x), LN'(context)), then x += FeedForward(LN(x))."""

    def __init__(self, config):
        super().__init__()
        self.query_norm = nn.LayerNorm(config.width)
        self.context_norm = nn.LayerNorm(config.width)
        self.attention = attention(config.width, config.heads, config.dropout)
        self.attention_dropout = nn.Dropout(config.dropout)
        self.feed_norm = nn.LayerNorm(config.width)
        self.feed = feed_forward(config.width, 4 * config.width, config.dropout)

    def forward(self, x, context):
        context = self.context_norm(context)
        attended, weights = self.attention(self.query_norm(x), context, context)
        x = x + self.attention_dropout(attended)
        return x + self.feed(self.feed_norm(x)), weights


class _PostNormDirection(nn.Module):
    """One view looks at the other: x = LN(x + Attention(x, context)), then x = LN(x + FeedForward(x))."""

    def __init__(self, config):
        super().__init__()
        self.attention = attention(config.width, config.heads, config.dropout)
        self.attention_dropout = nn.Dropout(config.dropout)
        self.attention_norm = nn.LayerNorm(config.width)
        self.feed = feed_forward(config.width, 4 * config.width, config.dropout)
        self.feed_norm = nn.LayerNorm(config.width)

    def forward(self, x, context):
        attended, weights = self.attention(x, context, context)
        x = self.attention_norm(x + self.attention_dropout(attended))
        return self.feed_norm(x + self.feed(x)), weights


class CrossAttentionFusion(nn.Module):
    """Token maps (B, N1, w1) and (B, N2, w2) attend to each other, layer by layer, then mean-pool and merge.

    In each layer the first view looks at the second, then the second at the first as just updated. Maps are projected
    only where their width differs from config.width; the feed-forward is four times as wide. merge: 'concat'
    [a; b], 'add' a + b, 'gated' g a + (1 - g) b with g = sigmoid(Linear([a; b])), 'project'
    Dropout(GELU(LN(Linear([a; b])))).
    Details: 'attention_1' (B, N1, N2) and 'attention_2' (B, N2, N1), the last layer's weights, mean over heads;
    'gate' (B, width) with merge 'gated'.
    """

    tokens, least, most = True, 2, 2

    def __init__(self, config, widths):
        super().__init__()
        width, direction = config.width, _PreNormDirection if config.norm == 'pre' else _PostNormDirection
        self.projections = nn.ModuleList(nn.Identity() if w == width else nn.Linear(w, width) for w in widths)
        self.first = nn.ModuleList(direction(config) for _ in range(config.layers))
        self.second = nn.ModuleList(direction(config) for _ in range(config.layers))
        self.merge = config.merge
        self.gate = nn.Linear(2 * width, width) if config.merge == 'gated' else None
        self.project = None
        if config.merge == 'project':
            self.project = nn.Sequential(nn.Linear(2 * width, width), nn.LayerNorm(width), nn.GELU(),
                                         nn.Dropout(config.dropout))
        self.width = 2 * width if config.merge == 'concat' else width

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
        if self.merge == 'concat':
            return both, details
        if self.merge == 'project':
            return self.project(both), details
        gate = torch.sigmoid(self.gate(both))
        return gate * a + (1 - gate) * b, {**details, 'gate': gate.detach()}
