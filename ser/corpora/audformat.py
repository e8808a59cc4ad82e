"""Databases in audformat, audEERING's format: a folder with `db.yaml`, tables beside it, and the media files.

Tables link labels to whole files (filewise) or to stretches of them (segmented). Read here without the library: the
header by yaml.safe_load, tables from CSV or parquet. Pickled tables are never opened.
"""

import functools
from pathlib import Path

from ser.corpora.audformat_tables import Database, seconds_of
from ser.corpora.columns import ATTRIBUTES, COLUMNS, columns_of, fields_and_extra, text_of
from ser.corpora.segments import cut, segment_name
from ser.corpora.table import locate
from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.errors import SerError, did_you_mean
from ser.labels import canonical

# Where an utterance's fields are looked for, in this order, as names of columns or of their schemes.
_FIELDS = {'speaker': ('speaker',), 'gender': ('gender', 'sex'), 'language': ('language',), 'session': ('session',),
           'text_id': ('transcription', 'text_id', 'sentence', 'text')}
_OF_SPEAKER = ('gender', 'language', 'age')
_INDEX = ('file', 'start', 'end')
# ISO 639-3, as audformat writes languages, to the two letters used here.
_LANGUAGES = {'ara': 'ar', 'ben': 'bn', 'ces': 'cs', 'dan': 'da', 'deu': 'de', 'ell': 'el', 'eng': 'en', 'est': 'et',
              'fas': 'fa', 'fra': 'fr', 'hin': 'hi', 'hun': 'hu', 'ita': 'it', 'jpn': 'ja', 'kor': 'ko', 'nld': 'nl',
              'pol': 'pl', 'por': 'pt', 'rus': 'ru', 'spa': 'es', 'swe': 'sv', 'tur': 'tr', 'urd': 'ur', 'vie': 'vi',
              'zho': 'zh'}

FACTS = CorpusFacts(
    name='audformat', title='A database in audformat', licence='as the database\'s own', language=None,
    homepage='https://audeering.github.io/audformat/', speakers=None, emotions=(), utterances=None, example='db.yaml',
    layout='a folder with db.yaml, db.<table>.csv or .parquet, and the media files')


def parse(source, table=None, emotion=None, speaker=None):
    """Utterances and skips of a database, table by table. Extra values: `split`, `age`, and the table's other columns.

    source: its folder or db.yaml. table: one or several (a,b); by default those with the emotion column. emotion,
    speaker: columns; by default what is called so, or has a scheme called so.
    Raises SerError for a header or table that cannot be read, is pickled, lacks the columns, or has no such labels, and
    for a file or stretch that is labelled twice.
    """
    database = Database.open(Path(source))
    seen = {}
    for name, column in _choose_tables(database, table, emotion):
        fields = _field_columns(database, name, speaker)
        for where, row in database.rows(name):
            found = _utterance(database, name, column, fields, row, where)
            if isinstance(found, Utterance) and seen.setdefault(found.relative, where) != where:
                raise SerError(f"'{found.relative}' is labelled twice, {seen[found.relative]} and {where}. Keep one, "
                               'or choose a table: --option table=NAME')
            yield found


def _choose_tables(database, wanted, emotion):
    """(table, emotion column) pairs."""
    names = (emotion,) if emotion else COLUMNS['emotion']
    having = {table: column for table in database.tables if (column := database.find_column(table, names))}
    if wanted is None:
        if not having:
            seen = '; '.join(f'{table}: {", ".join(database.columns(table))}' for table in database.tables) or 'none'
            raise SerError(f"db.yaml: no table has a column {' or '.join(names)}. Tables and columns: {seen}. "
                           'Give it with --option emotion=COLUMN')
        return list(having.items())
    chosen = [name.strip() for name in wanted.split(',')]
    for table in chosen:
        if table not in database.tables:
            raise SerError(f"option table: no table '{table}' in db.yaml. Tables: "
                           f"{', '.join(database.tables) or 'none'}.{did_you_mean(table, database.tables)}")
        if table not in having:
            raise SerError(f"db.yaml: table '{table}' has no column {' or '.join(names)}. Its columns: "
                           f"{', '.join(database.columns(table)) or 'none'}. Give it with --option emotion=COLUMN")
    return [(table, having[table]) for table in chosen]


def _field_columns(database, table, speaker):
    """Field -> (its column, scheme, file -> value), values None where the column is in the table itself."""
    fields = {}
    others = [name for name, about in database.tables.items() if name != table and about.get('type') == 'filewise']
    for field, names in _FIELDS.items():
        names = (speaker,) if field == 'speaker' and speaker else names
        place = next((name for name in (table, *others) if database.find_column(name, names)), None)
        if place is not None:
            column = database.find_column(place, names)
            values = None if place == table else {row['file']: row.get(column) for _, row in database.rows(place)}
            fields[field] = column, database.columns(place)[column], values
        elif field == 'speaker' and speaker:
            columns = sorted({name for each in database.tables for name in database.columns(each)})
            raise SerError(f"option speaker: no table has a column '{speaker}'. Columns: {', '.join(columns)}")
    return fields


def _utterance(database, table, column, fields, row, where):
    file = text_of(row.get('file'))
    if file is None:
        return Skip(where, 'no path in its row')
    start, end = (seconds_of(row.get(name), where) for name in ('start', 'end'))
    path, relative = locate(file, database.folder)
    relative = segment_name(relative, start or 0, end)
    raw = text_of(row.get(column))
    if raw is None:
        return Skip(relative, 'no emotion label', where)
    if not path.is_file():
        return Skip(relative, 'missing file', where, bad=True)
    emotion = database.meaning(database.columns(table)[column], raw, where)
    own = {field: name for field, (name, _, values) in fields.items() if values is None}
    attributes = columns_of(list(row), known={name: COLUMNS[name] for name in ATTRIBUTES})
    texts, extra = fields_and_extra({name: value for name, value in row.items() if name not in _INDEX},
                                    {**attributes, **own, 'emotion': column}, where)
    texts |= {field: text_of(values.get(row['file'])) for field, (_, _, values) in fields.items() if values is not None}
    _complete(database, table, fields, texts, extra)
    data = None if not start and end is None else functools.partial(cut, str(path), start or 0, end)
    return Utterance(path=path, relative=relative, corpus=FACTS.name, emotion=canonical(emotion), raw_label=raw,
                     extra=extra, data=data, **texts)


def _complete(database, table, fields, texts, extra):
    """Add what the speaker's scheme, the table and the header say."""
    labels = database.labels(fields['speaker'][1]) if texts.get('speaker') and fields['speaker'][1] else None
    about = (labels or {}).get(texts.get('speaker'))
    for field in _OF_SPEAKER:
        value = text_of(about.get(field)) if isinstance(about, dict) else None
        if value is None:
            continue
        if field == 'age':
            extra.setdefault('age', float(value) if value.replace('.', '', 1).isdecimal() else value)
        else:
            texts[field] = texts.get(field) or value
    if split := database.tables[table].get('split_id'):
        extra.setdefault('split', split)
    languages = database.header.get('languages') or []
    language = texts.get('language') or (languages[0] if len(languages) == 1 else None)
    texts['language'] = _LANGUAGES.get(language, language)


AUDFORMAT = Corpus(FACTS, parse, options={
    'table': 'NAME of the table, or several (a,b); by default every one with the emotion column',
    'emotion': 'COLUMN of the emotion; by default one called, or with a scheme called, emotion, label ...',
    'speaker': 'COLUMN of the speaker, in this or any table of whole files; by default one called, or with a scheme '
               'called, speaker'})
