"""pydantic's errors as one line for people: file, dotted key, what is allowed, nearest match."""

import re
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from ser.errors import did_you_mean, nearest


def _inside(annotation):
    """The annotation without Annotated and None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _inside(members[0])
    return annotation


def section_classes(annotation):
    """The Section classes a value of this annotation may be: one, several (told apart by `kind`), or none."""
    annotation = _inside(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType):
        return [found for member in get_args(annotation) for found in section_classes(member)]
    return []


def _class_at(annotation, value):
    """The Section class of `value`, chosen by its kind where several are possible, or None."""
    classes = section_classes(annotation)
    if len(classes) > 1:
        kind = value.get('kind') if isinstance(value, dict) else None
        classes = [c for c in classes if c.model_fields['kind'].default == kind]
    return classes[0] if classes else None


def _annotation_at(root, raw, path):
    """The annotation of the value at `path` (a sequence of keys) of the raw config."""
    annotation, value = root, raw
    for key in path:
        section = _class_at(annotation, value)
        # Outside a Section a key belongs to a dict[str, X], a number to a tuple[X, ...].
        place = 0 if isinstance(key, int) else 1
        annotation = section.model_fields[key].annotation if section else get_args(_inside(annotation))[place]
        value = value[key]
    return annotation


def _allowed_keys(root, raw, path):
    """The keys allowed in the mapping at `path`."""
    value = raw
    for key in path:
        value = value[key]
    return tuple(_class_at(_annotation_at(root, raw, path), value).model_fields)


def _of_another_kind(root, raw, path):
    """Words on which kinds of the mapping would take its key path[-1], or the nearest to it; '' where none would."""
    kinds = {}
    for section in section_classes(_annotation_at(root, raw, path[:-1])):
        for key in section.model_fields:
            kinds.setdefault(key, []).append(section.model_fields['kind'].default if 'kind' in section.model_fields
                                             else None)
    key = nearest(path[-1], kinds)
    if key is None or None in kinds[key]:
        return ''
    parent = '.'.join(str(part) for part in path[:-1])
    return f" '{key}' goes with {parent}.kind: {' or '.join(kinds[key])}."


def _allowed_kinds(root, raw, path):
    return [c.model_fields['kind'].default for c in section_classes(_annotation_at(root, raw, path))]


def _path_in(raw, location):
    """The error's location without the union tags that pydantic puts in."""
    path, value, tagged = [], raw, False
    for part in location:
        if isinstance(value, dict) and part == value.get('kind') and not tagged:
            # The tag, even where a key is called the same.
            tagged = True
        elif isinstance(value, dict) and part in value:
            path.append(part)
            value, tagged = value[part], False
        elif isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value):
            path.append(part)
            value = value[part]
    return path, value


def one_line(validation_error, root, raw, origins):
    """The first error of a pydantic ValidationError as one line.

    root: the Config class; raw: the merged mapping; origins: dotted key -> file or option.
    """
    error = validation_error.errors()[0]
    path, value = _path_in(raw, error['loc'])
    dotted = '.'.join(str(part) for part in path)
    source = next((origins[prefix] for prefix in _prefixes(path) if prefix in origins), 'config')
    kind = error['type']
    if kind == 'extra_forbidden':
        allowed = _allowed_keys(root, raw, path[:-1])
        hint = did_you_mean(path[-1], allowed) or _of_another_kind(root, raw, path)
        return f"{source}: unknown key '{dotted}'.{hint} Allowed: {', '.join(allowed)}"
    if kind in ('union_tag_invalid', 'union_tag_not_found'):
        allowed = _allowed_kinds(root, raw, path)
        given = value.get('kind') if isinstance(value, dict) else value
        said = f"unknown kind '{given}'" if kind == 'union_tag_invalid' else "'kind' is missing"
        return f"{source}: {dotted}: {said}.{did_you_mean(given, allowed)} Allowed: {', '.join(allowed)}"
    if kind in ('model_type', 'model_attributes_type', 'dict_type'):
        return f"{source}: {dotted} is {value!r}: a mapping is wanted"
    return f'{source}: {dotted} is {value!r}: {_wanted(validation_error, error, path, raw, value)}'


def _prefixes(path):
    return ['.'.join(str(part) for part in path[:n]) for n in range(len(path), 0, -1)]


def _wanted(validation_error, error, path, raw, value):
    """What would have been accepted: every alternative of the same key, and the nearest word."""
    same = [e for e in validation_error.errors() if _path_in(raw, e['loc'])[0][:len(path)] == path] or [error]
    said = list(dict.fromkeys(_plain(e) for e in same))
    words = re.findall(r"'([^']+)'", ' '.join(e.get('ctx', {}).get('expected', '') for e in same))
    hint = did_you_mean(value, words) if isinstance(value, str) else ''
    return ', or '.join(said) + (f'.{hint}' if hint else '')


_PLAIN = (('Input should be', 'should be'), ('Tuple should', 'should'), (' after validation', ''),
          (', unable to parse string as a number', ''), ('Value error, ', ''),
          (', unable to parse string as an integer', ''), ('Field required', 'has too few entries'),
          ('a valid dictionary', 'a mapping'), ('a valid tuple', 'a list'), ('a valid string', 'text'),
          ('a valid boolean', 'true or false'), ('a valid integer', 'a whole number'), ('a valid number', 'a number'))


def _plain(error):
    message = error['msg']
    for technical, people in _PLAIN:
        message = message.replace(technical, people)
    return message
