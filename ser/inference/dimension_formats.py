"""Predicted dimensions as text: a table, JSON lines, CSV."""

import json

from ser.evaluation.tables import text_table
from ser.inference.formats import csv_line, shown


def as_jsonl(results, names):
    """A line per result as it comes: file and a number per dimension; or file, error."""
    for result in results:
        said = {'error': result.error} if result.error else {'dimensions': _numbers(result, names)}
        yield json.dumps({'file': result.file, **said})


def as_csv(results, names):
    """A header, then a line per result as it comes: file, error, one column per dimension."""
    yield csv_line(['file', 'error', *names])
    for result in results:
        numbers = [''] * len(names) if result.error else [repr(value) for value in result.values.tolist()]
        yield csv_line([result.file, result.error or '', *numbers])


def as_table(results, names):
    """Aligned columns for a terminal; a bad file's line says so. Needs all results before the first line."""
    results = list(results)
    rows = [(shown(result.file), *(f'{value:.2f}' for value in result.values))
            for result in results if not result.error]
    if rows:
        yield from text_table(('file', *names), rows, 'l' + 'r' * len(names))
    yield from (' '.join(f'{shown(result.file)}: {result.error}'.split()) for result in results if result.error)


FORMATS = {'table': as_table, 'jsonl': as_jsonl, 'csv': as_csv}


def _numbers(result, names):
    return dict(zip(names, result.values.tolist(), strict=True))
