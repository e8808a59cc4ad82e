"""Encoders of speech small enough for tests: sizes, batches with padding, folders as transformers writes them."""

import torch

from ser.config.ssl import EncoderConfig, SizesSource
from ser.models.encoder_loading import classifier_class, facts_of_sizes, load, transformers

FAMILIES = ('wav2vec2', 'hubert', 'wavlm', 'data2vec-audio', 'whisper')
WAVES = FAMILIES[:-1]
LENGTHS = (4000, 2500, 1801)


def source(family='wav2vec2', large=False, **changes):
    """A SizesSource; large: normalised as the large encoders are."""
    sizes = {'family': family, 'hidden_size': 16, 'layers': 2, 'heads': 2, 'intermediate_size': 24, 'dropout': 0.1,
             'conv_dim': (8, 8, 8), 'conv_kernel': (10, 3, 3), 'conv_stride': (5, 4, 4),
             'conv_norm': 'layer' if large else 'group', 'norm_first': large, 'position_kernel': 6,
             'position_groups': 2, 'mel_bins': 20, 'seconds': 0.5}
    return SizesSource(**{**sizes, **changes})


def encoder_config(family='wav2vec2', large=False, **changes):
    """An EncoderConfig of such a source."""
    return EncoderConfig(**{'source': source(family, large), **changes})


def shaken(module, seed=0):
    """`module` with every weight moved a little: norms that do nothing hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return module


def batch(lengths=LENGTHS, seed=1):
    """(waveform float32 (B, T), samples int64 (B,)): noise, zero beyond each clip."""
    x = torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(seed))
    for row, length in enumerate(lengths):
        x[row, length:] = 0.0
    return x, torch.tensor(lengths)


def classifier(family='wav2vec2', large=False, labels=('happy', 'sad', 'angry'), weighted=False, hidden=12):
    """transformers' own classifier with random weights, in eval mode."""
    torch.manual_seed(5)
    made = load(encoder_config(family, large)).model.config
    made.id2label, made.label2id = dict(enumerate(labels)), {name: i for i, name in enumerate(labels)}
    made.classifier_proj_size, made.use_weighted_layer_sum = hidden, weighted
    made.tie_last_hidden_states = True
    model = shaken(classifier_class(transformers(), family)[0](made)).eval()
    if weighted:
        with torch.no_grad():
            model.layer_weights.add_(torch.linspace(-1.0, 1.0, len(model.layer_weights)))
    return model


def facts(family='wav2vec2', large=False):
    """EncoderFacts of such a source."""
    return facts_of_sizes(source(family, large), 'here')
