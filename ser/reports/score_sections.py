"""The top of a page: what was trained, how it scored, what to know first, what compares; and each class."""

import numpy as np

from ser.evaluation.card import protocol_lines, system_words
from ser.evaluation.summary import score_line
from ser.evaluation.tables import CLIPS_ONLY, percent
from ser.reports.charts import bar, heat, interval
from ser.reports.comparable import comparable_words, doubts
from ser.reports.html import Section, Value, element, listed, paragraph, pointer, table, together, unseen

SCORES = 'test_metrics.json'
_KINDS = {'run': 'Report of a run', 'folds': 'Report of pooled folds', 'seeds': 'Report of several seeds',
          'ensemble': 'Report of an ensemble', 'other shards': 'Report of a run on other shards'}


def share(value, *way, file=SCORES):
    """A share in [0, 1] as a Value in percent; way: where in the file it is."""
    return Value(percent(value), value, pointer(file, *way) if way else file)


def page_head(contents):
    """What stands above all sections: kind of page, name, and what was trained."""
    return together(paragraph(_KINDS[contents.kind], class_='label'), element('h1', contents.name),
                    paragraph(trained_words(contents)))


def trained_words(contents):
    """What was trained, or averaged, in a sentence."""
    names = ', '.join(contents.names)
    what = f'{len(contents.names)} dimensions: {names}' if contents.of_dimensions else \
        f'{len(contents.names)} classes: {names}'
    if contents.config is not None:
        system = system_words(contents.config).replace('`', '')
        verb = 'predicts' if contents.of_dimensions else 'tells apart'
        return f'A speech emotion model ({system}) that {verb} {what}.'
    if contents.of_mean:
        return f'{contents.of_mean[0].upper()}{contents.of_mean[1:]}, over {what}.'
    if contents.kind == 'folds':
        return (f"{len(contents.metrics['folds'])} models, one a fold, each answering the clips that it was not "
                f'trained on. {what[0].upper()}{what[1:]}.')
    return f'{what[0].upper()}{what[1:]}.'


def score_section(contents):
    """Warnings, then the score with protocol and interval."""
    metrics = contents.metrics
    warnings = listed(doubts(contents))
    tiles = _dimension_tiles(metrics) if contents.of_dimensions else _class_tiles(metrics)
    line, protocol = score_line(metrics), [words for words in protocol_lines(metrics) if words]
    return Section('Score', (
        None if warnings is None else element('aside', element('h3', 'Know this first'), warnings, class_='warning'),
        element('div', *tiles, class_='tiles'),
        paragraph(line[0].upper(), line[1:], '.', class_='lead'),
        *(paragraph(words) for words in protocol),
        paragraph(f"Intervals: {metrics['interval_method']}. {_verdict(metrics)}", class_='note')))


def _verdict(metrics):
    if metrics['excludes_chance']:
        return f"The interval of {'the mean CCC' if 'mean_ccc' in metrics else 'UA'} excludes chance."
    return 'Chance lies inside the interval.'


def _class_tiles(metrics):
    mark = '' if metrics['covers_new_speakers'] else CLIPS_ONLY
    yield _tile(f'UA{mark}', 'mean recall of the classes', share(metrics['ua'], 'ua'), metrics['ua_interval'],
                'ua_interval', metrics['chance'])
    yield _tile(f'WA{mark}', 'share of clips that are right', share(metrics['wa'], 'wa'), metrics['wa_interval'],
                'wa_interval')
    yield _tile('macro-F1', 'mean F1 of the classes', share(metrics['macro_f1'], 'macro_f1'))
    yield _tile('weighted F1', 'mean F1, by clips', share(metrics['weighted_f1'], 'weighted_f1'))
    yield _tile('log loss', 'nats, of the uncalibrated probabilities',
                Value(f"{metrics['log_loss']:.3f}", metrics['log_loss'], pointer(SCORES, 'log_loss')))
    yield _tile('chance', 'UA of any guess', share(metrics['chance'], 'chance'))


def _dimension_tiles(metrics):
    yield _tile('mean CCC', 'concordance, mean of the dimensions',
                Value(f"{metrics['mean_ccc']:z.2f}", metrics['mean_ccc'], pointer(SCORES, 'mean_ccc')),
                metrics['mean_ccc_interval'], 'mean_ccc_interval', written='{:z.2f}')
    for name, found in metrics['per_dimension'].items():
        yield _tile(name, 'CCC', Value(f"{found['ccc']:z.2f}", found['ccc'],
                                       pointer(SCORES, 'per_dimension', name, 'ccc')),
                    found['ccc_interval'], ('per_dimension', name, 'ccc_interval'), written='{:z.2f}')


