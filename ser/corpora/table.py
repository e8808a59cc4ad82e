"""Any folder with a table: one row per recording, as CSV (any delimiter and encoding) or JSON lines."""

import functools
import logging
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ser.corpora.columns import ATTRIBUTES, FIELDS, clean, column_options, columns_of, fields_and_extra, require
from ser.corpora.scan import spelt
from ser.corpora.table_reading import OPTIONS, delimiter_hint, find_table, read_table
from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.errors import SerError
from ser.labels import canonical, misspelt

log = logging.getLogger(__name__)
_SHOWN_REPEATS = 3

FACTS = CorpusFacts(
    name='csv', title='Any folder with a table', licence='as the recordings\' own', language=None, homepage=None,
    speakers=None, emotions=(), utterances=None, example='path,emotion,speaker',
    layout='metadata.csv (or one .csv, .tsv, .jsonl): columns path, emotion (or arousal, valence, dominance), speaker '
           '(optional) and any others; paths relative to the table')


def locate(given, folder):
    """(path, relative) of a table's entry; backslashes are separators where no such file exists."""
    path = spelt(folder, given)
    if '\\' in given and not path.exists():
        given = given.replace('\\', '/')
        path = spelt(folder, given)
    relative = PurePosixPath(os.path.relpath(path, folder).replace(os.sep, '/'))
    return path, PurePosixPath(*(part for part in relative.parts if part != '..')).as_posix()


def parse(source, corpus=FACTS.name, delimiter=None, encoding=None, **chosen):
    """Utterances and skips of a folder with a table, or of the table itself, in the table's order.

    chosen: field of columns.COLUMNS -> name of its column. Raises SerError for a table that is missing, ambiguous, not
    text, without a path or emotion column, malformed, without a usable row, or that lists a recording twice.
    """
    table = find_table(Path(source))
    names, rows = read_table(table, delimiter=delimiter, encoding=encoding)
    columns = columns_of(names, chosen, where=table.name)
    # Recordings may have numbers on dimensions and no emotion.
    wanted = ('path',) if any(name in columns for name in ATTRIBUTES) else ('path', 'emotion')
    require(columns, wanted, names, where=table.name, hint=delimiter_hint(table, names, delimiter))
    warned, lines, skips, repeats = set(), {}, [], []
    for line, row in rows:
        where = f'{table.name} line {line}'
        found = _utterance(row, columns, table.parent, where, corpus)
        if isinstance(found, Utterance):
            first = lines.setdefault(found.relative, (line, found.emotion))
            if first[0] != line:
                repeats.append((found, line, *first))
            _warn_of_slip(found, where, warned)
        else:
            skips.append(found)
        yield found
    if repeats:
        raise _repeated(table, repeats)
    if not lines:
        raise _unusable(table, skips)


def _utterance(row, columns, folder, where, corpus):
    given, raw = clean(row.get(columns['path'])), clean(row.get(columns.get('emotion')))
    if given is None:
        return Skip(where, 'no path in its row')
    if not isinstance(given, str):
        raise SerError(f"{where}: column '{columns['path']}' must hold a file path, not {given!r}")
    if isinstance(raw, dict | list):
        raise SerError(f"{where}: column '{columns['emotion']}' must hold one label, not {raw!r}")
    path, relative = locate(given, folder)
    fields, extra = fields_and_extra(row, columns, where)
    if raw is None and not any(extra.get(name) is not None for name in ATTRIBUTES):
        return Skip(relative, 'no emotion label')
    if not path.is_file():
        return Skip(relative, 'missing file', where, bad=True)
    return Utterance(path=path, relative=relative, corpus=corpus, emotion='' if raw is None else canonical(raw),
                     raw_label='' if raw is None else str(raw), extra=extra, **fields)


def _unusable(table, skips):
    if not skips:
        return SerError(f'{table.name}: a header and no row below it. Give each recording a row')
    reasons = ', '.join(f'{reason} {n}' for reason, n in Counter(skip.reason for skip in skips).items())
    return SerError(f"{table.name}: no row can be used ({reasons}). First: '{skips[0].relative}', {skips[0].reason}; "
                    f"paths are taken from '{table.parent}'")


def _repeated(table, repeats):
    """The SerError of rows that name a recording again: repeats are (Utterance, line, line and emotion before)."""
    told = []
    for found, line, first, emotion in repeats[:_SHOWN_REPEATS]:
        both = (f"both times labelled '{emotion}': remove one row" if emotion == found.emotion else
                f"labelled '{emotion}' in one and '{found.emotion}' in the other: keep the row that is right")
        told.append(f"'{found.relative}' is in lines {first} and {line}, {both}")
    count = f'{len(repeats)} rows name a recording again. ' if len(repeats) > 1 else ''
    more = f'; and {len(repeats) - len(told)} more' if len(repeats) > len(told) else ''
    return SerError(f'{table.name}: {count}{"; ".join(told)}{more}')


def _warn_of_slip(found, where, warned):
    if found.emotion in warned:
        return
    warned.add(found.emotion)
    guess = misspelt(found.raw_label) if found.raw_label else None
    if guess:
        log.warning("%s: the label '%s' is kept as a class of its own; was '%s' meant?", where, found.raw_label, guess)


_COLUMN_OPTIONS = column_options('path', 'emotion', *FIELDS, *ATTRIBUTES)
TABLE = Corpus(FACTS, parse, options={**_COLUMN_OPTIONS, **OPTIONS})
JSON_LINES = Corpus(
    replace(FACTS, name='jsonl', title='Any folder with JSON lines', example='{"path": "a.wav", "emotion": "happy"}'),
    functools.partial(parse, corpus='jsonl'), options=TABLE.options)
"""The same corpus under the name of its other format."""
