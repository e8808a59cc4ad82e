"""What the probabilities are worth: how they rank clips (ROC, precision-recall) and whether they keep their promise."""

import numpy as np

from ser.evaluation.calibration_metrics import BINS, Confidences, reliability_rows, risk_rows
from ser.evaluation.calibration_words import confidence_lines
from ser.evaluation.tables import percent
from ser.reports.charts import Axis, Series, bar, line_chart, side_by_side
from ser.reports.html import Section, Value, details, paragraph, paragraphs, pointer, table, unseen
from ser.reports.ranking import mean_ap, mean_auc, rankings
from ser.reports.reliability import reliability_chart, styles
from ser.reports.score_sections import SCORES

FILE = 'predictions.csv'
MOST_DRAWN = 16
"""Classes beyond which curves are left out and the table alone is shown."""

LEAST_COVERAGE = 0.05
"""Below it a risk is of so few clips that one of them moves it by much; curves begin here."""

SHOWN_COVERAGE = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
_MISSING = 'predictions.csv is missing.'
_BEFORE, _AFTER = 'as they are', 'calibrated'
_SCORES = {'ece': 'expected calibration error (ECE)', 'log_loss': 'log loss, nats', 'brier': 'Brier score'}


def ranking_section(contents):
    """ROC and precision-recall of each class against the rest."""
    title = 'ROC and precision-recall'
    if contents.predictions is None:
        return Section(title, missing=_MISSING)
    found, without = rankings(contents.predictions)
    if not found:
        return Section(title, missing='All test clips are of one class: there is nothing to rank.')
    rows = [(one.name, Value(f'{one.auc:.3f}', one.auc, FILE), bar(one.auc), Value(f'{one.ap:.3f}', one.ap, FILE),
             bar(one.ap, 3), Value(percent(one.share), one.share, FILE), Value(f'{one.clips:,}', one.clips, FILE))
            for one in found]
    auc, ap = mean_auc(found), mean_ap(found)
    foot = [('mean', Value(f'{auc:.3f}', auc, FILE), None, Value(f'{ap:.3f}', ap, FILE), None, None, None)]
    drawn = [side_by_side(*[_roc(one) for one in found], class_='charts small'),
             side_by_side(*[_pr(one) for one in found], class_='charts small')] if len(found) <= MOST_DRAWN else []
    lacking = paragraph(f"Without clips of their own, or without others: {', '.join(without)}.") if without else None
    return Section(title, (
        paragraph('Each class against the rest, clips ordered by its probability. AUC is the share of pairs (one clip '
                  'of the class, one of another) in the right order: 0.5 for any guess. AP, the average precision, is '
                  'the share of the class itself for any guess.', contents.mean_remark),
        table('Areas under the curves',
              ('class', 'AUC', unseen('AUC, drawn'), 'AP', unseen('AP, drawn'), 'share', 'clips'), rows, 'lrlrlrr',
              foot),
        *drawn, lacking))


def _roc(one):
    axes = (Axis('false positive rate', 0.0, 1.0, percent=True, places=(0, 0.5, 1)),
            Axis('true positive rate', 0.0, 1.0, percent=True, places=(0, 0.5, 1)))
    guess = Series('', np.array([0, 1]), np.array([0, 1]), 0)
    return line_chart(f'ROC: {one.name}', f'Area {one.auc:.3f}, {one.clips} clips of the class.',
                      [guess, Series(one.name, *one.roc, 1)], axes, square=True, legend=False)


def _pr(one):
    axes = (Axis('recall', 0.0, 1.0, percent=True, places=(0, 0.5, 1)),
            Axis('precision', 0.0, 1.0, percent=True, places=(0, 0.5, 1)))
    guess = Series('', np.array([0, 1]), np.array([one.share, one.share]), 0)
    return line_chart(f'Precision-recall: {one.name}', f'Average precision {one.ap:.3f}; any guess {one.share:.3f}.',
                      [guess, Series(one.name, *one.pr, 1, stepped=True)], axes, square=True, legend=False)


def calibration_section(contents):
    """Reliability, risk and coverage, before and after calibration where there is one."""
    title = 'Confidence'
    if contents.predictions is None:
        return Section(title, missing=_MISSING)
    sides = _sides(contents)
    facts = contents.metrics.get('calibration')
    words = paragraphs(confidence_lines(contents.metrics)) if facts else [paragraph(_without(contents))]
    return Section(title, (
        *words, paragraph(contents.mean_remark.strip()) if contents.mean_remark else None,
        _score_table(facts['test']) if facts else _plain_table(sides[_BEFORE]),
        side_by_side(_reliability(sides), _risk(sides)),
        details('Numbers of the reliability diagram', *[_bins(name, one) for name, one in sides.items()]),
        details('Numbers of risk and coverage', _coverages(sides))))


