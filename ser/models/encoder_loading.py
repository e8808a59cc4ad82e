"""An encoder of speech as transformers builds it, with published weights, with those of a run to come, or new."""

import contextlib
import logging
from typing import NamedTuple

import torch
from torch import nn

from ser.config.ssl import EncoderFacts
from ser.errors import SerError, install
from ser.models.encoder_files import SAMPLE_RATE, check_source, facts_of, family_of, files_of, read_config
from ser.models.pretrained import first_line

_CLASSES = {
    'wav2vec2': ('Wav2Vec2Config', 'Wav2Vec2ForSequenceClassification', 'wav2vec2'),
    'hubert': ('HubertConfig', 'HubertForSequenceClassification', 'hubert'),
    'wavlm': ('WavLMConfig', 'WavLMForSequenceClassification', 'wavlm'),
    'data2vec-audio': ('Data2VecAudioConfig', 'Data2VecAudioForSequenceClassification', 'data2vec_audio'),
    'whisper': ('WhisperConfig', 'WhisperForAudioClassification', 'encoder'),
}
# Layers dropped at random leave parameters without a gradient, which several ranks do not bear; and transformers draws
# its masks from numpy's global generator, which no seed of a run reaches.
_QUIET = {'layerdrop': 0.0, 'encoder_layerdrop': 0.0, 'mask_time_prob': 0.0, 'mask_feature_prob': 0.0,
          'apply_spec_augment': False}
_WHISPER_FRAMES_PER_SECOND = 50
_log = logging.getLogger(__name__)


class Published(NamedTuple):
    """What a checkpoint of transformers' classifiers holds besides the encoder."""

    tensors: dict
    """'projector.weight', 'projector.bias', 'classifier.weight', 'classifier.bias', 'layer_weights': those it has."""
    labels: tuple
    """Its classes in index order."""


class Loaded(NamedTuple):
    """An encoder fresh from transformers."""

    model: nn.Module
    """transformers' encoder, such as Wav2Vec2Model."""
    family: str
    facts: EncoderFacts
    published: Published | None


def transformers():
    """The library, imported when it is first wanted. Raises SerError where it is not installed."""
    try:
        import transformers as library
    except ImportError:
        raise SerError(f'model.kind: encoders of speech need transformers, which is not installed: {install("ssl")}'
                       ) from None
    return library


@contextlib.contextmanager
def quietly():
    """Without transformers' own reports and bars, which speak of things that are told here in one line."""
    from transformers.utils import logging as theirs

    level, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    theirs.set_verbosity_error()
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()


def check_encoder(config, where='model.encoder'):
    """Raise SerError, before any audio is read, where transformers or the encoder of an EncoderConfig cannot be had."""
    transformers()
    if config.source.kind != 'config':
        check_source(config.source, f'{where}.source')


def with_facts(config, where='model.encoder'):
    """The EncoderConfig with what its checkpoint says of the architecture in it, for a run to keep. Raises SerError."""
    source = config.source
    if source.kind == 'config' or source.facts is not None:
        return config
    facts = facts_of(files_of(source, f'{where}.source'), f'{where}.source')
    return config.model_copy(update={'source': source.model_copy(update={'facts': facts})})


def load(config, load_pretrained=True, where='model.encoder'):
    """Loaded for an EncoderConfig. load_pretrained: False gives the architecture alone, from the config's own facts
    where it has them. Raises SerError."""
    library, source, place = transformers(), config.source, f'{where}.source'
    if source.kind == 'config':
        return _new(library, facts_of_sizes(source, place), place)
    if not load_pretrained and source.facts is not None:
        return _new(library, source.facts, place)
    folder = files_of(source, place)
    facts = source.facts or facts_of(folder, place)
    if not load_pretrained:
        return _new(library, facts, place)
    # The initial weights of what stands on the encoder must not depend on how transformers fills it.
    with torch.random.fork_rng(devices=[]):
        return _from_folder(library, folder, facts, place)


def configuration(library, family, values, where):
    """transformers' configuration of the family from a dict, with layer drop and its own masking off."""
    try:
        made = getattr(library, _CLASSES[family][0]).from_dict(values)
    except Exception as error:  # strict validation, whose exceptions are the library's own
        raise SerError(f'{where}: transformers does not take this configuration ({first_line(error)})') from error
    for name, value in _QUIET.items():
        if hasattr(made, name):
            setattr(made, name, value)
    return made


