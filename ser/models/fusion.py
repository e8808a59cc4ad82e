"""Fusions: how the views' vectors become one.

Every fusion is built from its config section and the views' widths, has `.width` (of its output) and maps a list of
vectors (B, width_i) to (fused (B, width), details). Fusions with `tokens = True` take token maps (B, N_i, width_i)
instead. Details are gates and attention weights, detached.
"""

import torch
from torch import nn

from ser.errors import SerError
from ser.models.cross_attention import CrossAttentionFusion
from ser.models.self_attention import EncoderLayer, SelfAttentionFusion


class ConcatFusion(nn.Module):
    """[f1; f2; ...]; a single view passes as it is."""

    tokens, least, most = False, 1, None

    def __init__(self, config, widths):
        super().__init__()
        self.width = sum(widths)

    def forward(self, vectors):
        return torch.cat(vectors, dim=1), {}


class GatedScalarFusion(nn.Module):
    """One weight per clip, a = sigmoid(Linear([f1; f2])): [a f1; (1 - a) f2], or their sum. Detail 'gate' (B, 1)."""

    tokens, least, most = False, 2, 2

    def __init__(self, config, widths):
        super().__init__()
        self.sum = config.mode == 'sum'
        if self.sum:
            _same(widths, "'gated_scalar' with mode 'sum'", "mode: concat")
        self.gate = nn.Linear(sum(widths), 1)
        self.width = widths[0] if self.sum else sum(widths)

    def forward(self, vectors):
        first, second = vectors
        gate = torch.sigmoid(self.gate(torch.cat(vectors, dim=1)))
        weighted = gate * first, (1 - gate) * second
        fused = weighted[0] + weighted[1] if self.sum else torch.cat(weighted, dim=1)
        return fused, {'gate': gate.detach()}


class GatedChannelFusion(nn.Module):
    """One weight per channel, [g1 * f1; g2 * f2] with g1 = sigmoid(Linear([f1; f2])) and g2 = 1 - g1 or a Linear of
    its own. Details 'gate_1' (B, width_1) and 'gate_2' (B, width_2)."""

    tokens, least, most = False, 2, 2

    def __init__(self, config, widths):
        super().__init__()
        if config.complementary:
            _same(widths, "'gated_channel' with complementary gates", 'complementary: false')
        self.first = nn.Linear(sum(widths), widths[0])
        self.second = None if config.complementary else nn.Linear(sum(widths), widths[1])
        self.width = sum(widths)

    def forward(self, vectors):
        first, second = vectors
        both = torch.cat(vectors, dim=1)
        gate_1 = torch.sigmoid(self.first(both))
        gate_2 = 1 - gate_1 if self.second is None else torch.sigmoid(self.second(both))
        fused = torch.cat((gate_1 * first, gate_2 * second), dim=1)
        return fused, {'gate_1': gate_1.detach(), 'gate_2': gate_2.detach()}


class AttentionTokensFusion(nn.Module):
    """Each view is one token: projected where its width differs, a learned type embedding added (zero at first),
    pre-norm encoder layers, flattened without a last norm. Detail 'attention' (B, layers, views, views): the mean
    over heads, rows are the attending views."""

    tokens, least, most = False, 2, None

    def __init__(self, config, widths):
        super().__init__()
        self.projections = nn.ModuleList(
            nn.Identity() if width == config.width else nn.Linear(width, config.width) for width in widths)
        self.types = nn.Parameter(torch.zeros(len(widths), config.width))
        self.layers = nn.ModuleList(EncoderLayer(config.width, config.heads, config.feedforward, config.dropout)
                                    for _ in range(config.layers))
        self.width = len(widths) * config.width

    def forward(self, vectors):
        x = torch.stack([project(v) for project, v in zip(self.projections, vectors, strict=True)], dim=1)
        x = x + self.types
        weights = []
        for layer in self.layers:
            x, attended = layer(x)
            weights.append(attended.detach())
        return x.flatten(1), {'attention': torch.stack(weights, dim=1)}


