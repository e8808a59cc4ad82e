"""The config for people and editors: YAML with each key's description, and a JSON schema."""

import json
import textwrap

import yaml
from pydantic import BaseModel

from ser.config.schema import Config

_WIDTH = 110


def commented_yaml(config):
    """The whole config as YAML, each key under its description."""
    lines = ['# Every key with its default and what it means. Other configs name only what they change.']
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
    else:
        plain = list(value) if isinstance(value, tuple) else value
        text = yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix('...\n').rstrip('\n')
        lines.append(f'{indent}{name}: {text}')


def json_schema():
    """The JSON schema of a complete config, for editors that complete YAML."""
    return json.dumps(Config.model_json_schema(), indent=2)
