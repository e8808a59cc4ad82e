"""Which emotion a sample is labelled with: `data.label`, `data.classes` and the rule for shards that others wrote."""

import re
from dataclasses import dataclass

from ser.errors import SerError
from ser.labels import DIMENSIONS, canonical

MAX_LABEL_CHARACTERS = 100
_INTEGER = re.compile(r'^[+-]?\d+$')


@dataclass(frozen=True)
class LabelSource:
    """Where labels are: suffix None is 'auto'; keys is the path inside a JSON member, empty for a text member."""

    suffix: str | None = None
    keys: tuple[str, ...] = ()

    @property
    def wanted(self):
        """Suffixes of the members whose text a scan must keep."""
        return ('cls', 'txt') if self.suffix is None else (self.suffix,)


def parse_label_option(option):
    """The LabelSource of `data.label`: 'auto', SUFFIX (such as 'cls'), 'json.KEY' or 'SUFFIX:KEY'; keys nest by dots.

    Raises SerError for anything else.
    """
    if option == 'auto':
        return LabelSource()
    suffix, colon, keys = option.partition(':')
    if not colon and option.startswith('json.'):
        suffix, keys = 'json', option[len('json.'):]
    suffix = suffix.lstrip('.').lower()
    path = tuple(keys.split('.')) if keys else ()
    is_json = suffix.rpartition('.')[2] == 'json'
    if not suffix or '/' in suffix or not all(path) or bool(path) != is_json:
        raise SerError(f"data.label: {option!r} is not 'auto', a suffix such as 'cls', 'json.KEY' or 'SUFFIX:KEY' "
                       'with a suffix that ends in json')
    return LabelSource(suffix, path)


def find_label(sample, source, classes=()):
    """(raw label, unused text suffixes) of a RawSample.

    source: a LabelSource. classes: names of integers, in index order. In 'auto' every label present must agree:
    JSON `emotion` and `label`, `.cls`, `.txt`; beside another label, a `.txt` of several words is a transcript. With
    numbers on dimensions a sample needs no label: then it is ''.
    Raises SerError, without shard and key, for a label that is missing, malformed, unnamed or contradictory.
    """
    if source.suffix is not None:
        where, value = _chosen(sample, source)
        if value is None:
            raise SerError(f'no label at {where}. Say where it is: --set data.label=SUFFIX or json.KEY')
        return _name(where, value, classes), ()
    found, unused = _candidates(sample)
    if not found and any(isinstance(sample.metadata.get(name), (int, float)) for name in DIMENSIONS):
        return '', unused
    if not found:
        raise SerError("no label: neither 'emotion' nor 'label' in its JSON, no .cls and no .txt. "
                       'Say where it is: --set data.label=SUFFIX or json.KEY')
    labels = [(where, _name(where, value, classes)) for where, value in found]
    if len({canonical(label) for _, label in labels}) > 1:
        listed = ', '.join(f"{where} says '{label}'" for where, label in labels)
        raise SerError(f'its labels disagree: {listed}. Choose one: --set data.label={labels[0][0].lstrip(".")}')
    return labels[0][1], unused


def _chosen(sample, source):
    if not source.keys:
        text = sample.texts.get(source.suffix, '')
        if text is None:
            raise SerError(f'.{source.suffix} is too long for a label or not UTF-8')
        return f'.{source.suffix}', text.strip() or None
    value = sample.metadata if source.suffix == 'json' else sample.texts.get(source.suffix)
    for key in source.keys:
        value = value.get(key) if isinstance(value, dict) else None
    return f'{source.suffix}:{".".join(source.keys)}', value


def _candidates(sample):
    """([(where, value)], unused suffixes): every label of the sample in the order of 'auto'."""
    found = [(f'json.{key}', sample.metadata[key]) for key in ('emotion', 'label')
             if sample.metadata.get(key) is not None]
    if (sample.texts.get('cls') or '').strip():
        found.append(('.cls', sample.texts['cls'].strip()))
    elif 'cls' in sample.texts:
        raise SerError('.cls is empty, too long or not UTF-8')
    if 'txt' not in sample.texts:
        return found, ()
    text = (sample.texts['txt'] or '').strip()
    if text and (not found or len(text.split()) <= 2):
        return [*found, ('.txt', text)], ()
    return found, ('txt',)


def _name(where, value, classes):
    """The label as text: an integer is looked up in `classes`."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise SerError(f'{where} is a {type(value).__name__}; a label is text or an integer')
    if isinstance(value, int) or (where == '.cls' and _INTEGER.match(value)):
        return _class_name(where, int(value), classes)
    label = value.strip()
    if not label:
        raise SerError(f'{where} is empty; every clip needs a label')
    if len(label) > MAX_LABEL_CHARACTERS or not label.isprintable():
        raise SerError(f'{where} is no label: over {MAX_LABEL_CHARACTERS} characters, several lines or control '
                       f'characters ({label[:30]!r}). Say where labels are: --set data.label=SUFFIX or json.KEY')
    return label


def _class_name(where, number, classes):
    if not classes:
        raise SerError(f'{where} is the integer {number}. Name the integers with data.classes '
                       "(--set data.classes='[neutral, happy, ...]'), or choose another label with data.label")
    if not 0 <= number < len(classes):
        raise SerError(f'{where} is the integer {number}, but data.classes names only 0 to {len(classes) - 1} '
                       f'({", ".join(classes)})')
    return classes[number]
