"""Class probabilities as text: a table, JSON lines, CSV."""

import csv
import io
import json

from ser.evaluation.tables import text_table

FIXED_COLUMNS = ('file', 'emotion', 'confidence', 'error')


def as_jsonl(results, names):
    """A line per result as it comes: file, emotion, confidence, probabilities; or file, error."""
    for result in results:
        if result.error:
            yield json.dumps({'file': result.file, 'error': result.error})
            continue
        shares = dict(zip(names, result.values.tolist(), strict=True))
        emotion, confidence = _likeliest(result, names)
        yield json.dumps({'file': result.file, 'emotion': emotion, 'confidence': confidence, 'probabilities': shares})


def as_csv(results, names):
    """A header, then a line per result as it comes: file, emotion, confidence, error, one column per class."""
    yield csv_line([*FIXED_COLUMNS, *names])
    for result in results:
        if result.error:
            yield csv_line([result.file, '', '', result.error, *([''] * len(names))])
        else:
            yield csv_line([result.file, *_likeliest(result, names), '', *map(repr, result.values.tolist())])


def as_table(results, names):
    """Aligned columns for a terminal, percent; a bad file's line says so. Needs all results before the first line."""
    rows, faults = [], []
    for result in results:
        if result.error:
            faults.append(' '.join(f'{shown(result.file)}: {result.error}'.split()))
        else:
            emotion, confidence = _likeliest(result, names)
            rows.append((shown(result.file), emotion, f'{100 * confidence:.1f} %',
                         *(f'{100 * share:.1f}' for share in result.values)))
    if rows:
        yield from text_table(('file', 'emotion', 'confidence', *names), rows, 'll' + 'r' * (1 + len(names)))
    yield from faults


FORMATS = {'table': as_table, 'jsonl': as_jsonl, 'csv': as_csv}


def _likeliest(result, names):
    best = int(result.values.argmax())
    return names[best], float(result.values[best])


def csv_line(cells):
    """Cells as one line of CSV, without its line ending."""
    text = io.StringIO()
    # The writer quotes line breaks only where its own line ending holds them: both, with the default one.
    csv.writer(text).writerow([shown(cell) for cell in cells])
    return text.getvalue().removesuffix('\r\n')


def shown(cell):
    """Text that any stream takes: a file name that is not UTF-8 shows its odd bytes escaped."""
    return str(cell).encode('utf-8', 'backslashreplace').decode()
