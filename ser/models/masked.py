"""Layers over sequences of different lengths: what lies beyond a clip's end reaches no statistic and no neighbour.

Convention: x is 0 beyond the end, masks are True inside. A clip then gives the same alone and in a padded batch.
"""

import torch
from torch import nn


def frame_mask(frames, total):
    """bool (B, total), True for each clip's own `frames` (B,)."""
    return torch.arange(total, device=frames.device) < frames[:, None]


class _Normalise(torch.autograd.Function):
    """(x - mean) / deviation * weight + bias over valid positions, in as few passes over x as its gradient allows.

    x float32 (B, C, ..., T) takes the gradient; `own` is x where `inside` (B, 1, ..., T) is 1, and 0 elsewhere; mean
    and the reciprocal deviation (C,) are those of `own`.
    """

    @staticmethod
    def forward(ctx, x, own, inside, mean, reciprocal, weight, bias, count):
        shape = (1, -1, *[1] * (own.ndim - 2))
        scale = reciprocal * weight
        ctx.save_for_backward(own, inside, mean, reciprocal, weight, count)
        # Products that begin with own keep its memory format, which pooling and convolutions depend on.
        return (own * scale.view(shape)).add_((bias - mean * scale).view(shape)).mul_(inside)

    @staticmethod
    def backward(ctx, gradient):
        own, inside, mean, reciprocal, weight, count = ctx.saved_tensors
        shape, axes = (1, -1, *[1] * (own.ndim - 2)), [0, *range(2, own.ndim)]
        total = (gradient.sum(dim=list(range(2, own.ndim - 1)), keepdim=True) * inside if own.ndim > 3
                 else gradient * inside).sum(dim=axes)
        # It is 0 outside, so the gradient there adds nothing.
        slope = ((gradient * own).sum(dim=axes) - mean * total) * reciprocal
        scale = reciprocal * weight
        along = -scale * reciprocal * slope / count
        constant = -scale * total / count - along * mean
        result = (own * along.view(shape)).add_(constant.view(shape))
        return result.addcmul_(gradient, scale.view(shape)).mul_(inside), None, None, None, None, slope, total, None


class MaskedBatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) over valid positions only; its output is 0 elsewhere.

    A convolution before it may have written beyond a clip's end: that reaches neither statistics nor gradient.
    Statistics are float32 whatever the input is. In evaluation it equals torch's BatchNorm inside the mask.
    """

    def __init__(self, channels, affine=True, momentum=0.1, epsilon=1e-5):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        for name, value in (('weight', torch.ones(channels)), ('bias', torch.zeros(channels))):
            if affine:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value, persistent=False)
        self.register_buffer('running_mean', torch.zeros(channels))
        self.register_buffer('running_var', torch.ones(channels))

    def forward(self, x, mask):
        """x (B, C, ..., T), mask bool (B, T) -> the same shape."""
        shape = (1, -1, *[1] * (x.ndim - 2))
        inside = mask.view(mask.shape[0], *[1] * (x.ndim - 2), mask.shape[1]).float()
        held, x = x.dtype, x.float()
        if not self.training:
            scale = (self.running_var + self.epsilon).rsqrt() * self.weight
            shift = self.bias - self.running_mean * scale
            return (x * scale.view(shape)).add_(shift.view(shape)).mul_(inside).to(held)
        with torch.no_grad():
            axes, own = [0, *range(2, x.ndim)], x * inside
            count = (mask.sum() * (x[0, 0].numel() // x.shape[-1])).clamp(min=1)
            mean = own.sum(dim=axes) / count
            # Zeros outside count as deviations of -mean, which are taken out again: one pass less than masking them.
            spread = (own - mean.view(shape)).square_().sum(dim=axes) - (x[:, 0].numel() - count) * mean.square()
            variance = (spread / count).clamp(min=0)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), self.momentum)
            reciprocal = (variance + self.epsilon).rsqrt()
        return _Normalise.apply(x, own, inside, mean, reciprocal, self.weight, self.bias, count).to(held)


def turned(x, frames):
    """x (B, T, D) with each clip's own frames in reverse order; what lies beyond stays."""
    places = torch.arange(x.shape[1], device=x.device)
    source = torch.where(places < frames[:, None], frames[:, None] - 1 - places, places)
    return x.gather(1, source[..., None].expand(-1, -1, x.shape[2]))


class MaskedBiGru(nn.Module):
    """A bidirectional GRU whose backward direction starts at each clip's own last frame.

    Two forward GRUs, the second over turned sequences: no lengths are read by the host, and the numbers are those of
    a packed sequence.
    """

    def __init__(self, width, hidden, layers=1, dropout=0.0):
        super().__init__()
        widths = [width, *[2 * hidden] * (layers - 1)]
        self.ahead = nn.ModuleList(nn.GRU(w, hidden, batch_first=True) for w in widths)
        self.back = nn.ModuleList(nn.GRU(w, hidden, batch_first=True) for w in widths)
        self.dropout = nn.Dropout(dropout)
        self.width = 2 * hidden

    def forward(self, x, frames):
        """x (B, T, width), frames int64 (B,) -> (B, T, 2 * hidden), 0 beyond each clip's end."""
        inside = frame_mask(frames, x.shape[1])[..., None]
        for i, (ahead, back) in enumerate(zip(self.ahead, self.back, strict=True)):
            x = self.dropout(x) if i else x
            x = torch.cat([ahead(x)[0], turned(back(turned(x, frames))[0], frames)], dim=2) * inside
        return x
