"""SpecAugment (Park et al. 2019) as kornia augmentations whose parameters are drawn first, by key."""

from dataclasses import dataclass

import torch
from kornia.augmentation import IntensityAugmentationBase2D
from kornia.augmentation.random_generator import RandomGeneratorBase
from torch import nn

from ser.randomness import uniform


def spans(draws, widest):
    """Starts and widths of spans inside [0, 1], from uniform draws (B, 2, count): float32 (B, count) each.

    Widths are uniform in [0, widest], starts uniform in what is left.
    """
    widths = draws[:, 0] * widest
    return {'start': draws[:, 1] * (1.0 - widths), 'width': widths}


class SpanGenerator(RandomGeneratorBase):
    """kornia's parameter source for one use of a mask alone, from torch's global generator."""

    def __init__(self, count, widest):
        super().__init__()
        self.count, self.widest = count, widest

    def __repr__(self):
        return f'count={self.count}, widest={self.widest}'

    def make_samplers(self, device, dtype):
        """Nothing to prepare: torch.rand draws."""

    def forward(self, batch_shape, same_on_batch=False):
        """Spans for a batch of `batch_shape` (B, C, H, W)."""
        rows = 1 if same_on_batch else batch_shape[0]
        draws = torch.rand(rows, 2, self.count, device=self.device, dtype=self.dtype)
        return spans(draws.expand(batch_shape[0], -1, -1), self.widest)


class SpanMask(IntensityAugmentationBase2D):
    """Spans of an image along one axis filled with 0 ('floor') or with the image's mean ('mean').

    The mean is each channel's over the image as it comes in. Parameters: `start` and `width` (B, count) as shares
    of the axis; a pixel is masked when its centre lies in a span. `axis` -1 is time, -2 frequency.
    """

    axis = -1

    def __init__(self, count, widest, fill='floor', p=1.0):
        super().__init__(p=p)
        self._param_generator = SpanGenerator(count, widest)
        self.flags = {'fill': fill}

    def apply_transform(self, input, params, flags, transform=None):
        """float (B, C, H, W) with its spans filled."""
        size = input.shape[self.axis]
        centres = (torch.arange(size, device=input.device, dtype=torch.float32) + 0.5) / size
        start = params['start'].to(input.device)[..., None]
        width = params['width'].to(input.device)[..., None]
        masked = ((centres >= start) & (centres < start + width)).any(dim=1)[:, None, None, :]
        if self.axis == -2:
            masked = masked.transpose(-1, -2)
        fill = input.mean(dim=(-2, -1), keepdim=True) if flags['fill'] == 'mean' else torch.zeros_like(input[:1, :1])
        return torch.where(masked, fill, input)


class TimeMask(SpanMask):
    """Masks along time, the image's width."""

    axis = -1


class FrequencyMask(SpanMask):
    """Masks along frequency, the image's height."""

    axis = -2


class SpecAugment(nn.Module):
    """Time masks, then frequency masks, on [0, 1] images before normalisation (MaskSpecAugment's settings)."""

    def __init__(self, config):
        super().__init__()
        self.time = TimeMask(config.time_masks, config.time_width, config.fill, config.probability)
        self.frequency = FrequencyMask(config.frequency_masks, config.frequency_width, config.fill, config.probability)

    def forward(self, images, draw):
        """float32 (B, C, H, W) masked by a view's draw {'time': params, 'frequency': params}."""
        images = self.time(images, params=dict(draw['time']))
        return self.frequency(images, params=dict(draw['frequency']))


@dataclass(frozen=True)
class SpecAugmentDraw:
    """Mask parameters of a batch: view -> {'time' | 'frequency': kornia parameters with a row for each clip}."""

    views: dict

    def to(self, device, non_blocking=False):
        """The same draw on `device`."""
        return self._each(lambda value: value.to(device, non_blocking=non_blocking))

    def pin_memory(self):
        """The same draw in page-locked memory, for copies that do not block."""
        return self._each(lambda value: value.pin_memory())

    def clone(self):
        """The same draw in memory of its own."""
        return self._each(lambda value: value.clone())

    def copy_(self, other):
        """Take over the numbers of a draw of the same shapes."""
        for view, axes in self.views.items():
            for axis, params in axes.items():
                for name, value in params.items():
                    value.copy_(other.views[view][axis][name], non_blocking=True)

    def _each(self, change):
        return SpecAugmentDraw({view: {axis: {name: change(value) for name, value in params.items()}
                                       for axis, params in axes.items()} for view, axes in self.views.items()})


def draw_spec_augment(config, views, seed, epoch, ids):
    """The SpecAugmentDraw of a batch, or None when `config` (augment.spec_augment) is of kind 'none'.

    A clip's masks are keyed by (seed, epoch, its id, view, axis): the same in any batch, rank or world. With
    `shared` every view gets the same masks. Whether a clip is masked at all is one draw for all its views.
    """
    if config.kind == 'none':
        return None
    ids = torch.as_tensor(ids).numpy(force=True)
    gate = torch.from_numpy(uniform(ids, 1, 'spec-augment', seed, epoch, 'gate')[:, 0] < config.probability)
    axes = {'time': (config.time_masks, config.time_width),
            'frequency': (config.frequency_masks, config.frequency_width)}

    def params(view, axis):
        count, widest = axes[axis]
        draws = uniform(ids, 2 * count, 'spec-augment', seed, epoch, 'all' if config.shared else f'view {view}', axis)
        draws = torch.from_numpy(draws).to(torch.float32).view(len(ids), 2, count)
        return {**spans(draws, widest), 'batch_prob': gate.to(torch.float32)}

    return SpecAugmentDraw({view: {axis: params(view, axis) for axis in axes} for view in views})
