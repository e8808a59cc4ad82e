"""wav2vec2, HuBERT, WavLM and data2vec-audio: transformers' layers, with padding kept out of every one of them.

The base encoders of these families were trained without an attention mask, on clips cut to one length: their first
normalisation takes statistics over time, and zeros at the end of a clip would change them. Here every statistic, every
convolution of positions and every attention is over a clip's own frames, so that a clip gives in any batch what
transformers gives for it alone.
"""

import warnings
from functools import partial

import torch
from torch import nn

from ser.errors import SerError
from ser.models.masked import frame_mask

LINEARS = {'q': 'attention.q_proj', 'k': 'attention.k_proj', 'v': 'attention.v_proj', 'out': 'attention.out_proj',
           'feed_in': 'feed_forward.intermediate_dense', 'feed_out': 'feed_forward.output_dense'}


def group_norm_by_clip(norm, x, frames):
    """torch's GroupNorm with a channel per group, over each clip's own frames.

    norm: nn.GroupNorm. x (B, C, T), frames int64 (B,) of at least 1 -> (B, C, T), anything beyond the frames.
    """
    held = x.dtype
    beyond = ~frame_mask(frames, x.shape[2])[:, None]
    with torch.autocast(x.device.type, enabled=False):
        x = x.float().masked_fill(beyond, 0.0)
        count = frames[:, None, None]
        centred = (x - x.sum(dim=2, keepdim=True) / count).masked_fill(beyond, 0.0)
        variance = centred.square().sum(dim=2, keepdim=True) / count
        scale = (variance + norm.eps).rsqrt() * norm.weight[:, None]
        return (centred * scale + norm.bias[:, None]).to(held)


def _grouped(layer, x, frames):
    return layer.activation(group_norm_by_clip(layer.layer_norm, layer.conv(x), frames))


def _biased(layer, mask, x, bias):
    """A layer of WavLM, whose first one makes the bias of positions for all."""
    return layer(x, attention_mask=mask, position_bias=bias)


def _first(returned):
    """A layer's hidden states, alone or the first of what it returns."""
    return returned[0] if isinstance(returned, tuple) else returned


class WaveEncoder(nn.Module):
    """Waveforms float32 (B, T) to hidden states, for the families whose front end is a stack of convolutions."""

    longest = None

    def __init__(self, model, family):
        """model: transformers' encoder. Raises SerError for what its checkpoint has beyond the family's own layers."""
        super().__init__()
        config = model.config
        if getattr(config, 'add_adapter', False) or getattr(config, 'conv_pos_batch_norm', False):
            raise SerError('model.encoder.source: encoders with add_adapter or conv_pos_batch_norm are not understood; '
                           'choose another checkpoint')
        self.model, self.family = model, family
        if family == 'wavlm':
            # Of transformers' own call; the numbers are right.
            warnings.filterwarnings('ignore', message='Support for mismatched key_padding_mask')
        self.width = config.hidden_size
        self.norm_first = family != 'data2vec-audio' and config.do_stable_layer_norm
        self.convolutions = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))

    @property
    def receptive(self):
        """Samples that one frame is computed from: the shortest clip."""
        samples = 1
        for kernel, stride in reversed(self.convolutions):
            samples = (samples - 1) * stride + kernel
        return samples

    @property
    def layers(self):
        """The nn.ModuleList of the transformer's layers."""
        return self.model.encoder.layers

    def frames(self, samples):
        """Frames of so many samples, numbers or int64 (B,)."""
        for kernel, stride in self.convolutions:
            samples = (samples - kernel) // stride + 1
        return samples

    def states(self, waveform, samples, run):
        """Yield hidden states (B, frames(T), width): what enters the layers, then what each gives, the last one
        normalised. Beyond a clip's own frames they hold anything.

        waveform float32 (B, T), samples int64 (B,), run(function, *tensors) calls it, perhaps to be recomputed.
        """
        x = self._front(waveform, samples, run)
        mask = frame_mask(self.frames(samples), x.shape[1])
        x = x.masked_fill(~mask[..., None], 0.0)
        encoder = self.model.encoder
        x = x + self._positions(x, mask)
        x = encoder.dropout(x if self.norm_first else encoder.layer_norm(x))
        yield x
        last = len(self.layers) - 1
        for i, state in enumerate(self._attended(x, mask, run)):
            yield encoder.layer_norm(state) if self.norm_first and i == last else state

    def _front(self, waveform, samples, run):
        x, frames = waveform[:, None], samples
        for layer, (kernel, stride) in zip(self.model.feature_extractor.conv_layers, self.convolutions, strict=True):
            frames = (frames - kernel) // stride + 1
            if isinstance(getattr(layer, 'layer_norm', None), nn.GroupNorm):
                x = run(partial(_grouped, layer), x, frames)
            else:
                x = run(layer, x)
        return _first(self.model.feature_projection(x.transpose(1, 2)))

    def _positions(self, x, mask):
        embed = self.model.encoder.pos_conv_embed
        if self.family != 'data2vec-audio':
            return embed(x)
        x, beyond = x.transpose(1, 2), ~mask[:, None]
        for layer in embed.layers:
            # Several layers: what one writes beyond a clip's end must not reach the next.
            x = layer(x).masked_fill(beyond, 0.0)
        return x.transpose(1, 2)

    def _attended(self, x, mask, run):
        """Each layer's output."""
        if self.family == 'wavlm':
            bias = None
            for layer in self.layers:
                x, bias = run(partial(_biased, layer, mask), x, bias)[:2]
                yield x
            return
        allowed = mask[:, None, None].expand(-1, 1, mask.shape[1], -1)
        for layer in self.layers:
            x = _first(run(partial(layer, attention_mask=allowed), x))
            yield x

    def groups(self):
        """Part name -> its modules, in the order of the data."""
        encoder = self.model.encoder
        before, after = ([], [encoder.layer_norm]) if self.norm_first else ([encoder.layer_norm], [])
        return {'front': [self.model.feature_extractor],
                'input': [self.model.feature_projection, encoder.pos_conv_embed, *before, encoder.dropout],
                **{f'layer.{i:02d}': [layer] for i, layer in enumerate(self.layers)}, 'norm': after}