def _sides(contents):
    """Name -> Confidences of the probabilities as they are and, where one temperature made them, calibrated."""
    said = contents.predictions
    values = {_BEFORE: said.probabilities}
    if contents.calibration is not None:
        values[_AFTER] = contents.calibration.apply(said.probabilities)
    return {name: Confidences.of(said.label_ids, said.predicted_ids, found) for name, found in values.items()}


def _without(contents):
    reason = 'There is no calibration.json here' if contents.calibration is None else \
        'calibration.json is here, but test_metrics.json does not speak of it (ser evaluate writes it anew)'
    return (f'{reason}: below are the probabilities as the model gives them, which nobody has checked against '
            'validation. Read a confidence as an order, not as a chance of being right.')


def _score_table(test):
    rows = []
    for score, words in _SCORES.items():
        cells = []
        for side, sign in (('before', ''), ('after', ''), ('change', '+')):
            low, high = test[side][f'{score}_interval']
            of = pointer(SCORES, 'calibration', 'test', side, score)
            value, unit = test[side][score], 100 if score == 'ece' else 1
            form = f'{{:{sign}.1f}} {"points" if sign else "%"}' if score == 'ece' else f'{{:{sign}.3f}}'
            ends = '[{:.1f}, {:.1f}]' if score == 'ece' else '[{:.3f}, {:.3f}]'
            cells += [Value(form.format(unit * value), value, of), ends.format(unit * low, unit * high)]
        rows.append((words, *cells))
    header = [words for side in (_BEFORE, _AFTER, 'change') for words in (side, unseen(f'{side}, interval'))]
    return table('Test part, before and after calibration, with intervals', ('', *header), rows, 'lrlrlrl')


def _plain_table(one):
    gaps = np.abs(one.columns()[:, :-2].sum(axis=0)).sum() / len(one.confidence)
    values = (('expected calibration error (ECE)', float(gaps), percent(float(gaps))),
              ('mean confidence', float(one.confidence.mean()), percent(float(one.confidence.mean()))),
              ('share of clips that are right', float(one.correct.mean()), percent(float(one.correct.mean()))))
    return table('Test part, probabilities as they are', ('', 'value'),
                 [(words, Value(text, value, FILE)) for words, value, text in values])


def _reliability(sides):
    return reliability_chart('Reliability', f'Share of right answers by confidence, in {BINS} bins; on the diagonal a '
                                            'confidence keeps what it promises, below it promises too much.', sides)


def _risk(sides):
    drawn = {name: [row for row in risk_rows(one) if row[3] >= LEAST_COVERAGE] for name, one in sides.items()}
    highest = max(0.1, 1.05 * max(row[4] for rows in drawn.values() for row in rows))
    axes = (Axis('coverage: clips that are named', 0.0, 1.0, percent=True, places=(0, 0.25, 0.5, 0.75, 1)),
            Axis('risk: wrong among them', 0.0, highest, percent=True))
    series = []
    for style, (name, rows) in zip(styles(len(drawn)), drawn.items(), strict=True):
        series.append(Series(name, np.array([row[3] for row in rows]), np.array([row[4] for row in rows]), style))
    return line_chart('Risk and coverage', 'Share of wrong answers among the clips that are named, surest first: how '
                                           'much silence buys.', series, axes, square=True)


def _bins(name, one):
    rows = [(f'{100 * low:.0f} to {100 * high:.0f} %', Value(f'{clips:,}', clips, FILE),
             *(Value('', None) if mean is None else Value(percent(mean), mean, FILE) for mean in (confidence, right)))
            for low, high, clips, confidence, right in reliability_rows(one)]
    return table(f'Bins of confidence, probabilities {name}', ('confidence', 'clips', 'mean confidence', 'right'), rows)


def _coverages(sides):
    rows, header = [], ['coverage, at least']
    listed = {name: list(risk_rows(one)) for name, one in sides.items()}
    for coverage in SHOWN_COVERAGE:
        cells = []
        for risks in listed.values():
            cut, _, _, _, risk = next(row for row in risks if row[3] >= coverage - 1e-12)
            cells += [Value(f'{cut:.3f}', cut, FILE), Value(percent(risk), risk, FILE)]
        rows.append((percent(coverage), *cells))
    for name in listed:
        header += [f'confidence, {name}', f'wrong, {name}']
    return table('Wrong answers among the clips that are named', header, rows)
