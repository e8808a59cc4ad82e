"""Any folder with a table: one row per recording, as CSV (any common delimiter) or JSON lines."""

import codecs
import csv
import io
import json
import logging
import math
import os
from pathlib import Path, PurePosixPath

from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.errors import SerError
from ser.labels import canonical, misspelt

log = logging.getLogger(__name__)

# What a column may be called, compared in lower case; the first that the table has is taken.
COLUMNS = {
    'path': ('path', 'file', 'filename', 'file_name', 'filepath', 'file_path', 'audio', 'audio_path', 'audio_file',
             'audio_filepath', 'wav', 'wav_path'),
    'emotion': ('emotion', 'label', 'emotion_label', 'class', 'category'),
    'speaker': ('speaker', 'speaker_id', 'speakerid', 'spk', 'spk_id', 'actor', 'actor_id', 'subject'),
    'language': ('language', 'lang'),
    'gender': ('gender', 'sex'),
    'session': ('session', 'session_id'),
    'text_id': ('text_id', 'sentence_id', 'statement'),
    'intensity': ('intensity', 'emotion_intensity'),
}
NUMERIC = ('arousal', 'valence', 'dominance')
# Extra columns must not pass for the fields that every sample has, nor for the label itself.
RESERVED = frozenset(('corpus', 'emotion', 'raw_label', 'label', 'speaker', 'language', 'gender', 'session', 'text_id',
                      'intensity', 'sample_rate', 'frames', 'sha256'))
SUFFIXES = ('.csv', '.tsv', '.jsonl', '.ndjson')

FACTS = CorpusFacts(
    name='csv', title='Any folder with a table', licence='as the recordings\' own', language=None, homepage=None,
    speakers=None, emotions=(), utterances=None, example='path,emotion,speaker',
    layout='metadata.csv (or one .csv, .tsv, .jsonl): columns path, emotion, speaker (optional) and any others; '
           'paths relative to the table')


def find_table(source):
    """The table of a corpus: `source` itself, or the one in the folder (metadata.* first). Raises SerError."""
    if source.is_file():
        if source.suffix.lower() not in SUFFIXES:
            raise SerError(f"'{source}' is not a table: allowed are {', '.join(SUFFIXES)}")
        return source
    if not source.is_dir():
        raise SerError(f"no such folder or table: '{source}'")
    tables = sorted(path for path in source.iterdir()
                    if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith('.'))
    tables = [path for path in tables if path.stem.lower() == 'metadata'] or tables
    if not tables:
        raise SerError(f"no table in '{source}': expected metadata.csv or one file ending in {', '.join(SUFFIXES)} "
                       'with the columns path and emotion')
    if len(tables) > 1:
        raise SerError(f"several tables in '{source}': {', '.join(path.name for path in tables)}. "
                       'Give the one to use as the SOURCE')
    return tables[0]


def _text(table):
    data = table.read_bytes()
    encoding = 'utf-16' if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else 'utf-8-sig'
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise SerError(f"{table.name}: not UTF-8 text (byte {error.start}). Save the table as UTF-8") from None


def _lines(table):
    """Its lines with their ends, ended by \\n, \\r\\n or \\r only: str.splitlines() also cuts inside values."""
    return list(io.StringIO(_text(table), newline=''))


def _columns(header):
    """Field -> the name of its column in this table."""
    by_lower = {name.strip().lower(): name for name in reversed(header)}
    return {field: next(by_lower[name] for name in names if name in by_lower)
            for field, names in COLUMNS.items() if any(name in by_lower for name in names)}


