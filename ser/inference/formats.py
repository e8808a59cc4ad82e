"""Class probabilities as text: a table, JSON lines, CSV."""

import csv
import io
import json

from ser.evaluation.tables import text_table
from ser.inference.emotion_segments import SILENCE

FIXED_COLUMNS = ('file', 'emotion', 'likeliest', 'confidence', 'silent', 'error')


def as_jsonl(results, names, top=None):
    """A line per result as it comes; or file, error.

    Keys: file, emotion (a class, 'unknown' or 'silence'), likeliest (a class), confidence (its probability), silent
    (whether nobody speaks in it: likeliest and confidence are null then, and there are no probabilities), short
    (whether it has less than any syllable), probabilities (class -> probability; with `top` the likeliest alone,
    likeliest first), auxiliary where there are further heads.
    """
    for result in results:
        if result.error:
            yield json.dumps({'file': result.file, 'error': result.error})
            continue
        if result.silent:
            yield json.dumps({'file': result.file, 'emotion': SILENCE, 'likeliest': None, 'confidence': None,
                              'silent': True, 'short': result.short, 'probabilities': {}})
            continue
        ranked = _ranked(result, names)
        shares = dict(ranked[:top] if top else zip(names, result.values.tolist(), strict=True))
        (likeliest, confidence), *_ = ranked
        said = {'file': result.file, 'emotion': _answer(result, likeliest), 'likeliest': likeliest,
                'confidence': confidence, 'silent': False, 'short': result.short, 'probabilities': shares}
        yield json.dumps(said | ({'auxiliary': result.auxiliary} if result.auxiliary else {}))


def as_csv(results, names, top=None):
    """A header, then a line per result as it comes: file, emotion, likeliest, confidence, silent ('true' or 'false'),
    error, a column per class (`columns_of`). What does not apply is empty.

    With `top` the likeliest alone, in pairs of columns: top1, p1, top2, p2, ...
    """
    top = top and min(top, len(names))
    columns = [cell for rank in range(1, top + 1) for cell in (f'top{rank}', f'p{rank}')] if top else \
        columns_of(names, FIXED_COLUMNS)
    yield csv_line([*FIXED_COLUMNS, *columns])
    for result in results:
        if result.error:
            yield csv_line([result.file, '', '', '', '', result.error, *([''] * len(columns))])
            continue
        if result.silent:
            yield csv_line([result.file, SILENCE, '', '', 'true', '', *([''] * len(columns))])
            continue
        ranked = _ranked(result, names)
        cells = [cell for name, share in ranked[:top] for cell in (name, repr(share))] if top else map(
            repr, result.values.tolist())
        (likeliest, confidence), *_ = ranked
        yield csv_line([result.file, _answer(result, likeliest), likeliest, repr(confidence), 'false', '', *cells])


def as_table(results, names, top=None):
    """Aligned columns for a terminal, percent; a bad file's line says so, and nothing stands beside 'silence'.

    Needs all results before the first line. With `top` the likeliest classes alone, likeliest first.
    """
    top = top and min(top, len(names))
    columns = [str(rank) for rank in range(1, top + 1)] if top else names
    rows, faults = [], []
    for result in results:
        if result.error:
            faults.append(' '.join(f'{shown(result.file)}: {result.error}'.split()))
            continue
        if result.silent:
            rows.append((shown(result.file), SILENCE, *([''] * (1 + len(columns)))))
            continue
        ranked = _ranked(result, names)
        (likeliest, confidence), *_ = ranked
        answer = _answer(result, likeliest)
        answer += f' ({likeliest}?)' if answer != likeliest else ''
        cells = [f'{name} {100 * share:.1f}' for name, share in ranked[:top]] if top else [
            f'{100 * share:.1f}' for share in result.values]
        rows.append((shown(result.file), answer, f'{100 * confidence:.1f} %', *cells))
    if rows:
        yield from text_table(('file', 'emotion', 'confidence', *columns), rows,
                              'llr' + ('l' if top else 'r') * len(columns))
    yield from faults


FORMATS = {'table': as_table, 'jsonl': as_jsonl, 'csv': as_csv}


def _ranked(result, names):
    """[(class, probability)], the likeliest first, of equals the first of `names`."""
    return sorted(zip(names, result.values.tolist(), strict=True), key=lambda pair: -pair[1])


def _answer(result, likeliest):
    return result.emotion or likeliest


def columns_of(names, fixed):
    """Headings of a column for each class (or dimension): its name, or p(NAME) of all where one is called as a `fixed`
    column is."""
    return list(names) if set(fixed).isdisjoint(names) else [f'p({name})' for name in names]


def csv_line(cells):
    """Cells as one line of CSV, without its line ending."""
    text = io.StringIO()
    # The writer quotes line breaks only where its own line ending holds them: both, with the default one.
    csv.writer(text).writerow([shown(cell) for cell in cells])
    return text.getvalue().removesuffix('\r\n')


def shown(cell):
    """Text that any stream takes: a file name that is not UTF-8 shows its odd bytes escaped."""
    return str(cell).encode('utf-8', 'backslashreplace').decode()