def classifier_class(library, family):
    """transformers' classifier on an encoder of the family, and the name of the encoder in it."""
    return getattr(library, _CLASSES[family][1]), _CLASSES[family][2]


def _new(library, facts, where):
    """Random weights from torch's global generator."""
    family = family_of(facts.config, where)
    made = configuration(library, family, facts.config, where)
    with quietly():
        return Loaded(_encoder_class(library, family)(made).float(), family, facts, None)


def _encoder_class(library, family):
    if family == 'whisper':
        return library.models.whisper.modeling_whisper.WhisperEncoder
    return getattr(library, _CLASSES[family][1].replace('ForSequenceClassification', 'Model'))


def _from_folder(library, folder, facts, where):
    whole = read_config(folder, where)
    family = family_of(whole, where)
    made = configuration(library, family, whole, where)
    maker, prefix = classifier_class(library, family)
    try:
        with quietly():
            model, said = maker.from_pretrained(folder, config=made, dtype=torch.float32, local_files_only=True,
                                                ignore_mismatched_sizes=True, output_loading_info=True)
    except Exception as error:  # damaged files: the exceptions of safetensors, pickle, zipfile and transformers
        raise SerError(f'{where}: the weights in {folder} cannot be used ({type(error).__name__}: '
                       f'{first_line(error)})') from error
    missing = set(said['missing_keys']) | {entry[0] for entry in said['mismatched_keys']}
    lost = sorted(name for name in missing if name.startswith(f'{prefix}.'))
    if lost:
        raise SerError(f"{where}: {folder} lacks {len(lost)} of the encoder's weights, such as {lost[0]}")
    tensors = {name: value for name, value in model.state_dict().items()
               if not name.startswith(f'{prefix}.') and name not in missing}
    labels = tuple(made.id2label[i] for i in sorted(made.id2label))
    return Loaded(getattr(model, prefix), family, facts, Published(tensors, labels))


def facts_of_sizes(source, where):
    """EncoderFacts of a SizesSource. Raises SerError for sizes that do not fit together."""
    _check_sizes(source, where)
    shared = {'model_type': source.family, 'attention_dropout': source.dropout, 'activation_dropout': source.dropout}
    if source.family == 'whisper':
        sizes = {'d_model': source.hidden_size, 'encoder_layers': source.layers,
                 'encoder_attention_heads': source.heads, 'encoder_ffn_dim': source.intermediate_size,
                 'dropout': source.dropout, 'num_mel_bins': source.mel_bins,
                 'max_source_positions': max(1, round(source.seconds * _WHISPER_FRAMES_PER_SECOND))}
        return EncoderFacts(config=shared | sizes, sample_rate=SAMPLE_RATE, standardise=False)
    sizes = {'hidden_size': source.hidden_size, 'num_hidden_layers': source.layers,
             'num_attention_heads': source.heads, 'intermediate_size': source.intermediate_size,
             'hidden_dropout': source.dropout, 'feat_proj_dropout': 0.0,
             'conv_dim': list(source.conv_dim), 'conv_kernel': list(source.conv_kernel),
             'conv_stride': list(source.conv_stride), 'conv_bias': source.conv_norm == 'layer',
             'num_conv_pos_embedding_groups': source.position_groups}
    if source.family == 'data2vec-audio':
        sizes |= {'conv_pos_kernel_size': source.position_kernel, 'num_conv_pos_embeddings': 5}
    else:
        sizes |= {'num_conv_pos_embeddings': source.position_kernel, 'feat_extract_norm': source.conv_norm,
                  'do_stable_layer_norm': source.norm_first}
    return EncoderFacts(config=shared | sizes, sample_rate=SAMPLE_RATE, standardise=True)


def _check_sizes(source, where):
    for name, divisor in (('heads', source.heads), ('position_groups', source.position_groups)):
        if source.hidden_size % divisor:
            raise SerError(f'{where}.{name}: {divisor} does not divide hidden_size {source.hidden_size}')
    counts = {len(source.conv_dim), len(source.conv_kernel), len(source.conv_stride)}
    if len(counts) > 1:
        raise SerError(f'{where}: conv_dim, conv_kernel and conv_stride have {len(source.conv_dim)}, '
                       f'{len(source.conv_kernel)} and {len(source.conv_stride)} entries; one of each per convolution '
                       'is wanted')