def _csv_rows(table):
    """(column names, rows), a row being (line number, column -> value)."""
    lines = _lines(table)
    if not lines:
        raise SerError(f'{table.name}: the table is empty')

    def header(delimiter):
        return next(csv.reader(lines[:1], delimiter=delimiter, skipinitialspace=True), [])

    # A header is short and known, so the delimiter under which it makes most sense is the right one.
    delimiter = max(',;\t|', key=lambda mark: (len(_columns(header(mark))), len(header(mark))))
    names = header(delimiter)
    if len(set(names)) < len(names):
        raise SerError(f"{table.name}: a column is named twice in {', '.join(names)}")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    next(reader)
    rows = []
    for row in reader:
        if not any(value.strip() for value in row):
            continue
        if len(row) != len(names):
            raise SerError(f'{table.name} line {reader.line_num}: {len(row)} values for {len(names)} columns '
                           f"({', '.join(names)}). Quote values that hold the delimiter")
        rows.append((reader.line_num, dict(zip(names, row, strict=True))))
    return names, rows


def _json_rows(table):
    """As _csv_rows; an object may lack any key."""
    rows = []
    for number, line in enumerate(_lines(table), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SerError(f'{table.name} line {number}: not JSON ({error})') from None
        if not isinstance(row, dict):
            raise SerError(f'{table.name} line {number}: a JSON object is wanted, not {type(row).__name__}')
        rows.append((number, row))
    return list(dict.fromkeys(name for _, row in rows for name in row)), rows


def _clean(value):
    """None for what means 'unknown': empty text, null, NaN."""
    if isinstance(value, str):
        value = value.strip()
    return None if value in (None, '') or (isinstance(value, float) and not math.isfinite(value)) else value


def _extra(row, taken):
    extra = {}
    for name, value in row.items():
        if name in taken or not name.strip():
            continue
        value = _clean(value)
        if name.strip().lower() in NUMERIC and isinstance(value, str):
            value = _number(value)
        extra[f'table_{name.strip()}' if name.strip().lower() in RESERVED else name.strip()] = value
    return extra


def _number(text):
    try:
        return _clean(float(text))
    except ValueError:
        return text


def _locate(given, folder):
    """(path, relative) of a table's entry; backslashes are separators where no such file exists."""
    path = folder / given
    if '\\' in given and not path.exists():
        given = given.replace('\\', '/')
        path = folder / given
    relative = PurePosixPath(os.path.relpath(path, folder).replace(os.sep, '/'))
    return path, PurePosixPath(*(part for part in relative.parts if part != '..')).as_posix()


def _utterance(row, columns, folder, where):
    values = {field: _clean(row.get(name)) for field, name in columns.items()}
    if values['path'] is None:
        return Skip(where, 'no path in its row')
    if not isinstance(values['path'], str):
        raise SerError(f"{where}: column '{columns['path']}' must hold a file path, not {values['path']!r}")
    path, relative = _locate(values['path'], folder)
    if values['emotion'] is None:
        return Skip(relative, 'no emotion label')
    if not path.is_file():
        return Skip(relative, 'missing file', where, bad=True)
    texts = {field: None if value is None else str(value) for field, value in values.items()}
    raw = texts.pop('emotion')
    del texts['path']
    return Utterance(path=path, relative=relative, corpus=FACTS.name, emotion=canonical(raw), raw_label=raw,
                     extra=_extra(row, set(columns.values())), **texts)


def parse(source):
    """Utterances and skips of a folder with a table, or of the table itself, in the table's order.

    Raises SerError for a table that is missing, ambiguous, not text, without a path or emotion column, or malformed.
    """
    table = find_table(Path(source))
    names, rows = _json_rows(table) if table.suffix.lower() in ('.jsonl', '.ndjson') else _csv_rows(table)
    columns = _columns(names)
    for field in ('path', 'emotion'):
        if field not in columns:
            raise SerError(f"{table.name}: no {field} column among {', '.join(names) or 'none'}. "
                           f"Allowed names: {', '.join(COLUMNS[field])}")
    warned = set()
    for number, row in rows:
        found = _utterance(row, columns, table.parent, f'{table.name} line {number}')
        if isinstance(found, Utterance) and found.emotion not in warned:
            warned.add(found.emotion)
            guess = misspelt(found.raw_label)
            if guess:
                log.warning("%s line %d: the label '%s' is kept as a class of its own; was '%s' meant?",
                            table.name, number, found.raw_label, guess)
        yield found


TABLE = Corpus(FACTS, parse)
