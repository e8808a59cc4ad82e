"""Where two runs differ: class by class, confusion by confusion, clip by clip, and in how sure they are."""

import numpy as np

from ser.evaluation.calibration import read_calibration
from ser.evaluation.calibration_metrics import SCORES, Confidences, scores
from ser.evaluation.metrics import scores as class_scores
from ser.evaluation.plots import row_shares
from ser.evaluation.tables import percent
from ser.reports.charts import bar, side_by_side
from ser.reports.html import Section, Value, element, paragraph, table, unseen
from ser.reports.reliability import reliability_chart

FILE = 'predictions.csv'


def recalls(side):
    """Class -> recall, the mean over a Side's repeats; None for a class without clips."""
    each = [class_scores(part.label_ids, part.predicted_ids, part.probabilities, part.names)['per_class']
            for part in side.repeats]
    return {name: None if each[0][name]['recall'] is None else float(np.mean([one[name]['recall'] for one in each]))
            for name in side.names}


def confusion_shares(side):
    """Shares of each label by what was predicted, float64 (C, C), the mean over a Side's repeats; NaN without clips."""
    counts = [class_scores(part.label_ids, part.predicted_ids, part.probabilities, part.names)['confusion_matrix']
              for part in side.repeats]
    return row_shares(np.sum(counts, axis=0))


def class_section(pair, labels, title):
    """Recall of each class. pair: two Sides with classes in the same order; labels: what they are called."""
    first, other = map(recalls, pair)
    clips = [np.bincount(side.repeats[0].label_ids, minlength=len(side.names)) for side in pair]
    same = np.array_equal(*clips)
    rows = []
    for number, name in enumerate(pair[0].names):
        cells = [cell for style, found in enumerate((first[name], other[name]), start=1) for cell in
                 (Value(percent(found), found, FILE), None if found is None else bar(found, style))]
        change = None if None in (first[name], other[name]) else other[name] - first[name]
        count = str(clips[0][number]) if same else f'{clips[0][number]}, {clips[1][number]}'
        rows.append((name, *cells, Value('n/a' if change is None else f'{100 * change:+.1f}', change, FILE), count))
    words = 'No interval is given for single classes: of so many, some differ by chance.'
    return Section(title, (table('Recall of each class, and points of difference',
                                 ('class', labels[0], unseen(f'{labels[0]}, drawn'), labels[1],
                                  unseen(f'{labels[1]}, drawn'), 'points', 'clips'), rows, 'lrlrlrr'),
                           paragraph(words, class_='note')))


def confusion_section(pair, labels, title):
    """Points by which the other run's confusion matrix differs. pair, labels: as class_section."""
    first, other = map(confusion_shares, pair)
    names, change = pair[0].names, other - first
    head = element('tr', element('th', 'label', scope='col'), [element('th', name, scope='col') for name in names])
    body = [element('tr', element('th', name, scope='row'), [_cell(change[row, column], row == column)
                                                             for column in range(len(names))])
            for row, name in enumerate(names)]
    caption = f'Confusion matrix of {labels[1]} less that of {labels[0]}, in points of the label'
    whole = element('table', element('caption', caption), element('thead', head), element('tbody', body),
                    class_='matrix')
    return Section(title, (
        element('div', whole, class_='scroll', role='region', aria_label=caption, tabindex='0'),
        paragraph(f'Blue: {labels[1]} answers so more often; orange: less often. On the diagonal more is better, '
                  'elsewhere less.', class_='note')))


def _cell(change, hit):
    if np.isnan(change):
        return element('td', 'n/a', class_='empty')
    change = float(change)
    depth = min(10, round(abs(change) * 20))
    return element('td', element('data', f'{100 * change:+.0f}' if change else '0', value=repr(change), data_of=FILE,
                                 class_='hit' if hit else None),
                   class_=f"{'u' if change > 0 else 'v'}{depth}" if depth else None)


def answers_section(pair, labels, title):
    """How many clips both, one alone, or neither has right, of two Sides that test the same clips."""
    right = [np.mean([part.predicted_ids == part.label_ids for part in side.repeats], axis=0) for side in pair]
    if max(len(side.repeats) for side in pair) > 1:
        return Section(title, missing='Several seeds on a side: a clip is right in some of them.')
    first, other = (values == 1 for values in right)
    total = len(first)
    rows = [(words, Value(str(int(found.sum())), int(found.sum()), FILE),
             Value(percent(float(found.mean())), float(found.mean()), FILE), bar(float(found.mean())))
            for words, found in (('both right', first & other), (f'only {labels[0]} right', first & ~other),
                                 (f'only {labels[1]} right', other & ~first), ('both wrong', ~first & ~other))]
    return Section(title, (table(f'The {total} clips that both answer',
                                 ('', 'clips', 'share', unseen('share, drawn')), rows, 'lrrl'),))


def calibration_section(sides, labels):
    """Calibration error, log loss and Brier score of each, as it is and calibrated."""
    rows, figures = [], []
    for side, label in zip(sides, labels, strict=True):
        calibration = read_calibration(side.path) if side.kind == 'run' else None
        plain = [_measured(part, part.probabilities) for part in side.repeats]
        values = np.mean([one for one, _ in plain], axis=0)
        cells = [_shown(name, float(value)) for name, value in zip(SCORES, values, strict=True)]
        after = [''] * len(SCORES)
        measured = {'as it is': plain[0][1]}
        if calibration is not None:
            found, measured['calibrated'] = _measured(side.repeats[0],
                                                      calibration.apply(side.repeats[0].probabilities))
            after = [_shown(name, float(value)) for name, value in zip(SCORES, found, strict=True)]
        rows.append((label, *cells, *after))
        if len(side.repeats) == 1:
            figures.append(reliability_chart(f'Reliability: {label}', 'Share of right answers by confidence.',
                                             measured, places=(0, 0.5, 1)))
    names = ('ECE', 'log loss', 'Brier')
    header, lacking = ('run', *names, *(f'{name}, calibrated' for name in names)), 'Empty: without calibration.json.'
    if not any(any(row[1 + len(SCORES):]) for row in rows):
        rows, header, lacking = [row[:1 + len(SCORES)] for row in rows], header[:1 + len(SCORES)], \
            'None of them has a calibration.json.'
    return Section('Confidence', (
        paragraph(f'How far confidences are from what they promise, each run on its own test part. {lacking}'),
        table('Calibration error (ECE), log loss (nats) and Brier score', header, rows), side_by_side(*figures)))


def _measured(part, probabilities):
    """(SCORES as floats, Confidences) of some Predictions with these probabilities (N, C)."""
    found = Confidences.of(part.label_ids, part.predicted_ids, probabilities)
    return scores(found.columns().sum(axis=0), len(found.confidence)), found


def _shown(name, value):
    return Value(percent(value) if name == 'ece' else f'{value:.3f}', value, FILE)
