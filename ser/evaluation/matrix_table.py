"""A matrix of corpora as text: matrix.csv (a row per cell), matrix.md (UA with intervals, and what to know of them)."""

from ser.evaluation.calibration_words import confidence_lines
from ser.evaluation.card import protocol_lines, score_lines
from ser.evaluation.summary import PER_CLASS_ALIGN, PER_CLASS_HEADER, per_class_rows
from ser.evaluation.tables import CLIPS_ONLY, counted, markdown_table, marked_ua, percent, percent_with_interval

COLUMNS = ('train', 'test', 'in_domain', 'n', 'n_speakers', 'ua', 'ua_low', 'ua_high', 'wa', 'macro_f1', 'chance',
           'classes', 'protocol', 'speaker_disjoint', 'temperature', 'ece_before', 'ece_before_low', 'ece_before_high',
           'ece_after', 'ece_after_low', 'ece_after_high', 'coverage', 'risk', 'seconds', 'status')
HOW = {
    'cross': 'Each row is one training on whole speakers of its corpora; what it was tested on stands above the '
             'columns.',
    'leave-one-corpus-out': 'Each row is one training on all corpora but one; what it was tested on stands above the '
                            'columns.',
}


def table_row(cell, names):
    """A row of matrix.csv for a Cell of a matrix with the classes `names`; empty cells where nothing is known."""
    metrics = cell.metrics or {}
    low, high = metrics.get('ua_interval', (None, None))
    return {'train': cell.train, 'test': cell.test, 'in_domain': cell.in_domain, 'n': metrics.get('n'),
            'n_speakers': metrics.get('n_speakers'), 'ua': metrics.get('ua'), 'ua_low': low, 'ua_high': high,
            'wa': metrics.get('wa'), 'macro_f1': metrics.get('macro_f1'), 'chance': metrics.get('chance'),
            'classes': len(names), 'protocol': metrics.get('protocol'),
            'speaker_disjoint': metrics.get('speaker_disjoint'), **_confidence(metrics), 'seconds': cell.seconds,
            'status': cell.status}


def _confidence(metrics):
    """The columns on calibration: the row's temperature and threshold on the cell's clips."""
    facts = metrics.get('calibration', {})
    test = facts.get('test', {})
    found = {'temperature': facts.get('temperature')}
    for when in ('before', 'after'):
        part = test.get(when, {})
        low, high = part.get('ece_interval', (None, None))
        found |= {f'ece_{when}': part.get('ece'), f'ece_{when}_low': low, f'ece_{when}_high': high}
    return found | {'coverage': test.get('coverage'), 'risk': test.get('risk')}


def csv_rows(cells, names):
    """The rows of matrix.csv, the header first; shares in [0, 1], None as an empty cell."""
    rows = [table_row(cell, names) for cell in cells]
    return [COLUMNS, *([_csv(row[column]) for column in COLUMNS] for row in rows)]


def _csv(value):
    if isinstance(value, bool):
        return str(value).lower()
    return '' if value is None else value


def matrix_card(plan, cells, failures):
    """The text of matrix.md.

    plan: has protocol, names (classes), rows (each with a name) and sets (names of the columns). cells: Cells in any
    order. failures: row name -> why its training failed.
    """
    by_place = {(cell.train, cell.test): cell for cell in cells}
    table = [[row.name, *(_shown(by_place[row.name, column]) for column in plan.sets)] for row in plan.rows]
    done = [cell for cell in cells if cell.metrics]
    lines = ['# Corpus matrix', '',
             f"{HOW[plan.protocol]} Unweighted accuracy (UA) in percent with its interval; {len(plan.names)} classes: "
             f"{', '.join(plan.names)}. Chance is {percent(1 / len(plan.names))}.", '',
             *markdown_table(('trained on \\ tested on', *plan.sets), table, 'l' * (1 + len(plan.sets))), '',
             '![UA of every cell](matrix.png)', '', '## What to know', '']
    lines += [f'- {line}' for line in caveats(plan, done)]
    unfinished = [cell for cell in cells if not cell.metrics and cell.status != 'failed']
    if unfinished:
        lines.append(f"- {counted(len(unfinished), 'cell')} not made yet: the same command carries on.")
    lines += _shift_lines(plan, by_place)
    troubles = _failed_lines(cells, failures)
    if troubles:
        lines += ['', '## Failed', '', *(f'- {line}' for line in troubles)]
    notes = _noted(done)
    if notes:
        lines += ['', '## Notes by cell', '', *(f'- {line}' for line in notes)]
    lines += ['', 'WA, macro-F1, clips and speakers of each cell are in `matrix.csv`; predictions and confusion '
              'matrices in `cells/`, the trainings in `rows/`.']
    return '\n'.join(lines) + '\n'