def _tile(name, words, value, ends=None, way=None, reference=None, written=None):
    """One score. ends: its interval, way: where that is; written: how its ends are, None as percent."""
    below = None
    if ends is not None:
        way = way if isinstance(way, tuple) else (way,)
        low, high = (Value(written.format(end) if written else f'{100 * end:.1f}', end, pointer(SCORES, *way, place))
                     for place, end in enumerate(ends))
        drawn = interval(*(max(0.0, number) for number in (value.value, *ends)), reference)
        below = together(element('span', '[', low, ', ', high, ']', class_='ends'), drawn)
    return element('div', element('div', name, class_='label'), element('div', value, class_='figure'), below,
                   element('div', words, class_='note'), class_='tile')


def comparable_section(contents, corpora):
    """What this score may be held against."""
    with_, against = comparable_words(contents, corpora)
    return Section('What compares with this score', (
        element('div', element('div', element('h3', 'Compares'), listed(with_, 'yes')),
                element('div', element('h3', 'Does not compare'), listed(against, 'no')), class_='columns'),))


def confusion_section(contents):
    """Counts and row shares, from confusion_matrix.csv where it is there."""
    counts, names = np.asarray(contents.metrics['confusion_matrix']), contents.names
    file = 'confusion_matrix.csv' if (contents.path / 'confusion_matrix.csv').is_file() else SCORES
    rows = []
    for row, name in enumerate(names):
        total = int(counts[row].sum())
        rows.append([name, *(_cell(int(counts[row, column]), total, row == column,
                                   _way(file, names, row, column)) for column in range(len(names))), total])
    head = element('tr', element('th', 'label', scope='col'), [element('th', name, scope='col') for name in names],
                   element('th', 'clips', scope='col', class_='n'))
    body = [element('tr', element('th', first, scope='row'), cells, element('td', str(total), class_='n'))
            for first, *cells, total in rows]
    caption = 'Confusion matrix: rows are labels, columns what was predicted; % of the label, and clips'
    whole = element('table', element('caption', caption), element('thead', head), element('tbody', body),
                    class_='matrix')
    seeds = paragraph('The answers of all seeds are added up.', class_='note') if contents.kind == 'seeds' else None
    return Section('Confusion matrix', (
        element('div', whole, class_='scroll', role='region', aria_label=caption, tabindex='0'), seeds,
        _most_confused(counts, names)))


def _way(file, names, row, column):
    return pointer(file, names[row], names[column]) if file.endswith('.csv') else \
        pointer(file, 'confusion_matrix', row, column)


def _cell(count, total, hit, of):
    if not total:
        return element('td', element('data', str(count), value=str(count), data_of=of), class_='empty')
    return element('td', element('b' if hit else 'span', f'{100 * count / total:.0f} %'),
                   element('small', element('data', str(count), value=str(count), data_of=of)),
                   class_=heat(count / total))


def _most_confused(counts, names):
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    worst = [divmod(int(place), len(names)) for place in np.argsort(-shares, axis=None, kind='stable')[:3]]
    said = [f'{names[row]} taken for {names[column]} ({counts[row, column]} of {counts[row].sum()} clips)'
            for row, column in worst if shares[row, column] > 0]
    return paragraph(f"Most frequent mistakes, by share of the label: {'; '.join(said)}.") if said else \
        paragraph('No clip was mistaken.')


def class_section(contents):
    """Precision, recall, F1 of each class."""
    rows = []
    for name, found in contents.metrics['per_class'].items():
        values = [share(found[key], 'per_class', name, key) for key in ('precision', 'recall', 'f1')]
        drawn = None if found['recall'] is None else bar(found['recall'])
        rows.append((name, *values[:2], drawn, values[2],
                     Value(str(found['support']), found['support'], pointer(SCORES, 'per_class', name, 'support'))))
    mean = '; means over the seeds' if contents.kind == 'seeds' else ''
    return Section('Classes', (table(
        f'Precision (of what was called so, how much is) and recall (of what is so, how much was found){mean}',
        ('class', 'precision', 'recall', unseen('recall, drawn'), 'F1', 'clips'), rows, 'lrrlrr'),))

