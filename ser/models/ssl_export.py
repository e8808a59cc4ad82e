"""A trained `ssl` system as a folder of transformers' classifier, which gives the same logits."""

import copy
import os
import shutil
from pathlib import Path

from ser.errors import SerError
from ser.models.encoder_loading import classifier_class, quietly, transformers
from ser.models.lora import merged_state


def export_transformers(config, names, model, out, finish=None):
    """Write config.json, model.safetensors and preprocessor_config.json into the folder `out`, whole or not at all.

    config, names, model: of a run (training.rebuild.load_run). finish: called with the folder before it gets its name;
    what it raises leaves nothing. Returns lines on what its user must know: what happens to audio before the model, and
    what was left out. Raises SerError for systems that transformers has no class for, and for a folder that exists.
    """
    check_transformers(config, out)
    library, network, out = transformers(), model.network, Path(out)
    partial = out.with_name(f'.{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        with quietly():
            _classifier(library, config, names, network).save_pretrained(partial)
            _extractor(library, config, network.encoder).save_pretrained(partial)
        if finish is not None:
            finish(partial)
        os.replace(partial, out)
    except OSError as error:
        raise SerError(f'{out}: cannot be written: {error.strerror or error}') from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return _notes(config, network)


def check_transformers(config, out):
    """Raise SerError for a run that transformers has no class for, and for a folder that exists."""
    model = config.model
    if model.kind != 'ssl':
        raise SerError(f"model.kind {model.kind} cannot be exported to transformers, which has no such class; only "
                       "'ssl' can")
    if model.head.kind != 'projector' or model.pooling != 'mean':
        raise SerError(f'head {model.head.kind} on {model.pooling} pooling cannot be exported to transformers, whose '
                       "classifiers are head 'projector' on 'mean' pooling")
    if Path(out).exists():
        raise SerError(f'{out}: exists already; name a folder that does not')


def _classifier(library, config, names, network):
    """transformers' classifier with the network's weights."""
    encoder = network.encoder
    if encoder.family == 'whisper':
        raise SerError("a Whisper encoder cannot be exported to transformers' classifier, which averages over the "
                       'padding of short clips as well')
    maker, prefix = classifier_class(library, encoder.family)
    made = copy.deepcopy(encoder.body.model.config)
    made.id2label = dict(enumerate(names))
    made.label2id = {name: i for i, name in enumerate(names)}
    made.classifier_proj_size = config.model.head.hidden
    made.use_weighted_layer_sum = encoder.layer_sum is not None
    # Encoders that normalise first: their last hidden state is the normalised one, as it was before transformers 5.
    made.tie_last_hidden_states = True
    made.architectures = [maker.__name__]
    state = {f'{prefix}.{name}': tensor for name, tensor in merged_state(encoder.body.model).items()}
    for part in ('projector', 'classifier'):
        state |= {f'{part}.{name}': tensor for name, tensor in getattr(network, part).state_dict().items()}
    if encoder.layer_sum is not None:
        state['layer_weights'] = encoder.layer_sum.layer_weights
    model = maker(made)
    model.load_state_dict(state)
    return model.eval()


def _extractor(library, config, encoder):
    """What prepares waveforms as the run did."""
    masked = getattr(encoder.body.model.config, 'feat_extract_norm', 'layer') == 'layer'
    return library.Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=config.features.sample_rate,
                                            padding_value=0.0, do_normalize=encoder.audio == 'standard',
                                            return_attention_mask=masked)


def _notes(config, network):
    waveform = config.features.waveform
    notes = []
    if getattr(network.encoder.body.model.config, 'feat_extract_norm', 'layer') == 'group':
        notes.append('this encoder normalises over time without a mask: in transformers give it one clip at a time, '
                     'since padding changes its logits there')
    for name, section in (('trim', waveform.trim), ('length', waveform.length), ('level', waveform.level)):
        if section.kind not in ('none', 'whole'):
            notes.append(f'features.waveform.{name} ({section.kind}) is not part of it: do the same to audio before')
    if network.auxiliary:
        notes.append(f"heads left out: {', '.join(network.auxiliary)}")
    return tuple(notes)