def _shift_lines(plan, by_place):
    """The section on calibration under shift; none where no row has a calibration."""
    if not any('calibration' in (cell.metrics or {}) for cell in by_place.values()):
        return []
    table = [[row.name, *(_errors(by_place[row.name, column]) for column in plan.sets)] for row in plan.rows]
    return ['', '## Calibration under shift', '',
            'Expected calibration error in percent, uncalibrated → calibrated by the temperature that the row fitted '
            'to its own validation part. Intervals, and what the threshold for `unknown` names and risks, are in '
            '`matrix.csv`.', '',
            *markdown_table(('trained on \\ tested on', *plan.sets), table, 'l' * (1 + len(plan.sets)))]


def _errors(cell):
    if 'calibration' not in (cell.metrics or {}):
        return cell.status if not cell.metrics else 'n/a'
    before, after = (100 * cell.metrics['calibration']['test'][when]['ece'] for when in ('before', 'after'))
    text = f'{before:.1f} → {after:.1f}'
    return f'**{text}**' if cell.in_domain else text


def _shown(cell):
    if not cell.metrics:
        return cell.status
    score = marked_ua(cell.metrics).replace(' %', '').replace(CLIPS_ONLY, '\\*')
    heard = '' if cell.metrics['speaker_disjoint'] else ' (!)'
    return f'**{score}**{heard}' if cell.in_domain else f'{score}{heard}'


def caveats(plan, done):
    """What holds for the whole matrix, one line each. done: the Cells with scores."""
    yield ('Bold: in the domain of the training, its own held-out speakers. Elsewhere every clip of the corpus is '
           'tested, so cells of one column need not have the same clips.')
    yield ('Each row is one training with one seed. The intervals cover the tested clips and speakers, not another '
           'training.')
    if not all(cell.metrics['covers_new_speakers'] for cell in done):
        yield '\\*: too few speakers were tested to resample them, so the interval does not cover new speakers.'
    if any(cell.metrics['speaker_disjoint'] is not True for cell in done):
        yield '(!): tested clips or speakers were heard in training, or nobody can tell; see the notes.'
    if any(abs(cell.metrics['chance'] - 1 / len(plan.names)) > 1e-9 for cell in done):
        yield 'Some tested clips lack a class: chance is higher there, see the column `chance` of `matrix.csv`.'
    if any(cell.metrics['synthetic'] for cell in done):
        yield 'Synthetic speech is among the corpora: such scores say nothing about real voices.'
    for method in dict.fromkeys(cell.metrics['interval_method'] for cell in done):
        yield f'Intervals: {method}.'


def _failed_lines(cells, failures):
    trainings = [f'training of {name}: {reason}' for name, reason in failures.items()]
    return trainings + [f'{_place(cell)}: {cell.reason}' for cell in cells
                       if cell.status == 'failed' and cell.train not in failures]


def _noted(done):
    """Each note once, with the cells that it belongs to; leaks first."""
    places = {}
    for cell in done:
        for note in cell.metrics['notes']:
            places.setdefault(note, []).append(_place(cell))
    ordered = sorted(places, key=lambda note: not note.lower().startswith('leak'))
    return [f'{note} ({_some(places[note])})' for note in ordered]


def _place(cell):
    return f'{cell.train} → {cell.test}'


def _some(places, most=6):
    return ', '.join(places) if len(places) <= most else f'{", ".join(places[:most])} and {len(places) - most} more'


def cell_card(metrics, train, test):
    """The README.md of a cell whose clips are the row's own test part."""
    lines = [f'# {train} on {test}', '', '## Score', '', *score_lines(metrics), '',
             *markdown_table(PER_CLASS_HEADER, per_class_rows(metrics), PER_CLASS_ALIGN), '',
             '![Confusion matrix](confusion_matrix.png)', '', *confidence_lines(metrics), '## Protocol', '',
             *protocol_lines(metrics)]
    return '\n'.join(lines) + '\n'


def summary_line(cell):
    """One line for a terminal: a cell's UA with interval, clips, chance."""
    if not cell.metrics:
        return f'{_place(cell)}: {cell.status}{f", {cell.reason}" if cell.reason else ""}'
    metrics = cell.metrics
    domain = 'own test speakers' if cell.in_domain else 'all clips'
    return (f"{_place(cell)}: UA {percent_with_interval(metrics['ua'], metrics['ua_interval'])}, "
            f"{domain}: {metrics['n']}; chance {percent(metrics['chance'])}")
