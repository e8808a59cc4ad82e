"""Rows of a table file: CSV with any delimiter and encoding, or JSON lines. What cannot be read is said in one line."""

import codecs
import csv
import io
import json

from ser.corpora.columns import COLUMNS, clean, columns_of
from ser.errors import SerError

SUFFIXES = ('.csv', '.tsv', '.jsonl', '.ndjson')
JSON_SUFFIXES = ('.jsonl', '.ndjson')
DELIMITERS = {'comma': ',', 'semicolon': ';', 'tab': '\t', 'bar': '|', 'space': ' ', '\\t': '\t'}
"""Names under which an option may give a delimiter; any other single character stands for itself."""
_GUESSED = ',;\t|'
OPTIONS = {
    'delimiter': 'CHARACTER between the values of a CSV table, or comma, semicolon, tab, bar, space; by default the '
                 'one of , ; tab | that suits the header',
    'encoding': 'text ENCODING of the table, such as latin-1; by default UTF-8, or UTF-16 where the file says so',
}


def find_table(source, suffixes=SUFFIXES):
    """The table of a corpus: `source` itself, or the one in the folder (metadata.* first). Raises SerError."""
    if source.is_file():
        if source.suffix.lower() not in suffixes:
            raise SerError(f"'{source}' is not a table: allowed are {', '.join(suffixes)}")
        return source
    if not source.is_dir():
        raise SerError(f"no such folder or table: '{source}'")
    tables = sorted(path for path in source.iterdir()
                    if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith('.'))
    tables = [path for path in tables if path.stem.lower() == 'metadata'] or tables
    if not tables:
        raise SerError(f"no table in '{source}': expected metadata.csv or one file ending in {', '.join(suffixes)} "
                       'with the columns path and emotion')
    if len(tables) > 1:
        raise SerError(f"several tables in '{source}': {', '.join(path.name for path in tables)}. "
                       'Give the one to use as the SOURCE')
    return tables[0]


def read_table(table, known=COLUMNS, delimiter=None, encoding=None):
    """(column names, rows) of a table, a row being (line number, column -> value). Rows can be gone through once.

    table: Path; JSON lines by their suffix, else CSV. known: field -> usual column names, by which a delimiter is
    guessed. delimiter, encoding: as OPTIONS describes. JSON objects may lack any key.
    Raises SerError for bytes that are not text, an empty table, a malformed line and a column named twice.
    """
    lines = _lines(table, encoding)
    if table.suffix.lower() in JSON_SUFFIXES:
        return _json_rows(table, lines)
    return _csv_table(table, lines, known, _delimiter(delimiter))


def delimiter_hint(table, names, delimiter):
    """What to add to the refusal of a header that came out as a single column: the wrong delimiter, most likely."""
    if len(names) != 1 or table.suffix.lower() in JSON_SUFFIXES:
        return ''
    tried = f"'{delimiter}'" if delimiter else 'each of comma, semicolon, tab and |'
    return f' The header is a single column with the delimiter {tried}: give another, --option delimiter=CHARACTER'


def _delimiter(text):
    if text is None:
        return None
    mark = DELIMITERS.get(text.lower(), text)
    if len(mark) != 1 or mark in '"\r\n':
        raise SerError(f"option delimiter: '{text}' is not one character. Allowed: any one, or {', '.join(DELIMITERS)}")
    return mark


def _text(table, encoding):
    data = table.read_bytes()
    if encoding is None:
        encoding = 'utf-16' if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else 'utf-8-sig'
    try:
        text = data.decode(encoding)
    except LookupError:
        raise SerError(f"option encoding: '{encoding}' is unknown. Try utf-8, utf-16, latin-1 or cp1252") from None
    except UnicodeDecodeError as error:
        kind = 'UTF-8' if encoding == 'utf-8-sig' else encoding
        raise SerError(f'{table.name}: not {kind} text (byte {error.start} is 0x{data[error.start]:02x}). Save the '
                       'table as UTF-8, or say what it is: --option encoding=latin-1') from None
    if '\0' in text:
        raise SerError(f'{table.name}: holds zero bytes, so it is no text, or UTF-16 without a mark: --option '
                       'encoding=utf-16-le')
    return text


def _lines(table, encoding):
    """Its lines with their ends, ended by \\n, \\r\\n or \\r only: str.splitlines() also cuts inside values."""
    return list(io.StringIO(_text(table, encoding), newline=''))


def _csv_table(table, lines, known, delimiter):
    if not lines:
        raise SerError(f'{table.name}: the table is empty')

    def header(mark):
        try:
            return next(csv.reader(lines[:1], delimiter=mark, skipinitialspace=True), [])
        except csv.Error as error:
            raise _no_csv(table, error) from None

    if delimiter is None:
        # A header is short and known, so the delimiter under which it makes most sense is the right one.
        delimiter = max(_GUESSED, key=lambda mark: (len(columns_of(header(mark), known=known)), len(header(mark))))
    names = header(delimiter)
    if len(set(names)) < len(names):
        raise SerError(f"{table.name}: a column is named twice in {', '.join(names)}")
    return names, _csv_rows(table, lines, delimiter, names)


def _csv_rows(table, lines, delimiter, names):
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        next(reader)
        for row in reader:
            if not any(value.strip() for value in row):
                continue
            if len(row) != len(names):
                remedy = ('Quote values that hold the delimiter' if len(row) > len(names) else
                          'A value is missing, or a quotation mark above it is not closed')
                raise SerError(f'{table.name} line {reader.line_num}: {len(row)} values for {len(names)} columns '
                               f"({', '.join(names)}). {remedy}")
            yield reader.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise _no_csv(table, error) from None


def _no_csv(table, error):
    return SerError(f'{table.name}: not a readable CSV table ({error})')


def _finite(text):
    """None for NaN and infinity, which stand for unknown wherever they stand and which no index could hold."""
    return clean(float(text))


def _json_rows(table, lines):
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=_finite, parse_constant=_finite)
        except (ValueError, RecursionError) as error:
            raise SerError(f'{table.name} line {number}: not JSON ({error})') from None
        if not isinstance(row, dict):
            raise SerError(f'{table.name} line {number}: a JSON object is wanted, not {type(row).__name__}')
        rows.append((number, row))
    return list(dict.fromkeys(name for _, row in rows for name in row)), rows
