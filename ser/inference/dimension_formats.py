"""Predicted dimensions as text: a table, JSON lines, CSV."""

import json

from ser.evaluation.tables import text_table
from ser.inference.emotion_segments import SILENCE
from ser.inference.formats import columns_of, csv_line, shown

_COLUMNS = ('file', 'silent', 'error')


def as_jsonl(results, names):
    """A line per result as it comes: file, silent, short (whether it has less than any syllable), dimensions (a number
    for each, none of silence); or file, error."""
    for result in results:
        said = {'error': result.error} if result.error else {
            'silent': result.silent, 'short': result.short, 'dimensions': _numbers(result, names)}
        yield json.dumps({'file': result.file, **said})


def as_csv(results, names):
    """A header, then a line per result as it comes: file, silent ('true' or 'false'), error, one column per dimension.

    What does not apply is empty.
    """
    yield csv_line([*_COLUMNS, *columns_of(names, _COLUMNS)])
    for result in results:
        numbers = [''] * len(names) if result.values is None else [repr(value) for value in result.values.tolist()]
        silent = '' if result.error else str(result.silent).lower()
        yield csv_line([result.file, silent, result.error or '', *numbers])


def as_table(results, names):
    """Aligned columns for a terminal; a bad or silent file's line says so. Needs all results before the first line."""
    results = list(results)
    rows = [(shown(result.file), *(f'{value:.2f}' for value in result.values))
            for result in results if result.values is not None]
    if rows:
        yield from text_table(('file', *names), rows, 'l' + 'r' * len(names))
    yield from (' '.join(f'{shown(result.file)}: {result.error or SILENCE}'.split())
                for result in results if result.values is None)


FORMATS = {'table': as_table, 'jsonl': as_jsonl, 'csv': as_csv}


def _numbers(result, names):
    return {} if result.silent else dict(zip(names, result.values.tolist(), strict=True))
