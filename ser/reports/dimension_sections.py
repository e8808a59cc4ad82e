"""Sections of their own of runs that predict dimensions: a table of concordance, and predictions against the truth."""

import numpy as np

from ser.evaluation.dimension_words import two_digits
from ser.reports.charts import MOST_POINTS, Axis, around, scatter, side_by_side
from ser.reports.html import Section, Value, paragraph, pointer, table, unseen
from ser.reports.score_sections import SCORES

MOST_DOTS = 5 * MOST_POINTS
_COLUMNS = {'ccc': 'CCC', 'pearson': 'Pearson r', 'rmse': 'RMSE', 'mae': 'MAE', 'truth_mean': 'truth mean',
            'truth_sd': 'truth sd'}


def dimension_section(contents):
    """CCC with interval, correlation and errors of each dimension."""
    rows = []
    for name, found in contents.metrics['per_dimension'].items():
        cells = [_number(found[key], name, key) for key in _COLUMNS]
        low, high = found['ccc_interval']
        rows.append((name, cells[0], f'[{two_digits(low)}, {two_digits(high)}]', *cells[1:]))
    header = ('dimension', 'CCC', unseen('CCC, drawn'), *list(_COLUMNS.values())[1:])
    return Section('Dimensions', (
        table('Each dimension', header, rows, 'lrlrrrrr'),
        paragraph('CCC, the concordance, is 1 where predictions equal the truth and 0 for any guess that ignores the '
                  'audio. RMSE and MAE are in the units of the labels.')))


def _number(value, name, key):
    if value is None:
        return Value('n/a')
    text = two_digits(value) if key in ('ccc', 'pearson') else f'{value:z.3f}'
    return Value(text, value, pointer(SCORES, 'per_dimension', name, key))


def scatter_section(contents):
    """Predictions against the truth, a chart per dimension."""
    title, said = 'Predictions against the truth', contents.predictions
    if said is None:
        return Section(title, missing='predictions.csv is missing.')
    shown = np.unique(np.linspace(0, len(said) - 1, min(len(said), MOST_DOTS)).round().astype(int))
    figures = []
    for number, name in enumerate(said.names):
        truth, predicted = said.truth[:, number], said.predicted[:, number]
        limits = around(truth, predicted)
        figures.append(scatter(name, f'{len(shown)} clips; on the diagonal a prediction equals the truth.',
                               (truth[shown], predicted[shown]), (Axis('truth', *limits), Axis('predicted', *limits))))
    fewer = f' {len(shown)} of {len(said)} clips are drawn.' if len(shown) < len(said) else ''
    return Section(title, (paragraph(f'A dot is a test clip, the line where prediction and truth are equal.{fewer}'),
                           side_by_side(*figures, class_='charts small')))
