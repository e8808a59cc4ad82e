"""The header and the tables of an audformat database, without its library."""

import functools
import re

from ser.corpora.columns import text_of
from ser.corpora.parquet import require_pyarrow
from ser.corpora.table_reading import read_table
from ser.errors import SerError, did_you_mean

HEADER = 'db.yaml'
_TIMEDELTA = re.compile(r'(?:(\d+) days? )?(\d+):(\d\d):(\d\d(?:\.\d+)?)')
_NS = 1e9
# What a label says when it is a mapping of fields rather than text.
_MEANINGS = ('emotion', 'label', 'category', 'name')


class Database:
    """A database's header; its tables are read when asked for, each once.

    rows(table): list of (where, row). labels(scheme): label as text -> meaning.
    """

    def __init__(self, folder, header):
        self.folder, self.header = folder, header
        self.tables, self.misc, self.schemes = (self._part(name) for name in ('tables', 'misc_tables', 'schemes'))
        self.rows = functools.cache(self._rows)
        self.labels = functools.cache(self._labels)

    @classmethod
    def open(cls, source):
        """From its folder or its header. Raises SerError when there is none, or it is not a mapping."""
        import yaml

        path = source / HEADER if source.is_dir() else source
        if path.name != HEADER or not path.is_file():
            raise SerError(f"no {HEADER} in '{source}': the folder of a database in audformat is wanted")
        try:
            header = yaml.safe_load(path.read_text(encoding='utf-8'))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SerError(f'{HEADER}: not readable as YAML ({str(error).splitlines()[0]})') from None
        if not isinstance(header, dict):
            raise SerError(f'{HEADER}: a mapping with tables and schemes is wanted, not {type(header).__name__}')
        return cls(path.parent, header)

    def _part(self, name):
        part = _mapping(self.header.get(name), name)
        return {str(key): _mapping(value, f'{name}.{key}') for key, value in part.items()}

    def columns(self, table):
        """Column -> its scheme's name or None, of a table or misc table."""
        columns = _mapping((self.tables.get(table) or self.misc.get(table) or {}).get('columns'), f'{table}.columns')
        return {str(name): _mapping(about, f'{table}.columns.{name}').get('scheme_id')
                for name, about in columns.items()}

    def find_column(self, table, names):
        """The first column of a table that is called, or whose scheme is called, as one of `names`, else None."""
        columns = self.columns(table)
        named = [name for name in names if name in columns]
        return (named + [column for column, scheme in columns.items() if scheme in names] + [None])[0]

    def _rows(self, table):
        """List of (where, row) of a table; row: column -> value, text where it came from a CSV file."""
        stem = f'db.{table}'
        path = self.folder / f'{stem}.csv'
        if path.is_file():
            return [(f'{path.name} line {line}', row) for line, row in read_table(path, delimiter=',')[1]]
        path = self.folder / f'{stem}.parquet'
        if path.is_file():
            return [(f'{path.name} row {number}', row) for number, row in enumerate(_parquet_rows(path))]
        if (self.folder / f'{stem}.pkl').is_file():
            raise SerError(f'{stem}.pkl: pickled tables are never opened, for they can run code. Export the table as '
                           "CSV with audformat: database.save(FOLDER, storage_format='csv')")
        raise SerError(f"no {stem}.csv or {stem}.parquet in '{self.folder}', though {HEADER} lists the table")

    def _labels(self, scheme):
        """Label as text -> what it stands for (text or a mapping), of a scheme; None where it allows any."""
        labels = self.schemes.get(scheme, {}).get('labels')
        if labels is None:
            return None
        if isinstance(labels, str):
            return self._misc_labels(labels)
        if isinstance(labels, list):
            return {str(label): str(label) for label in labels}
        return {str(label): meaning for label, meaning in labels.items()}

    def _misc_labels(self, table):
        levels = self.misc.get(table, {}).get('levels')
        if not levels:
            raise SerError(f"{HEADER}: no misc table '{table}' with levels, though a scheme takes its labels from it")
        index = str(next(iter(levels)))
        return {text_of(row.get(index)): row for _, row in self.rows(table)}

    def meaning(self, scheme, value, where):
        """What a label stands for, as text. Raises SerError for one that the scheme does not have."""
        labels = self.labels(scheme) if scheme else None
        if labels is None:
            return value
        if value not in labels:
            raise SerError(f"{where}: '{value}' is not a label of scheme '{scheme}': {', '.join(labels)}."
                           f'{did_you_mean(value, labels)}')
        meaning = labels[value]
        if isinstance(meaning, dict):
            meaning = next((meaning[name] for name in _MEANINGS if isinstance(meaning.get(name), str)), None)
        return meaning if isinstance(meaning, str) and meaning else value


def _mapping(value, where):
    """A part of the header; {} where it is absent. Raises SerError for one that is no mapping."""
    if not isinstance(value or {}, dict):
        raise SerError(f'{HEADER}: {where} must be a mapping, not {type(value).__name__}')
    return value or {}


def _parquet_rows(path):
    """Rows of a small parquet table; durations as float seconds."""
    parquet = require_pyarrow()
    import pyarrow

    try:
        table = parquet.read_table(path, use_threads=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise SerError(f'{path.name}: not a readable parquet file ({str(error).splitlines()[0]})') from None
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pyarrow.types.is_duration(column.type):
            values = column.cast(pyarrow.duration('ns')).cast(pyarrow.int64()).to_pylist()
            columns[name] = [None if value is None else value / _NS for value in values]
        elif not (pyarrow.types.is_temporal(column.type) or pyarrow.types.is_nested(column.type)):
            columns[name] = column.to_pylist()
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def seconds_of(value, where):
    """Seconds of a time as audformat writes it ('0 days 00:00:03.79', or a number from parquet); None for NaT."""
    if value is None or isinstance(value, int | float):
        return value
    text = value.strip()
    if text in ('', 'NaT'):
        return None
    match = _TIMEDELTA.fullmatch(text)
    if not match:
        raise SerError(f"{where}: '{text}' is not a time such as '0 days 00:00:03.79'")
    days, hours, minutes, seconds = match.groups()
    return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds)
