"""A calibration in words: one line for a log, a section of a model card, rows of its table of files."""

from ser.evaluation.calibration import why_not_fitted
from ser.evaluation.calibration_metrics import BINS
from ser.evaluation.tables import counted, markdown_table, percent, percent_with_interval

_ROWS = (('expected calibration error (ECE)', 'ece'), ('log loss (nats)', 'log_loss'), ('Brier score', 'brier'))


def calibration_line(facts):
    """One line of the content of calibration.json: what was chosen, and what it does to the test part."""
    test = facts['test']
    if facts['threshold'] is None:
        named = f"never 'unknown': {facts['no_threshold']}"
    else:
        named = (f"'unknown' below {facts['threshold']:.3f}, which names {percent(test['coverage'])} of test, "
                 f"{percent(test['risk'])} of those wrongly (of all: {percent(test['risk_of_all'])})")
    return (f"calibration: temperature {facts['temperature']:.3f}, ECE of test {percent(test['before']['ece'])} -> "
            f"{percent(test['after']['ece'])}; {named}")


def calibration_files(metrics):
    """The rows about calibration in a card's table of files; none without one."""
    if 'validation' not in metrics.get('calibration', {}):
        return []
    return [('predictions-validation.csv', 'every validation clip with its probabilities (uncalibrated)'),
            ('calibration.json', 'temperature and threshold, fitted to that file, and what they change'),
            ('reliability.csv, reliability.png', 'confidence and share of right answers by bin'),
            ('risk_coverage.csv, risk_coverage.png', 'wrong answers among those named, for every threshold')]


def usage_words(metrics):
    """What ser predict prints for each clip, for the section on use."""
    facts = metrics.get('calibration', {})
    if 'temperature' not in facts or why_not_fitted(facts):
        return 'prints a probability for each class. It always answers with one of them, and its probabilities are ' \
               'uncalibrated.'
    answers = 'It always answers with one of them.' if facts['threshold'] is None else \
        f"Where none reaches {facts['threshold']:.3f} it answers `unknown`."
    return f'prints a calibrated probability for each class. {answers}'


def confidence_lines(metrics):
    """The section `Confidence` of a card from a test_metrics.json dict, ending in an empty line; none without one."""
    facts = metrics.get('calibration')
    if not facts:
        return []
    test = facts['test']
    rows = [(name, _shown(score, test['before']), _shown(score, test['after']), _shown(score, test['change'], '+'))
            for name, score in _ROWS]
    lines = ['## Confidence', '', f'{_origin(facts)} `predictions.csv` holds the uncalibrated ones.', '',
             *markdown_table(('test part', 'uncalibrated', 'calibrated', 'change'), rows, 'lrrr'), '',
             f"ECE is over {BINS} bins of equal width. It cannot reach 0 on {counted(test['clips'], 'clip')}: "
             'confidences that keep their promise exactly would show '
             f"{percent(test['after']['ece_if_calibrated'])} by chance alone. Each resample adds such "
             'chance of its own, so the interval of ECE leans upwards and may lie above '
             f"the measured value. Intervals: {test['interval_method']}.", '', _named(facts), '']
    if 'validation' in facts:
        lines += ['![Reliability before and after](reliability.png)', '', '![Risk and coverage](risk_coverage.png)', '']
    return lines


def _shown(score, values, sign=''):
    value, (low, high) = values[score], values[f'{score}_interval']
    if score == 'ece':
        unit = ' points' if sign else ' %'
        return f'{100 * value:{sign}z.1f}{unit} [{100 * low:z.1f}, {100 * high:z.1f}]'
    return f'{value:{sign}z.3f} [{low:z.3f}, {high:z.3f}]'


def _origin(facts):
    """Where the calibrated probabilities come from."""
    if 'folds' in facts:
        temperatures = [fold['temperature'] for fold in facts['folds']]
        return ('Each fold has a temperature and a threshold of its own, fitted to its own validation part '
                f'(temperatures {min(temperatures):.3f} to {max(temperatures):.3f}).')
    words = f"The calibrated probabilities are the softmax of logits / {facts['temperature']:.3f} (temperature scaling)"
    if 'validation' not in facts:
        return f"{words}, as fitted to the model's own validation part; nothing is fitted to these clips."
    clips, speakers = facts['validation']['clips'], facts['validation']['speakers']
    whom = '' if speakers is None else f" of {counted(speakers, 'speaker')}"
    if why_not_fitted(facts):
        return f"The probabilities are the model's own, uncalibrated ({why_not_fitted(facts)})."
    note = f" ({facts['temperature_note']})" if facts['temperature_note'] else ''
    return (f"{words}, the temperature{note} fitted to the {counted(clips, 'validation clip')}{whom} and to nothing "
            'else. It changes no decision.')


def _named(facts):
    """What the threshold does to the test part."""
    test = facts['test']
    named = 'none is named' if test['risk'] is None else \
        (f"{percent_with_interval(test['coverage'], test['coverage_interval'])} of the clips are named, "
         f"{percent_with_interval(test['risk'], test['risk_interval'])} of those wrongly")
    here = f"On the test part {named}; naming all, {percent(test['risk_of_all'])} are wrong."
    if 'folds' in facts:
        return f'Below its threshold a fold answers `unknown`. {here}'
    if facts['threshold'] is None:
        why = f": {facts['no_threshold']}" if 'no_threshold' in facts else ''
        return f"There is no threshold for `unknown`{why}. Of all test clips {percent(test['risk_of_all'])} are wrong."
    words = (f"Below a calibrated confidence of {facts['threshold']:.3f} the answer is `unknown`. The threshold was "
             f"chosen on validation for at most {100 * facts['risk']:g} % of wrong answers among those named")
    if 'validation' in facts:
        there = facts['validation']
        words += f" ({percent(there['risk'])} there, naming {percent(there['coverage'])})"
    return f'{words}. {here}'
