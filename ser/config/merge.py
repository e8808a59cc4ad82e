"""YAML files to one plain mapping: strict reading, `extends`, merging by kind, and where each value came from."""

import yaml

from ser.config.presets import find
from ser.errors import SerError


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key written twice in one mapping, and aliases: a few of them can stand for gigabytes."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, f'*{event.anchor} is an alias: write its value out',
                                              event.start_mark)
        return super().compose_node(parent, index)


def _mapping(loader, node, deep=False):
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f'key {key!r} is not text (quote it)',
                                                    key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is written twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse_yaml(text, source):
    """The value of a YAML document. Raises SerError with `source`, line and column for anything but plain data."""
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        place = f' line {mark.line + 1}, column {mark.column + 1}:' if mark else ''
        # What it says of characters that are not allowed has two lines.
        what = ' '.join(str(getattr(error, 'problem', None) or error).split())
        raise SerError(f'{source}:{place} {what}') from error
    except ValueError as error:
        raise SerError(f'{source}: {error}') from error
    except RecursionError as error:
        raise SerError(f'{source}: nested too deeply') from error


def read_yaml(path):
    """A config file as a mapping. Raises SerError when it cannot be read or is not a mapping."""
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise SerError(f'{path}: cannot be read: {error}') from error
    content = parse_yaml(text, path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SerError(f'{path}: a config is a mapping of sections, not a {type(content).__name__}')
    return content


def layers(name, beside=None, chain=()):
    """The files behind a config, base first whoever extends it: [(path, mapping), ...] after following `extends`.

    Raises SerError for a cycle, naming it.
    """
    path = find(name, beside)
    if path.resolve() in [p.resolve() for p in chain]:
        raise SerError(f"{path}: 'extends' goes in a circle: {' -> '.join(p.name for p in (*chain, path))}")
    content = read_yaml(path)
    parents = content.pop('extends', [])
    parents = [parents] if isinstance(parents, str) else parents
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise SerError(f"{path}: 'extends' takes a name or a list of names, not {parents!r}")
    found = []
    for parent in parents:
        found += layers(parent, path, (*chain, path))
    # `base` names every key: anywhere but first it would undo what the parents before it say.
    found.sort(key=lambda layer: layer[0] != find('base'))
    return found + [(path, content)]


def merge(base, delta, source, origins, prefix=''):
    """`delta` over `base`, a new mapping; `origins` learns which source each dotted key came from.

    Mappings merge, everything else replaces; a delta that changes `kind` starts that mapping afresh.
    """
    if 'kind' in delta and delta['kind'] != base.get('kind', delta['kind']):
        base = {}
    merged = dict(base)
    for key, value in delta.items():
        dotted = f'{prefix}{key}'
        origins[dotted] = source
        if isinstance(value, dict):
            old = merged.get(key)
            merged[key] = merge(old if isinstance(old, dict) else {}, value, source, origins, f'{dotted}.')
        else:
            merged[key] = value
    return merged


def assignment(text):
    """`a.b=value` as (mapping, dotted key); the value is YAML. Raises SerError when it has another form."""
    dotted, equals, value = text.partition('=')
    parts = dotted.strip().split('.')
    if not equals or not all(parts):
        raise SerError(f"--set {text}: give a dotted key and a value, such as training.epochs=10")
    delta = parse_yaml(value, f'--set {dotted}')
    for part in reversed(parts):
        delta = {part: delta}
    return delta, dotted.strip()
