"""Names, files and `--set` to one frozen Config."""

import contextlib

import yaml
from pydantic import ValidationError

from ser.config.merge import assignment, layers, merge, read_yaml
from ser.config.messages import one_line
from ser.config.presets import preset_folder
from ser.config.schema import Config
from ser.errors import SerError


def load_config(names=('base',), assignments=(), options=None):
    """A Config from presets or files, then `a.b=value` assignments, then command options.

    names: presets or YAML files, merged left to right over the defaults.
    assignments: `--set` texts, in order. options: {option: (dotted key, value)} of the command line's
    sugar, such as {'--device': ('run.device', 'cpu')}; one that contradicts a --set is an error.
    Raises SerError in one line for anything unknown, of the wrong type, or contradictory.
    """
    raw, origins = Config().model_dump(mode='json'), {}
    for name in names:
        for path, content in layers(name):
            # base.yaml is the defaults written out: naming it chooses nothing.
            raw = _merge(raw, content, str(path), {} if path == preset_folder() / 'base.yaml' else origins)
    # Options first: `--protocol speaker-kfold --set protocol.folds=3` sets a key of the kind just chosen.
    for option, (dotted, value) in (options or {}).items():
        raw = _merge(raw, _nested(dotted, value), option, origins)
    given, raw = raw, _assigned(raw, assignments, options, origins)
    # A preset's loss was chosen for emotions; one that came with the task, or after it, was meant.
    if (raw['task'].get('kind') == 'dimensions' and raw['training']['loss'].get('kind') != 'ccc'
            and origins.get('training.loss.kind') not in ('--set', origins.get('task.kind'))):
        given = _merge(given, {'training': {'loss': {'kind': 'ccc'}}}, 'task.kind dimensions', origins)
        raw = _assigned(given, assignments, options, origins)
    if (raw['data'].get('valid_shards') or raw['data'].get('test_shards')) and 'protocol.kind' not in origins:
        raw = _merge(raw, {'protocol': {'kind': 'given'}}, 'shards per part', origins)
    return validate(raw, origins)


def _assigned(raw, assignments, options, origins):
    """`raw` with every --set. Raises SerError for one that contradicts an option."""
    for text in assignments:
        delta, dotted = assignment(text)
        for option, (sugared, value) in (options or {}).items():
            if dotted == sugared and _value_at(delta, dotted) != value:
                raise SerError(f'{option} {_shown(value)} and --set {text} contradict each other: give one of them')
        raw = _merge(raw, delta, '--set', origins)
    return raw


def _merge(raw, delta, source, origins):
    """`merge`, but raises SerError for a section that is no mapping: the next layer might hide it."""
    for section, value in delta.items():
        if section in Config.model_fields and not isinstance(value, dict):
            raise SerError(f'{source}: {section} is {value!r}: a mapping is wanted')
    return merge(raw, delta, source, origins)


def _value_at(mapping, dotted):
    for part in dotted.split('.'):
        mapping = mapping[part]
    return mapping


def _nested(dotted, value):
    for part in reversed(dotted.split('.')):
        value = {part: value}
    return value


def _shown(value):
    return ' '.join(str(v) for v in value) if isinstance(value, (list, tuple)) else value


def validate(raw, origins):
    """A Config from a merged mapping. Raises SerError in one line."""
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise SerError(one_line(error, Config, raw, origins)) from error


def load_resolved(path):
    """The Config of a run directory's config.yaml, which stands alone. Raises SerError."""
    raw = read_yaml(path)
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        # Runs from before there was a choice.
        raw['features']['image'].setdefault('frames', 'all')
    return validate(raw, {key: str(path) for key in raw})


def to_yaml(config):
    """The resolved config as YAML, in section order; `load_resolved` reads it back unchanged."""
    return yaml.safe_dump(config.model_dump(mode='json'), sort_keys=False, allow_unicode=True)
