"""What the columns of a corpus's table mean: the names they usually have, those given by an option, clean values."""

import math

from ser.errors import SerError, did_you_mean
from ser.labels import canonical

# What a column may be called, compared in lower case; the first that the table has is taken.
COLUMNS = {
    'path': ('path', 'file', 'filename', 'file_name', 'filepath', 'file_path', 'audio', 'audio_path', 'audio_file',
             'audio_filepath', 'wav', 'wav_path'),
    'emotion': ('emotion', 'label', 'emotion_label', 'class', 'category', 'emo', 'major_emotion'),
    'speaker': ('speaker', 'speaker_id', 'speakerid', 'spk', 'spk_id', 'spkrid', 'actor', 'actor_id', 'subject'),
    'language': ('language', 'lang'),
    'gender': ('gender', 'sex'),
    'session': ('session', 'session_id'),
    'text_id': ('text_id', 'sentence_id', 'statement'),
    'intensity': ('intensity', 'emotion_intensity'),
    'arousal': ('arousal', 'activation', 'emoact'),
    'valence': ('valence', 'emoval'),
    'dominance': ('dominance', 'emodom'),
}
ATTRIBUTES = ('arousal', 'valence', 'dominance')
"""Fields that are numbers and go among the extra values."""
FIELDS = ('speaker', 'language', 'gender', 'session', 'text_id', 'intensity')
"""Fields of an utterance that are text."""
# What programs write into a table for a value that they do not have, in lower case. Words such as 'none' and 'na' may
# be a label or somebody's initials, and stay.
_UNKNOWN = frozenset(('', 'nan', 'null', '<na>', '#n/a', 'n/a'))
# Extra columns must not pass for the fields that every sample has, nor for the label itself.
RESERVED = frozenset(('corpus', 'emotion', 'raw_label', 'label', 'speaker', 'language', 'gender', 'session', 'text_id',
                      'intensity', 'sample_rate', 'frames', 'sha256', 'source_file'))


def column_options(*fields):
    """Corpus options that name the column of a field: option -> description."""
    return {field: f'COLUMN that holds the {field}; by default the first of {", ".join(COLUMNS[field])}'
            for field in fields}


def columns_of(names, chosen=None, known=COLUMNS, where='the table'):
    """Field -> the name of its column among `names`.

    chosen: field -> column name or None, which goes before the usual names `known`. Raises SerError for a chosen column
    that is not there.
    """
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    columns = {field: next(by_lower[name] for name in usual if name in by_lower)
               for field, usual in known.items() if any(name in by_lower for name in usual)}
    for field, name in (chosen or {}).items():
        if name is None:
            continue
        if name.strip().lower() not in by_lower:
            raise SerError(f"{where}: no column '{name}' ({field}={name}). Columns: {', '.join(names) or 'none'}."
                           f'{did_you_mean(name, names)}')
        columns[field] = name if name in names else by_lower[name.strip().lower()]
    return columns


def require(columns, fields, names, known=COLUMNS, where='the table', hint=''):
    """Raises SerError unless every one of `fields` has a column."""
    for field in fields:
        if field not in columns:
            raise SerError(f"{where}: no {field} column among {', '.join(names) or 'none'}. Allowed names: "
                           f"{', '.join(known[field])}; another with --option {field}=COLUMN.{hint}")


def clean(value):
    """None for what means 'unknown' (null, NaN, text that is empty or says so), text without spaces around it."""
    if isinstance(value, str):
        value = value.strip()
        return None if value.lower() in _UNKNOWN else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def text_of(value):
    """A clean value as text, None where it is unknown."""
    value = clean(value)
    return None if value is None else str(value)


def number(value, name, where):
    """A clean value as a float, None where it is unknown. Raises SerError for what is not a number."""
    value = clean(value)
    if value is None:
        return None
    try:
        return clean(float(value))
    except (TypeError, ValueError):
        raise SerError(f"{where}: column '{name}' must hold numbers, not {value!r}. Correct or rename it") from None


def fields_and_extra(row, columns, where):
    """(the text fields of an utterance, its extra values) of a table's row.

    row: column name -> value. columns: field -> column name. extra: the attributes as floats, `votes` by canonical
    emotion, and every column without a field under its own name (`table_` before it where the name is reserved).
    """
    fields = {field: text_of(row.get(columns[field])) for field in FIELDS if field in columns}
    taken = set(columns.values())
    extra = {}
    for name, value in row.items():
        if name in taken or not name.strip():
            continue
        reserved = name.strip().lower() in RESERVED
        extra[f'table_{name.strip()}' if reserved else name.strip()] = clean(value)
    for field in ATTRIBUTES:
        if field in columns:
            extra[field] = number(row.get(columns[field]), columns[field], where)
    if isinstance(extra.get('votes'), dict):
        extra['votes'] = votes_of(extra['votes'], where)
    return fields, extra


def votes_of(votes, where):
    """Canonical emotion -> count, of a mapping label -> count. Raises SerError for counts that are none."""
    counts = {}
    for label, count in votes.items():
        if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count < math.inf:
            raise SerError(f"{where}: votes must map emotions to counts, not '{label}' to {count!r}")
        if not label.strip():
            raise SerError(f'{where}: votes must map emotions to counts, and one emotion has no name')
        counts[canonical(label)] = counts.get(canonical(label), 0) + count
    return counts
