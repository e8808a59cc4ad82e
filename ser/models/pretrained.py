"""Where a backbone's weights come from: timm's published files, or a local safetensors file."""

import logging
import os
import urllib.request
from pathlib import Path

import torch

from ser.errors import SerError, did_you_mean

HUB_SECONDS = 5.0
"""How long to wait for a weights host before saying that it cannot be reached."""

_HUB_NAMES = ('model.safetensors', 'pytorch_model.bin')
_log = logging.getLogger(__name__)


def first_line(error: Exception, limit: int = 160) -> str:
    """The first line of an error's message, or its class, short enough for one line."""
    text = str(error).strip().splitlines()
    line = text[0].rstrip('.') if text else type(error).__name__
    return line if len(line) <= limit else line[:limit].rstrip() + ' ...'


def check_pretrained(model) -> None:
    """Make sure the weights of every backbone of `model` (the config section) can be had, before anything is built.

    Local files must exist; published ones must be cached or their host must answer within HUB_SECONDS. Nothing is
    downloaded. Raises SerError.
    """
    for name, view in model.views.items():
        if view is None:
            continue
        where = f'model.views.{name}.backbone'
        if view.backbone.weights:
            weights_file(view.backbone.weights, where)
        elif view.backbone.kind == 'timm' and view.backbone.pretrained:
            published(view.backbone.name, where)


def check_name(name: str, where: str) -> None:
    """Refuse (SerError) a name that timm does not know, with or without a tag such as '.in1k'."""
    import timm

    if not timm.is_model(name):
        raise SerError(f"{where}.name: timm has no model '{name}'.{did_you_mean(name, timm.list_models())} "
                       'Allowed: any name of timm.list_models()')
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tagged = timm.models.get_arch_pretrained_cfgs(name)
        raise SerError(f"{where}.name: {first_line(error)}. Allowed: {', '.join(tagged)}") from None


def published(name: str, where: str) -> dict:
    """timm's published weights of `name`: a pretrained_cfg_overlay for timm.create_model(name, pretrained=True).

    {'file': path} where the file is in the cache (so that no host is asked again), {} where it must be downloaded.
    Raises SerError for an unknown name, when timm publishes none, and when they are not cached and their host does
    not answer.
    """
    import timm

    remedy = f'Set {where}.pretrained: false, or {where}.weights: FILE (a safetensors file)'
    check_name(name, where)
    config = timm.get_pretrained_cfg(name)
    if config is None or not (config.hf_hub_id or config.url or config.file):
        raise SerError(f"{where}: timm publishes no weights for '{name}'. {remedy}")
    try:
        if config.hf_hub_id:
            return _on_hub(config)
        if config.url:
            _at_url(config.url)
    except Exception as error:  # each version of each HTTP client has exceptions of its own
        raise SerError(f"{where}: the weights of '{name}' are not on this machine and cannot be downloaded "
                       f"({type(error).__name__}: {first_line(error, 100)}). {remedy}") from error
    return {}


def _on_hub(config):
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError

    repository, _, revision = config.hf_hub_id.partition('@')
    names = (config.hf_hub_filename,) if config.hf_hub_filename else _HUB_NAMES
    for name in names:
        cached = try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(cached, str):
            return {} if config.custom_load else {'file': cached}
    for name in names[:-1]:
        try:
            get_hf_file_metadata(hf_hub_url(repository, name, revision=revision or None), timeout=HUB_SECONDS)
            return {}
        except EntryNotFoundError:
            _log.debug('%s has no %s', repository, name)
    get_hf_file_metadata(hf_hub_url(repository, names[-1], revision=revision or None), timeout=HUB_SECONDS)
    return {}


def _at_url(url):
    if (Path(torch.hub.get_dir()) / 'checkpoints' / os.path.basename(url)).is_file():
        return
    request = urllib.request.Request(url, method='HEAD')
    with urllib.request.urlopen(request, timeout=HUB_SECONDS):
        pass


def weights_file(path: str, where: str) -> Path:
    """The path of a local weights file. Raises SerError when it is missing or no safetensors file."""
    from safetensors import SafetensorError, safe_open

    file = Path(path).expanduser()
    if not file.is_file():
        raise SerError(f"{where}.weights: no such file: {path}")
    try:
        with safe_open(file, framework='pt') as content:
            content.keys()
    except (SafetensorError, OSError) as error:
        raise SerError(f"{where}.weights: {path} is not a safetensors file ({first_line(error)})") from None
    return file


def load_weights(body: torch.nn.Module, file: Path, where: str) -> bool:
    """Load a backbone's safetensors file, name for name. The weights of a classifier that timm publishes with the
    backbone are left out.

    Returns False, with nothing loaded, when only shapes differ (another image size or channel count), which timm can
    adapt while it builds. Raises SerError when names are missing or unknown.
    """
    from safetensors.torch import load_file

    state = load_file(file)
    wanted = body.state_dict()
    classifiers = getattr(body, 'pretrained_cfg', {}).get('classifier') or ()
    for classifier in (classifiers,) if isinstance(classifiers, str) else classifiers:
        for name in (f'{classifier}.weight', f'{classifier}.bias'):
            if name not in wanted:
                state.pop(name, None)
    missing = [name for name in wanted if name not in state]
    unknown = [name for name in state if name not in wanted]
    if missing or unknown:
        found = ' and '.join(text for text in (_some('lacks', missing), _some('has unknown', unknown)) if text)
        raise SerError(f"{where}.weights: {file} does not fit this backbone: it {found}. "
                       "Give the weights of a backbone of the same name and options")
    if any(state[name].shape != tensor.shape for name, tensor in wanted.items()):
        return False
    body.load_state_dict(state)
    return True


def first_mismatch(body: torch.nn.Module, file: Path) -> str:
    """The first tensor whose shape in the file is not the backbone's, in words."""
    from safetensors import safe_open

    with safe_open(file, framework='pt') as content:
        names = set(content.keys())
        for name, tensor in body.state_dict().items():
            if name in names and (found := tuple(content.get_slice(name).get_shape())) != tuple(tensor.shape):
                return f'{name} is {found}, the backbone has {tuple(tensor.shape)}'
    return 'shapes differ'


def _some(verb, names, limit=3):
    if not names:
        return ''
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return f"{verb} {', '.join(names[:limit])}{more}"
