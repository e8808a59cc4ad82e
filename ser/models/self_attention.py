"""Self-attention: the encoder layer of view tokens, and the fusion in which each view's token map attends to itself."""

import torch
from torch import nn

from ser.models.cross_attention import attention, feed_forward


class EncoderLayer(nn.Module):
    """A pre-norm Transformer encoder layer with GELU (torch's TransformerEncoderLayer, norm_first) that shows its
    attention weights: (B, N, width) -> ((B, N, width), (B, N, N), mean over heads)."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = attention(width, heads, dropout)
        self.attention_dropout = nn.Dropout(dropout)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = feed_forward(width, inner, dropout)

    def forward(self, x):
        normed = self.attention_norm(x)
        attended, weights = self.attention(normed, normed, normed)
        x = x + self.attention_dropout(attended)
        return x + self.feed(self.feed_norm(x)), weights


class SelfAttentionFusion(nn.Module):
    """Each token map (B, N_i, width_i) through encoder layers of its own width, mean-pooled, then side by side; with
    one view there is nothing else to fuse. No positions are added (the backbone's maps carry them) and no last norm.
    Details 'attention_1', 'attention_2', ... (B, N_i, N_i): each view's last layer, mean over heads."""

    tokens, least, most = True, 1, None

    def __init__(self, config, widths):
        super().__init__()
        self.views = nn.ModuleList(
            nn.ModuleList(EncoderLayer(width, config.heads, 4 * width, config.dropout) for _ in range(config.layers))
            for width in widths)
        self.width = sum(widths)

    def forward(self, maps):
        pooled, details = [], {}
        for i, (layers, x) in enumerate(zip(self.views, maps, strict=True), start=1):
            for layer in layers:
                x, weights = layer(x)
            pooled.append(x.mean(dim=1))
            details[f'attention_{i}'] = weights.detach()
        return torch.cat(pooled, dim=1), details
