"""Encoders of speech for any system: waveforms in, frames out, with masks; what of them learns, and by which names."""

from collections import deque
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ser.config.ssl import TrainNone
from ser.errors import SerError
from ser.models import wave_encoder, whisper_encoder
from ser.models.encoder_loading import Published, load
from ser.models.lora import add_lora


class Encoded(NamedTuple):
    """What an Encoder gives for a batch of B clips."""

    frames: torch.Tensor
    """(B, N, width) float; beyond a clip's own frames it holds anything."""
    counts: torch.Tensor
    """int64 (B,), how many frames are each clip's own, one at least."""


class LayerSum(nn.Module):
    """The mean of all hidden states by a softmax of learnt weights, even at first (transformers' layer_weights)."""

    def __init__(self, count):
        super().__init__()
        self.layer_weights = nn.Parameter(torch.full((count,), 1.0 / count))

    def forward(self, states):
        """states: `count` tensors of one shape, one at a time -> their weighted mean."""
        total = 0.0
        for share, state in zip(self.shares(), states, strict=True):
            total = total + share * state
        return total

    def shares(self):
        """float32 (count,), how much each counts; they sum to 1."""
        return self.layer_weights.float().softmax(dim=0)


class Encoder(nn.Module):
    """A speech encoder; `width` of its frames, `audio` for SequenceFrontEnd ('standard' or 'plain')."""

    def __init__(self, loaded, config, where='model.encoder'):
        """loaded: encoder_loading.Loaded; config: EncoderConfig. Raises SerError for more layers than there are."""
        super().__init__()
        kind = whisper_encoder if loaded.family == 'whisper' else wave_encoder
        maker = whisper_encoder.WhisperWaves if loaded.family == 'whisper' else wave_encoder.WaveEncoder
        self.body = maker(loaded.model, loaded.family)
        self.family, self.facts, self.width = loaded.family, loaded.facts, self.body.width
        self.layer_sum = LayerSum(len(self.body.layers) + 1) if config.output == 'weighted' else None
        standardise = loaded.facts.standardise if config.standardise == 'auto' else config.standardise
        self.audio = 'standard' if standardise else 'plain'
        self._where, self._recomputes = where, False
        self._fix(config.train, kind.LINEARS)

    def _fix(self, train, linears):
        """Fix what does not learn."""
        self.body.requires_grad_(train.kind == 'all')
        groups, layers = self.body.groups(), self.body.layers
        if train.kind == 'lora':
            add_lora(layers, linears, train)
        elif train.kind == 'transformer':
            self._free(modules for name, modules in groups.items() if name != 'front')
        elif train.kind == 'top':
            if train.layers > len(layers):
                raise SerError(f'{self._where}.train.layers: the encoder has {len(layers)} layers, not {train.layers}. '
                               f'Allowed: 1 to {len(layers)}, or train.kind: transformer for all of them')
            self._free([*[[layer] for layer in layers[-train.layers:]], groups['norm']])
        if self.family == 'whisper':
            # Sinusoids, fixed by definition.
            self.body.model.embed_positions.requires_grad_(False)
        self.train(self.training)

    def _free(self, groups):
        for modules in groups:
            for module in modules:
                module.requires_grad_(True)

    def train(self, mode: bool = True):
        """As torch's; parts in which nothing learns stay in eval mode."""
        super().train(mode)
        for modules in self.body.groups().values():
            if not any(p.requires_grad for module in modules for p in module.parameters()):
                for module in modules:
                    module.eval()
        return self

    def forward(self, waveform, samples) -> Encoded:
        """waveform float32 (B, T), 0 beyond samples int64 (B,), which are `shortest` at least."""
        longest = self.body.longest
        if longest is not None:
            waveform, samples = waveform[:, :longest], samples.clamp(max=longest)
        states = self.body.states(waveform, samples, self._run)
        if self.layer_sum is not None:
            frames = self.layer_sum(states)
        else:
            # Only the last is kept: without gradients the others are free to go.
            frames = deque(states, maxlen=1).pop()
        return Encoded(frames, self.body.frames(samples))

    @property
    def layers(self):
        """The nn.ModuleList of its transformer's layers."""
        return self.body.layers

    def layer_weights(self):
        """float32 (layers + 1,), how much what enters the layers and each of them counts; None with output 'last'."""
        return None if self.layer_sum is None else self.layer_sum.shares().detach()

    def _run(self, function, *tensors):
        if self._recomputes and self.training and torch.is_grad_enabled():
            return checkpoint(function, *tensors, use_reentrant=False)
        return function(*tensors)

    def set_gradient_checkpointing(self, enable: bool = True):
        """Recompute each layer in the backward pass: the same gradients, less memory."""
        self._recomputes = enable

    @property
    def shortest(self):
        """Samples that the shortest clip must have."""
        return self.body.receptive

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """What learns, by part: 'encoder.front', 'encoder.input', 'encoder.layer.00' and on, 'encoder.norm' (of
        encoders that normalise first), and 'layer_sum'. Parts that are fixed are empty lists."""
        groups = {f'encoder.{name}': modules for name, modules in self.body.groups().items() if modules}
        if self.layer_sum is not None:
            groups['layer_sum'] = [self.layer_sum]
        return {name: [p for module in modules for p in module.parameters() if p.requires_grad]
                for name, modules in groups.items()}

    def depths(self) -> dict[str, int]:
        """Part -> how many steps it is from the head: norm and layer sum 0, the last layer 1, each layer before it one
        more, then the input and the convolutional front end."""
        count = len(self.body.layers)
        found = {f'encoder.layer.{i:02d}': count - i for i in range(count)}
        found |= {'encoder.input': count + 1, 'encoder.front': count + 2, 'encoder.norm': 0, 'layer_sum': 0}
        return {name: found[name] for name in self.parts()}

    def check_audio(self, features, data):
        """Raise SerError where features and data (config sections) do not give what the encoder hears."""
        rate = self.facts.sample_rate
        if features.sample_rate != rate:
            raise SerError(f'features.sample_rate: {features.sample_rate}, but {self._where} was trained on {rate} Hz; '
                           f'set features.sample_rate: {rate} (data.sample_rate may be another: batches are resampled)')
        if features.min_samples < self.shortest:
            raise SerError(f'features.min_samples: {features.min_samples}, but one frame of {self._where} is computed '
                           f'from {self.shortest} samples; set it to {self.shortest} or more')
        length, longest = features.waveform.length, self.body.longest
        if longest is None:
            return
        if features.min_samples > longest:
            raise SerError(f'features.min_samples: {features.min_samples}, but {self._where} hears {longest} samples '
                           'at most')
        fixed = length.kind == 'fixed' and length.evaluate == 'centre'
        seconds, name = (length.seconds, 'features.waveform.length.seconds') if fixed else (
            data.max_seconds, 'data.max_seconds')
        if seconds * rate > longest:
            raise SerError(f'{name}: {seconds:g}, but {self._where} hears {longest / rate:g} s at most; set it to '
                           f'{longest / rate:g} or less (data.long: window hears longer clips piece by piece)')


def load_encoder(config, load_pretrained=True, where='model.encoder') -> tuple[Encoder, Published | None]:
    """The Encoder of an EncoderConfig, and what its checkpoint holds besides, where it is one of a classifier.

    load_pretrained: False gives the architecture without its weights. Raises SerError.
    """
    loaded = load(config, load_pretrained, where)
    return Encoder(loaded, config, where), loaded.published


def check_heard(config, features, data, where='model.encoder'):
    """Raise SerError, without weights and before any audio is read, where an EncoderConfig has fewer layers than are
    to learn, or features and data (config sections) do not give what its encoder hears. Its facts must be settled."""
    if config.train.kind == 'lora':
        # Low-rank updates fit every layer, and torch computes one as it is attached, which no meta tensor bears.
        config = config.model_copy(update={'train': TrainNone()})
    with torch.device('meta'):
        load_encoder(config, load_pretrained=False, where=where)[0].check_audio(features, data)


def build_encoder(config, load_pretrained=True, where='model.encoder') -> Encoder:
    """The Encoder of an EncoderConfig; see `load_encoder`."""
    return load_encoder(config, load_pretrained, where)[0]
