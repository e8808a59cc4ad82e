"""Experts of a mixture: a stream of frames of their own to one vector per clip, and which frames it came from.

Each expert maps (frames, counts) to (vector (B, width), attention float32 (B, T')). What lies beyond a clip's own
frames reaches neither.
"""

from torch import nn
from torch.nn import functional

from ser.models.masked import frame_mask
from ser.models.pooling import AttentionPooling
from ser.models.time_transformer import TimeTransformer

CONVOLUTIONS = 2
KERNEL, STRIDE = 5, 2


class Readout(nn.Module):
    """Frames (B, T, inner) to (B, width): Transformer layers, attentive statistics, LayerNorm, Linear, GELU."""

    def __init__(self, config, transformer, inner, where):
        """config: MoeConfig. transformer: a ExpertTransformer, `where` its dotted key."""
        super().__init__()
        self.transformer = TimeTransformer(transformer, inner, where)
        self.pooling = AttentionPooling(inner, config.attention_hidden, statistics=True)
        self.outer = nn.Sequential(nn.LayerNorm(self.pooling.width), nn.Linear(self.pooling.width, config.width),
                                   nn.GELU())

    def forward(self, x, frames):
        """x (B, T, inner), frames int64 (B,), at least 1 -> (B, width), attention float32 (B, T)."""
        mask = frame_mask(frames, x.shape[1])
        vector, attention = self.pooling(self.transformer(x, mask), mask)
        return self.outer(vector), attention


class SslExpert(nn.Module):
    """Hidden states of a self-supervised encoder, projected where `config.projection` is a width."""

    def __init__(self, config, encoder_width):
        super().__init__()
        inner, self.project = encoder_width, nn.Identity()
        if config.projection is not None:
            inner = config.projection
            self.project = nn.Sequential(nn.Linear(encoder_width, inner), nn.LayerNorm(inner), nn.GELU())
        self.readout = Readout(config, config.ssl_transformer, inner, 'model.ssl_transformer')

    def forward(self, states, frames):
        """states (B, T, encoder_width), frames int64 (B,)."""
        return self.readout(self.project(states), frames)


class SpectralExpert(nn.Module):
    """A spectrum through two convolutions over time, each halving the frames; rows are its channels."""

    def __init__(self, config, rows):
        super().__init__()
        widths = (rows, *[config.channels] * CONVOLUTIONS)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], KERNEL, STRIDE, padding=KERNEL // 2, bias=False)
            for i in range(CONVOLUTIONS))
        self.norm = nn.LayerNorm(config.channels)
        self.readout = Readout(config, config.spectral_transformer, config.channels, 'model.spectral_transformer')

    def forward(self, x, frames):
        """x float32 (B, rows, T), 0 beyond frames int64 (B,); attention is over the (T + 3) // 4 halved frames."""
        for convolution in self.convolutions:
            x = functional.gelu(convolution(x))
            frames = -(-frames // STRIDE)
            # A kernel centred beyond the end still sees the clip; the clip alone has no such frame.
            x = x * frame_mask(frames, x.shape[-1])[:, None]
        return self.readout(self.norm(x.transpose(1, 2)), frames)

