"""A speech encoder fine-tuned for emotion: frames, pooling over each clip's own, a classifier."""

import logging

import torch
from torch import nn

from ser.errors import SerError
from ser.features.mixup import mix_views
from ser.features.sequences import SequenceFrontEnd
from ser.labels import canonical
from ser.models.contract import Output, SpeechModel
from ser.models.encoder_loading import check_encoder, with_facts
from ser.models.encoders import check_heard, load_encoder
from ser.models.masked import frame_mask
from ser.models.pooling import build_pooling

_log = logging.getLogger(__name__)


class Perceptron(nn.Module):
    """Linear - BatchNorm - ReLU - Dropout for each width, then Linear: (B, width) -> (B, classes).

    Raises SerError for a training batch of one clip, which has no statistics.
    """

    def __init__(self, config, width, classes):
        super().__init__()
        widths, layers = (width, *config.hidden), []
        for i, inner in enumerate(config.hidden):
            layers += [nn.Linear(widths[i], inner), nn.BatchNorm1d(inner), nn.ReLU(), nn.Dropout(config.dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, x):
        if self.training and x.shape[0] < 2:
            raise SerError("model.head: 'mlp' cannot train on a batch of 1 clip per process: take a larger "
                           'training.batch_size, or kind: projector')
        return self.layers(x)


class SslNetwork(nn.Module):
    """Waveforms -> logits; `forward(views, mix)` takes SequenceFrontEnd's 'waveform' and 'samples'.

    With head 'projector' each frame is projected before pooling, as transformers' classifiers do. details:
    'layer_weights' float32 (B, layers + 1) with a layer sum, 'attention' float32 (B, frames) with such pooling.
    auxiliary: a linear head per further target. Pooling is float32 whatever autocast says.
    """

    def __init__(self, config, encoder, classes, auxiliary=None):
        """config: SslConfig. encoder: Encoder. auxiliary: target -> number of values."""
        super().__init__()
        self.encoder, self.attends = encoder, config.pooling != 'mean'
        projects = config.head.kind == 'projector'
        self.projector = nn.Linear(encoder.width, config.head.hidden) if projects else None
        self.pooling = build_pooling(config.pooling, config.head.hidden if projects else encoder.width,
                                     config.attention_hidden)
        width = self.pooling.width
        self.dropout = nn.Dropout(config.head.dropout if projects else 0.0)
        self.classifier = nn.Linear(width, classes) if projects else Perceptron(config.head, width, classes)
        self.auxiliary = nn.ModuleDict({name: nn.Linear(width, count) for name, count in (auxiliary or {}).items()})

    def forward(self, views, mix=None) -> Output:
        views = mix_views(views, mix)
        frames, counts = self.encoder(views['waveform'], views['samples'])
        if self.projector is not None:
            frames = self.projector(frames)
        mask = frame_mask(counts, frames.shape[1])
        with torch.autocast(frames.device.type, enabled=False):
            embedding, attention = self.pooling(frames.float(), mask)
        kept = self.dropout(embedding)
        return Output(self.classifier(kept), {name: head(kept) for name, head in self.auxiliary.items()},
                      self._details(attention), embedding)

    def _details(self, attention):
        shares, found = self.encoder.layer_weights(), {}
        if shares is not None:
            found['layer_weights'] = shares.expand(attention.shape[0], -1)
        return found | ({'attention': attention.detach()} if self.attends else {})

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """What learns: the encoder's parts (Encoder.parts), and 'head': projector, pooling and all classifiers."""
        modules = [self.projector, self.pooling, self.classifier, self.auxiliary]
        return {**self.encoder.parts(), 'head': [p for module in modules if module is not None
                                                 for p in module.parameters() if p.requires_grad]}

    def depths(self) -> dict[str, int]:
        """Part -> how many steps it is from the head, which is at 0 (Encoder.depths)."""
        return {**self.encoder.depths(), 'head': 0}

    def set_gradient_checkpointing(self, enable: bool = True):
        """Recompute the encoder's layers in the backward pass."""
        self.encoder.set_gradient_checkpointing(enable)

    def take_head(self, published, names):
        """Start projector, classifier and layer weights from a checkpoint's own where they are as large as ours.

        published: encoder_loading.Published. names: our classes; where the checkpoint's are the same in another order,
        each takes its own row, otherwise the rows are taken as they are. Returns what was taken, by name.
        """
        wanted = {'projector.weight', 'projector.bias', 'classifier.weight', 'classifier.bias'}
        wanted = {name: name for name in wanted} | {'encoder.layer_sum.layer_weights': 'layer_weights'}
        rows, own = _rows(published.labels, names), self.state_dict()
        taken = {}
        for name, theirs in wanted.items():
            found = published.tensors.get(theirs)
            if found is None or name not in own or found.shape != own[name].shape:
                continue
            taken[name] = found[rows] if theirs.startswith('classifier') else found
        self.load_state_dict(own | taken)
        return sorted(taken)


def _rows(labels, names):
    """For each of our classes the row of a checkpoint's classifier."""
    theirs, ours = [canonical(label) for label in labels], [canonical(name) for name in names]
    same = len(set(theirs)) == len(theirs) and set(theirs) == set(ours)
    return [theirs.index(name) for name in ours] if same else list(range(len(labels)))


def check_ssl(model) -> None:
    """Raise SerError, before any audio is read, where the encoder of a SslConfig cannot be had."""
    check_encoder(model.encoder)


def check_ssl_fit(config) -> None:
    """Raise SerError, before any audio is read, where a Config's features are not what its encoder hears, and for masks
    on images that this system does not see."""
    if config.augment.spec_augment.kind != 'none':
        raise SerError('augment.spec_augment: model.kind ssl hears waveforms alone, which have no rows and frames to '
                       'mask. Set it to {kind: none}, or augment the audio by steps of augment.waveform')
    check_heard(config.model.encoder, config.features, config.data)


def settle_encoder(config):
    """The Config with what the encoder's checkpoint says of its architecture written into it. Raises SerError."""
    model = config.model
    return config.model_copy(update={'model': model.model_copy(update={'encoder': with_facts(model.encoder)})})


def build_ssl(config, names, load_pretrained: bool = True, auxiliary=None) -> SpeechModel:
    """The whole system for the classes `names` and the `auxiliary` targets. Raises SerError for an encoder that cannot
    be had and for features that are not what it hears."""
    encoder, published = load_encoder(config.model.encoder, load_pretrained)
    encoder.check_audio(config.features, config.data)
    front_end = SequenceFrontEnd(config.features, config.augment, (), config.data.sample_rate, audio=encoder.audio)
    network = SslNetwork(config.model, encoder, len(names),
                         {name: len(values) for name, values in (auxiliary or {}).items()})
    if published is not None:
        taken = network.take_head(published, names)
        if taken:
            _log.info("model: from the checkpoint's own classifier of %s: %s", ', '.join(published.labels),
                      ', '.join(taken))
    return SpeechModel(front_end, network)
