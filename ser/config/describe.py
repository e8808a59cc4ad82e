"""The config for people and editors: YAML with each key's description, and a JSON schema."""

import json
import textwrap

import yaml
from pydantic import BaseModel

from ser.config.schema import Config

_WIDTH = 110
HEADER = 'Every key with its default and what it means. Other configs name only what they change.'
"""Of the config that has every default."""


def commented_yaml(config, header=HEADER):
    """The whole config as YAML, each key under its description, below a comment on the whole of it, one line."""
    lines = [f'# {header}']
    _section(config, 0, lines)
    return '\n'.join(lines) + '\n'


def _section(section, depth, lines):
    indent = '  ' * depth
    for name, field in type(section).model_fields.items():
        if depth == 0:
            lines.append('')
        lines += textwrap.wrap(field.description, _WIDTH, initial_indent=f'{indent}# ',
                               subsequent_indent=f'{indent}# ', break_on_hyphens=False)
        _value(name, getattr(section, name), depth, lines)


def _value(name, value, depth, lines):
    indent = '  ' * depth
    if isinstance(value, BaseModel):
        lines.append(f'{indent}{name}:')
        _section(value, depth + 1, lines)
    elif isinstance(value, dict) and value:
        lines.append(f'{indent}{name}:')
        for key, inner in value.items():
            _value(key, inner, depth + 1, lines)
    elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        lines.append(f'{indent}{name}:')
        for item in value:
            text = yaml.safe_dump(item.model_dump(mode='json'), default_flow_style=True, sort_keys=False,
                                  width=float('inf'))
            lines.append(f'{indent}- {text.rstrip()}')
    else:
        plain = list(value) if isinstance(value, tuple) else value
        text = yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix('...\n').rstrip('\n')
        lines.append(f'{indent}{name}: {text}')


def json_schema():
    """The JSON schema of a config file, which names only what it changes, for editors that complete YAML.

    Wider than the config itself where a file depends on what it extends: no key is required, `kind` included.
    """
    schema = _of_deltas(Config.model_json_schema())
    schema['properties'] = {'extends': _EXTENDS, **schema['properties']}
    schema |= {'title': 'ser config', 'description': 'A config file: what it extends and what it changes.'}
    return json.dumps({'$schema': 'https://json-schema.org/draft/2020-12/schema', **schema}, indent=2)


_EXTENDS = {'anyOf': [{'type': 'string'}, {'type': 'array', 'items': {'type': 'string'}}], 'title': 'Extends',
            'description': 'Presets or YAML files to start from, merged left to right.'}


def _of_deltas(node):
    """A schema without `required`, and with anyOf for the unions that a `kind` tells apart: a file may leave it out."""
    if isinstance(node, list):
        return [_of_deltas(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get('type') == 'object' and isinstance(node.get('properties'), dict):
        node = {key: value for key, value in node.items() if key != 'required'}
        node['properties'] = {name: _of_deltas(value) for name, value in node['properties'].items()}
    if 'discriminator' in node:
        node = {('anyOf' if key == 'oneOf' else key): value for key, value in node.items() if key != 'discriminator'}
    return {key: value if key in ('properties', 'default') else _of_deltas(value) for key, value in node.items()}
