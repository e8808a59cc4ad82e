"""Files of a run directory, read with errors that name the file, the line and the remedy."""

import csv
import io
import json
from pathlib import Path

from ser.errors import SerError

_FIELD_CHARACTERS = 2**24


def run_remedy(path):
    """What to do where a file of a run directory is missing or broken; of another folder RUN stands for the run."""
    folder = Path(path).parent
    run = folder if (folder / 'config.yaml').is_file() else 'RUN'
    return f'A finished run has it; finish this one: python -m ser.train --resume {run}'


def _text(path, remedy):
    try:
        return Path(path).read_bytes().decode('utf-8-sig')
    except FileNotFoundError:
        raise SerError(f'{path}: no such file. {remedy}') from None
    except UnicodeDecodeError as error:
        raise SerError(f'{path}: not UTF-8 text (byte {error.start}). {remedy}') from None
    except OSError as error:
        raise SerError(f'{path}: cannot be read ({error.strerror}). {remedy}') from None


def read_json(path, kind, remedy=None):
    """The JSON value of a file, which must be of type `kind` (dict or list).

    remedy: what to do about a file that cannot be used; here and below `run_remedy` where none is given. Raises
    SerError for a missing file, broken JSON and another type.
    """
    remedy = remedy or run_remedy(path)
    try:
        value = json.loads(_text(path, remedy))
    except ValueError as error:
        raise SerError(f'{path}: not JSON ({error}). {remedy}') from None
    if not isinstance(value, kind):
        wanted = 'an object' if kind is dict else 'a list'
        raise SerError(f'{path}: holds {type(value).__name__}, {wanted} is wanted. {remedy}')
    return value


def read_rows(path, remedy=None):
    """(line number, cells) of every non-empty CSV record, the header first.

    Raises SerError for a missing or empty file, for broken quoting, and for a record whose number of cells
    differs from the header's.
    """
    remedy = remedy or run_remedy(path)
    # newline='': line breaks inside quoted cells stay as they are.
    reader = csv.reader(io.StringIO(_text(path, remedy), newline=''), strict=True)
    limit = csv.field_size_limit(_FIELD_CHARACTERS)
    rows = []
    try:
        for cells in reader:
            if not cells:
                continue
            if rows and len(cells) != len(rows[0][1]):
                raise SerError(f'{path}:{reader.line_num}: {len(cells)} cells, the header has {len(rows[0][1])}. '
                               f'{remedy}')
            rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise SerError(f'{path}:{reader.line_num}: not CSV ({error}). {remedy}') from None
    finally:
        csv.field_size_limit(limit)
    if not rows:
        raise SerError(f'{path}: empty. {remedy}')
    return rows


def read_table(path, columns, remedy=None):
    """(line number, {column: cell}) of every record below the header, which must have `columns` (others may join).

    Raises SerError as read_rows, and for a missing or repeated column.
    """
    remedy = remedy or run_remedy(path)
    (line, header), *rows = read_rows(path, remedy)
    for column in columns:
        if header.count(column) != 1:
            fault = 'no column' if column not in header else 'more than one column'
            raise SerError(f"{path}:{line}: {fault} '{column}'; wanted: {', '.join(columns)}. {remedy}")
    return [(line, dict(zip(header, cells, strict=True))) for line, cells in rows]
