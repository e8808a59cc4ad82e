"""Spectral CRNN: convolutions per feature, joined frame by frame, a BiGRU, attention over time, a linear classifier."""

import math

import torch
from torch import nn
from torch.nn import functional

from ser.errors import SerError
from ser.features.mixup import mix_views
from ser.features.sequences import SequenceFrontEnd, checked_sequences
from ser.models.contract import Output, SpeechModel
from ser.models.masked import MaskedBatchNorm, MaskedBiGru, frame_mask
from ser.models.pooling import build_pooling

ACTIVATIONS = {'relu': nn.ReLU, 'gelu': nn.GELU}
INITIAL_DEVIATION = 0.02


class Branch(nn.Module):
    """One feature (B, rows, T) to a vector per pooled frame (B, T', width), T' = T / stride."""

    def __init__(self, config, rows):
        super().__init__()
        channels = (1, *config.channels)
        self.input_norm = MaskedBatchNorm(rows, affine=False) if config.input_norm else None
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels[i], channels[i + 1], 3, padding=1, bias=False) for i in range(len(config.channels)))
        self.convolutions.to(memory_format=torch.channels_last)
        self.norms = nn.ModuleList(MaskedBatchNorm(width) for width in config.channels)
        self.pools, self.activation = config.pools, ACTIVATIONS[config.activation]()
        self.dropout = nn.Dropout2d(config.conv_dropout)
        for pool, _ in config.pools:
            rows = math.ceil(rows / pool)
        self.outer = nn.Sequential(nn.Linear(config.channels[-1] * rows, config.width), nn.GELU())

    def forward(self, x, frames):
        """x float32 (B, rows, T), 0 beyond frames int64 (B,) -> (B, T', width)."""
        mask = frame_mask(frames, x.shape[-1])
        if self.input_norm is not None:
            x = self.input_norm(x, mask)
        # Channels beside each other: pooling is seven times as fast on a CPU, convolutions a fifth (NOTES.md).
        x = x[..., None].permute(0, 3, 1, 2)
        for convolution, norm, (rows, times) in zip(self.convolutions, self.norms, self.pools, strict=True):
            x = self.activation(norm(convolution(x), mask))
            if (rows, times) != (1, 1):
                # An odd last row joins the last maximum; frames were padded to whole strides before.
                x = functional.max_pool2d(x, (rows, times), ceil_mode=True)
                frames = -(-frames // times)
                mask = frame_mask(frames, x.shape[-1])
            x = self.dropout(x)
        return self.outer(x.permute(0, 3, 1, 2).flatten(2))


class CrnnNetwork(nn.Module):
    """Sequences by feature -> logits; `forward(views, mix)` takes SequenceFrontEnd's views.

    details: 'attention' float32 (B, T'), the weight of each pooled frame. auxiliary: heads of further targets.
    """

    def __init__(self, config, rows, classes, auxiliary=None):
        """config: CrnnConfig. rows: feature -> rows, in order. auxiliary: target -> number of values."""
        super().__init__()
        self.stride = math.prod(times for _, times in config.pools)
        self.branches = nn.ModuleDict({name: Branch(config, count) for name, count in rows.items()})
        width = config.width * len(rows)
        self.bottleneck = nn.Identity()
        if config.bottleneck != 'none':
            narrow = width // 2 if config.bottleneck == 'half' else config.bottleneck
            self.bottleneck = nn.Sequential(nn.Linear(width, narrow), nn.Dropout(config.bottleneck_dropout),
                                            nn.LayerNorm(narrow))
            width = narrow
        self.recurrent = MaskedBiGru(width, config.hidden, config.layers, config.recurrent_dropout)
        self.pooling = build_pooling(config.pooling, self.recurrent.width, config.attention_hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.pooling.width, classes)
        self.auxiliary = nn.ModuleDict({name: nn.Linear(self.pooling.width, count)
                                        for name, count in (auxiliary or {}).items()})
        self.apply(_initialise)

    def forward(self, views, mix=None) -> Output:
        views = mix_views(views, mix)
        frames = views['frames']
        joined = [branch(self._whole_strides(views[name]), frames) for name, branch in self.branches.items()]
        x = self.bottleneck(torch.cat(joined, dim=2))
        frames = -(-frames // self.stride)
        mask = frame_mask(frames, x.shape[1])
        embedding, attention = self.pooling(self.recurrent(x, frames), mask)
        kept = self.dropout(embedding)
        return Output(self.head(kept), {name: head(kept) for name, head in self.auxiliary.items()},
                      {'attention': attention.detach()}, embedding)

    def _whole_strides(self, x):
        return functional.pad(x, (0, -x.shape[-1] % self.stride))

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Parameters that learn: 'branches', 'recurrent' (with the bottleneck), 'head' (pooling and all heads)."""
        modules = {'branches': [self.branches], 'recurrent': [self.bottleneck, self.recurrent],
                   'head': [self.pooling, self.head, self.auxiliary]}
        return {name: [p for module in several for p in module.parameters() if p.requires_grad]
                for name, several in modules.items()}

    def set_gradient_checkpointing(self, enable: bool = True):
        """Refused: recomputing would move the statistics of normalisation twice, and save little."""
        if enable:
            raise SerError('training.gradient_checkpointing: not for model.kind crnn, which keeps little; set it to '
                           'false, or take a smaller training.batch_size')


def _initialise(module):
    """Kaiming for convolutions, truncated normal for linear layers."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=INITIAL_DEVIATION)
        nn.init.zeros_(module.bias)


def rows_of(features):
    """feature -> rows of its sequence, for a FeaturesConfig."""
    return {'mel': features.mel.bins, 'mfcc': features.mfcc.coefficients, 'chroma': features.chroma.bins}


def check_crnn(model):
    """Raise SerError, before any audio is read, where features or pools of a CrnnConfig do not fit."""
    checked_sequences(model.features, 'model.features')
    if len(model.pools) != len(model.channels):
        raise SerError(f'model.pools: {len(model.pools)} for {len(model.channels)} convolutions (model.channels); '
                       'give one pair (rows, frames) for each')


def build_crnn(config, names, load_pretrained: bool = True, auxiliary=None) -> SpeechModel:
    """The whole system for the classes `names` and the `auxiliary` targets. Raises SerError for features and pools
    that do not fit."""
    model = config.model
    check_crnn(model)
    wanted = checked_sequences(model.features, 'model.features')
    front_end = SequenceFrontEnd(config.features, config.augment, wanted, config.data.sample_rate)
    rows = {name: rows_of(config.features)[name] for name in wanted}
    network = CrnnNetwork(model, rows, len(names), {name: len(values) for name, values in (auxiliary or {}).items()})
    return SpeechModel(front_end, network)
