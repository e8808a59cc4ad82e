"""Where an encoder's files are: a local folder, or the hub's cache; and what they say of the encoder."""

import json
import logging
from pathlib import Path

from ser.config.ssl import EncoderFacts
from ser.errors import SerError
from ser.models.pretrained import HUB_SECONDS, first_line

FAMILIES = ('wav2vec2', 'hubert', 'wavlm', 'data2vec-audio', 'whisper')
"""transformers' model types that are understood."""

SAMPLE_RATE = 16000
_JSON = ('config.json', 'preprocessor_config.json', 'processor_config.json')
_SAFE, _PICKLED = ('model.safetensors', 'model.safetensors.index.json'), (
    'pytorch_model.bin', 'pytorch_model.bin.index.json')
# Of transformers' configuration, what is of no use to an encoder: words, decoding, losses, heads, provenance.
_LEFT_OUT = ('architectures', 'auto_map', 'id2label', 'label2id', 'transformers_version', 'torch_dtype', 'dtype',
             'tokenizer_class', 'problem_type', 'suppress_tokens', 'begin_suppress_tokens', 'forced_decoder_ids')
_log = logging.getLogger(__name__)


def check_source(source, where):
    """Make sure, within seconds, that an encoder's files can be had and that it is one of FAMILIES; reads no weights.

    source: a config's encoder.source of kind hub or folder; where: its dotted key. Raises SerError.
    """
    if source.kind == 'folder':
        folder = local_folder(source, where)
    else:
        folder = _cached(source) or _config_of_hub(source, where)
    family_of(read_config(folder, where), where)


def files_of(source, where):
    """The folder with a checkpoint's configuration and weights, downloaded where they are not on this machine.

    Raises SerError.
    """
    return local_folder(source, where) if source.kind == 'folder' else _cached(source) or _downloaded(source, where)


def local_folder(source, where):
    """The folder of a source of kind folder. Raises SerError unless it holds a configuration and weights."""
    folder = Path(source.path).expanduser()
    if not source.path or not folder.is_dir():
        raise SerError(f"{where}.path: no such folder: '{source.path}'. Give a folder that transformers' "
                       'save_pretrained wrote: config.json and model.safetensors')
    if not (folder / 'config.json').is_file():
        raise SerError(f"{where}.path: {folder} holds no config.json, so it is no checkpoint of transformers")
    if not _has_weights(folder):
        raise SerError(f'{where}.path: {folder} holds no weights: model.safetensors or pytorch_model.bin is wanted')
    return folder


def read_config(folder, where):
    """config.json of a folder as a dict. Raises SerError."""
    return _read(Path(folder) / 'config.json', where)


def _read(path, where):
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise SerError(f'{where}: {path} cannot be read ({first_line(error)})') from None
    if not isinstance(found, dict):
        raise SerError(f'{where}: {path}: a mapping is wanted')
    return found


def family_of(config, where):
    """The family of transformers' configuration. Raises SerError for one that is not of FAMILIES."""
    family = config.get('model_type')
    if family not in FAMILIES:
        raise SerError(f"{where}: the checkpoint is of type '{family}', which is no encoder of speech that is "
                       f"understood. Allowed: {', '.join(FAMILIES)}")
    return family


def facts_of(folder, where):
    """EncoderFacts of a checkpoint's folder: its configuration, and how its waveforms were prepared."""
    config = {name: value for name, value in read_config(folder, where).items() if name not in _LEFT_OUT}
    family = family_of(config, where)
    prepared = {}
    for name in reversed(_JSON[1:]):
        if (folder / name).is_file() and not prepared:
            found = _read(folder / name, where)
            prepared = found.get('feature_extractor', {}) if name.startswith('processor') else found
    rate, standardise = prepared.get('sampling_rate', SAMPLE_RATE), prepared.get('do_normalize')
    if standardise is None:
        standardise = family != 'whisper'
        if not prepared and standardise:
            _log.warning('%s: %s does not say how waveforms were prepared (no preprocessor_config.json): taken as '
                         'standardised; model.encoder.standardise says otherwise', where, folder)
    return EncoderFacts(config=config, sample_rate=rate, standardise=bool(standardise))


def _has_weights(folder):
    return any((folder / name).is_file() for name in (*_SAFE, *_PICKLED))


def _cached(source):
    """The snapshot of a hub checkpoint in the cache, or None where configuration or weights are missing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(source.name, revision=source.revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, FileNotFoundError):
        return None
    return folder if (folder / 'config.json').is_file() and _has_weights(folder) else None


def _config_of_hub(source, where):
    from huggingface_hub import hf_hub_download

    def fetch():
        return Path(hf_hub_download(source.name, 'config.json', revision=source.revision,
                                    etag_timeout=HUB_SECONDS)).parent

    return _from_hub(fetch, source, where)


def _downloaded(source, where):
    from huggingface_hub import snapshot_download

    def fetch():
        folder = None
        # The safe format alone where it is published: the other one would be as many bytes again.
        for weights in ('model*.safetensors*', 'pytorch_model*.bin*'):
            folder = Path(snapshot_download(source.name, revision=source.revision, etag_timeout=HUB_SECONDS,
                                            allow_patterns=[*_JSON, weights]))
            if _has_weights(folder):
                break
        return folder

    folder = _from_hub(fetch, source, where)
    if not _has_weights(folder):
        raise SerError(f"{where}: '{source.name}' publishes no weights for torch (model.safetensors or "
                       'pytorch_model.bin). Choose another checkpoint')
    return folder


def _from_hub(fetch, source, where):
    """`fetch()`, its exceptions told in one line."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = source.name if source.revision is None else f'{source.name} at {source.revision}'
    try:
        return fetch()
    except GatedRepoError:
        raise SerError(f"{where}: '{name}' asks for its terms to be accepted: accept them on its page and log in with "
                       'hf auth login') from None
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):
        raise SerError(f"{where}: the hub has no checkpoint '{name}' that you may read. Give a name such as "
                       'facebook/wav2vec2-base, or source: {kind: folder, path: FOLDER} for a local one') from None
    except Exception as error:  # each version of each HTTP client has exceptions of its own
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            raise SerError(f"{where}: '{name}' holds no config.json, so it is no checkpoint of transformers") from None
        raise SerError(f"{where}: '{name}' is not on this machine and cannot be downloaded "
                       f'({type(error).__name__}: {first_line(error, 100)}). Download it beforehand (hf download '
                       f'{source.name}), or set {where} to a local folder {{kind: folder, path: FOLDER}} or to an '
                       'encoder of your own sizes {kind: config}') from error