class HadamardFusion(nn.Module):
    """Product of projections p_i = Dropout(Linear(f_i)): p1 * p2, or [p1; p2; p1 * p2]."""

    tokens, least, most = False, 2, 2

    def __init__(self, config, widths):
        super().__init__()
        self.first = nn.Linear(widths[0], config.width)
        self.second = nn.Linear(widths[1], config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.product_only = config.mode == 'prod'
        self.width = config.width if self.product_only else 3 * config.width

    def forward(self, vectors):
        first = self.dropout(self.first(vectors[0]))
        second = self.dropout(self.second(vectors[1]))
        product = first * second
        return product if self.product_only else torch.cat((first, second, product), dim=1), {}


class LowRankBilinearFusion(nn.Module):
    """Linear(Dropout(U f1) * Dropout(V f2)), U and V without bias (Kim et al. 2017, "Hadamard product for low-rank
    bilinear pooling")."""

    tokens, least, most = False, 2, 2

    def __init__(self, config, widths):
        super().__init__()
        self.first = nn.Linear(widths[0], config.rank, bias=False)
        self.second = nn.Linear(widths[1], config.rank, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.outer = nn.Linear(config.rank, config.width)
        self.width = config.width

    def forward(self, vectors):
        product = self.dropout(self.first(vectors[0])) * self.dropout(self.second(vectors[1]))
        return self.outer(product), {}


class GmuFusion(nn.Module):
    """Gated multimodal unit (Arevalo et al. 2017): z_i = tanh(Linear f_i), g = sigmoid(Linear([z1; z2])),
    g z1 + (1 - g) z2. Detail 'gate' (B, width). The gate sees the z_i, as the reference system's does."""

    tokens, least, most = False, 2, 2

    def __init__(self, config, widths):
        super().__init__()
        self.first = nn.Linear(widths[0], config.width)
        self.second = nn.Linear(widths[1], config.width)
        self.gate = nn.Linear(2 * config.width, config.width)
        self.width = config.width

    def forward(self, vectors):
        first = torch.tanh(self.first(vectors[0]))
        second = torch.tanh(self.second(vectors[1]))
        gate = torch.sigmoid(self.gate(torch.cat((first, second), dim=1)))
        return gate * first + (1 - gate) * second, {'gate': gate.detach()}


FUSIONS: dict[str, type[nn.Module]] = {
    'concat': ConcatFusion,
    'gated_scalar': GatedScalarFusion,
    'gated_channel': GatedChannelFusion,
    'attn2token': AttentionTokensFusion,
    'hadamard': HadamardFusion,
    'lowrank_bilinear': LowRankBilinearFusion,
    'gmu': GmuFusion,
    'cross_attention': CrossAttentionFusion,
    'self_attention': SelfAttentionFusion,
}


def check_views(config, views: int):
    """Refuse a fusion that does not take this many views (SerError)."""
    kind = FUSIONS[config.kind]
    if views < kind.least or (kind.most is not None and views > kind.most):
        wanted = 'two views' if kind.most == 2 else 'two or more views'
        allowed = [name for name, other in FUSIONS.items()
                   if views >= other.least and (other.most is None or views <= other.most)]
        raise SerError(f"model.fusion: '{config.kind}' fuses {wanted}, the model has {views}. "
                       f"Allowed for {views}: {', '.join(allowed)}")


def wants_tokens(config) -> bool:
    """Whether the fusion takes token maps (B, N, width) rather than pooled vectors (B, width)."""
    return FUSIONS[config.kind].tokens


def build_fusion(config, widths) -> nn.Module:
    """The fusion of `model.fusion` for views of these widths.

    Raises SerError when it does not take that many views, or widths that differ, or heads do not divide its width.
    """
    check_views(config, len(widths))
    return FUSIONS[config.kind](config, tuple(widths))


def _same(widths, what, remedy):
    if len(set(widths)) > 1:
        raise SerError(f"model.fusion: {what} needs views of equal width, these are "
                       f"{' and '.join(str(width) for width in widths)}. Take backbones of one width, or {remedy}")
