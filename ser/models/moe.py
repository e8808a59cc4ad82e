"""SSL + spectral mixture of experts: one vector per stream of the clip, a gate that weighs them, an MLP head.

One expert hears the waveform through a self-supervised encoder, on the fly, and one sees each spectral feature. Each
keeps the frames of its own stream: nothing is stretched or padded to another's.
"""

import torch
from torch import nn

from ser.errors import SerError
from ser.features.mixup import mix_views
from ser.features.sequences import SequenceFrontEnd, checked_sequences
from ser.models.contract import Output, SpeechModel
from ser.models.crnn import rows_of
from ser.models.encoder_loading import check_encoder
from ser.models.encoders import build_encoder, check_heard
from ser.models.experts import SpectralExpert, SslExpert
from ser.models.gate import Gate, imbalance

SSL = 'ssl'
PREFERRED = 'mel'
WHERE = 'model.features'


class MoeNetwork(nn.Module):
    """Waveforms and sequences by feature -> logits; `forward(views, mix)` takes SequenceFrontEnd's views with audio.

    experts: their names in order, and `gated`, as the gate weighs them. details: 'gate' float32 (B, K) in that order,
    'attention.<expert>' float32 (B, T'), the weight of each of the expert's frames, and 'layer_weights' (B, layers + 1)
    where the encoder sums its layers. side_losses and penalties: as training's objective reads them.
    """

    def __init__(self, config, encoder, rows, classes, auxiliary=None):
        """config: MoeConfig. encoder: hears (waveform, samples), has `width`. rows: spectral feature -> rows.

        auxiliary: target -> number of values, a head each.
        """
        super().__init__()
        self.experts = self.gated = tuple(config.features)
        self.encoder = encoder
        self.streams = nn.ModuleDict({
            name: SslExpert(config, encoder.width) if name == SSL else SpectralExpert(config, rows[name])
            for name in self.experts})
        self.gate = Gate(config.gate, len(self.experts), config.width)
        self.head = _head(config, classes)
        self.auxiliary = nn.ModuleDict({name: _head(config, count) for name, count in (auxiliary or {}).items()})
        spectral = [name for name in self.experts if name != SSL]
        self.judged = PREFERRED if PREFERRED in spectral else spectral[0]
        self.judge = nn.Linear(config.width, classes) if config.expert_loss else None
        self.side_losses = {self.judged: config.expert_loss} if config.expert_loss else {}
        self.penalties = {'balance': config.balance_loss} if config.balance_loss else {}

    def forward(self, views, mix=None) -> Output:
        views = mix_views(views, mix)
        states, counts = self.encoder(views['waveform'], views['samples'])
        vectors, details, layers = [], {}, self.encoder.layer_weights()
        if layers is not None:
            details['layer_weights'] = layers.expand(len(states), -1)
        for name, expert in self.streams.items():
            stream = (states, counts) if name == SSL else (views[name], views['frames'])
            vector, attention = expert(*stream)
            vectors.append(vector)
            details[f'attention.{name}'] = attention.detach()
        joint = torch.stack(vectors, dim=1)
        shares = self.gate(joint)
        embedding = (shares[..., None] * joint).sum(dim=1)
        side = {} if self.judge is None else {self.judged: self.judge(vectors[self.experts.index(self.judged)])}
        return Output(self.head(embedding), {name: head(embedding) for name, head in self.auxiliary.items()},
                      {'gate': shares.detach(), **details}, embedding, side,
                      {'balance': imbalance(shares)} if self.penalties else {})

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Parameters that learn: the encoder's own parts, 'experts', 'gate', 'head' (all heads, and the expert's)."""
        modules = {'experts': [self.streams], 'gate': [self.gate], 'head': [self.head, self.auxiliary, self.judge]}
        own = {name: [p for module in several if module is not None for p in module.parameters() if p.requires_grad]
               for name, several in modules.items()}
        return {**self.encoder.parts(), **own}

    def depths(self) -> dict[str, int]:
        """Part -> how many layers lie between it and the head, of the encoder's parts; the others follow on it."""
        return self.encoder.depths()

    def set_gradient_checkpointing(self, enable: bool = True):
        """Recompute the encoder's activations in the backward pass."""
        self.encoder.set_gradient_checkpointing(enable)


def _head(config, classes):
    """LayerNorm - Dropout - Linear - GELU - Dropout - Linear on the experts' weighted sum."""
    return nn.Sequential(nn.LayerNorm(config.width), nn.Dropout(config.dropout),
                         nn.Linear(config.width, config.head_hidden), nn.GELU(), nn.Dropout(config.dropout),
                         nn.Linear(config.head_hidden, classes))


def spectral_features(features):
    """The features of a MoeConfig without 'ssl', in order.

    Raises SerError where 'ssl' or every spectral feature is missing, for an unknown one, and for one given twice.
    """
    if not features:
        raise SerError(f"{WHERE}: no expert is left; name '{SSL}' and at least one of mel, mfcc, chroma")
    spectral = tuple(name for name in features if name != SSL)
    if len(features) - len(spectral) > 1:
        raise SerError(f"{WHERE}: '{SSL}' is named twice; each expert counts once")
    named = checked_sequences(spectral, WHERE) if spectral else ()
    if len(named) == len(features):
        raise SerError(f"{WHERE}: {', '.join(features)} without '{SSL}'; model.kind moe needs that expert. Add it, or "
                       'take model.kind crnn for spectral features alone')
    if not named:
        raise SerError(f"{WHERE}: '{SSL}' alone; model.kind moe needs a spectral feature beside it: mel, mfcc, chroma. "
                       'Add one, or take model.kind ssl for an encoder alone')
    return named


def build_moe(config, names, load_pretrained: bool = True, auxiliary=None) -> SpeechModel:
    """The whole system for the classes `names` and the `auxiliary` targets. Raises SerError for features, sizes, rates
    and encoders that do not fit."""
    model, features = config.model, config.features
    spectral = spectral_features(model.features)
    encoder = build_encoder(model.encoder, load_pretrained)
    encoder.check_audio(features, config.data)
    front_end = SequenceFrontEnd(features, config.augment, spectral, config.data.sample_rate, encoder.audio)
    rows = {name: rows_of(features)[name] for name in spectral}
    network = MoeNetwork(model, encoder, rows, len(names), {name: len(values)
                                                            for name, values in (auxiliary or {}).items()})
    return SpeechModel(front_end, network)


def check_moe(model):
    """Raise SerError, before any audio is read, for features that are no mixture and encoders that cannot be had."""
    spectral_features(model.features)
    check_encoder(model.encoder)


def check_moe_fit(config):
    """Raise SerError, before any audio is read, where a Config's features are not what its encoder hears."""
    check_heard(config.model.encoder, config.features, config.data)
