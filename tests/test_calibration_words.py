"""What is said of a calibration, in a log and on a card."""

from ser.evaluation.calibration_words import calibration_files, calibration_line, confidence_lines, usage_words

PART = {'clips': 300, 'speakers': 5, 'named': 150, 'coverage': 0.5, 'coverage_interval': [0.4, 0.6], 'risk': 0.2,
        'risk_interval': [0.1, 0.3], 'risk_of_all': 0.4, 'interval_method': 'two-stage bootstrap',
        'covers_new_speakers': True}
SCORES = {'ece': 0.123, 'ece_interval': [0.1, 0.2], 'log_loss': 1.5, 'log_loss_interval': [1.2, 1.8], 'brier': 0.6,
          'brier_interval': [0.5, 0.7], 'ece_if_calibrated': 0.044}
CHANGE = {'ece': -0.05, 'ece_interval': [-0.08, 0.01], 'log_loss': -0.00001, 'log_loss_interval': [-0.1, 0.1],
          'brier': 0.01, 'brier_interval': [0.0, 0.02]}
TEST = PART | {'before': SCORES, 'after': SCORES | {'ece': 0.073}, 'change': CHANGE}
ELSEWHERE = {'temperature': 1.234, 'threshold': 0.456, 'risk': 0.25, 'test': TEST}
RUN = ELSEWHERE | {'temperature_note': None, 'no_threshold': None,
                   'validation': PART | {'clips': 240, 'speakers': 4, 'risk': 0.249}}


def section(facts):
    return '\n'.join(confidence_lines({'calibration': facts}))


def test_the_section_of_a_run():
    text = section(RUN)
    assert text.startswith('## Confidence\n\nThe calibrated probabilities are the softmax of logits / 1.234 ')
    assert 'fitted to the 240 validation clips of 4 speakers and to nothing else' in text
    assert '| expected calibration error (ECE) | 12.3 % [10.0, 20.0] | 7.3 % [10.0, 20.0] | -5.0 points [-8.0, 1.0] |' \
        in text
    assert '| log loss (nats) | 1.500 [1.200, 1.800] | 1.500 [1.200, 1.800] | +0.000 [-0.100, 0.100] |' in text
    assert 'would show 4.4 % by chance alone' in text and 'Intervals: two-stage bootstrap.' in text
    assert 'for at most 25 % of wrong answers among those named (24.9 % there, naming 50.0 %)' in text
    assert '50.0 % [40.0, 60.0] of the clips are named, 20.0 % [10.0, 30.0] of those wrongly; naming all, 40.0' in text
    assert '(reliability.png)' in text and '(risk_coverage.png)' in text and text.endswith('\n')


def test_a_temperature_at_its_bound_and_unknown_speakers_are_said():
    text = section(RUN | {'temperature': 1.0, 'temperature_note': '3 clips are too few'})
    assert "The probabilities are the model's own, uncalibrated (3 clips are too few)." in text
    text = section(RUN | {'temperature_note': 'at a bound', 'validation': RUN['validation'] | {'speakers': None}})
    assert 'the temperature (at a bound) fitted to the 240 validation clips and to nothing else' in text


def test_no_threshold_and_nothing_named():
    text = section(RUN | {'threshold': None, 'no_threshold': 'too few'})
    assert 'There is no threshold for `unknown`: too few. Of all test clips 40.0 % are wrong.' in text
    none = section(RUN | {'test': TEST | {'risk': None, 'risk_interval': None}})
    assert 'On the test part none is named; naming all' in none


def test_the_section_of_other_shards_and_of_folds_has_no_pictures():
    text = section(ELSEWHERE)
    assert "as fitted to the model's own validation part; nothing is fitted to these clips." in text
    assert 'png' not in text and '(24.9 %' not in text
    assert 'There is no threshold for `unknown`. Of all' in section(ELSEWHERE | {'threshold': None})
    folds = section({'folds': [{'temperature': 2.0}, {'temperature': 1.5}], 'test': TEST})
    assert '(temperatures 1.500 to 2.000)' in folds and 'Below its threshold a fold answers `unknown`.' in folds
    assert confidence_lines({}) == []


def test_lines_files_and_use():
    assert calibration_line(RUN) == (
        "calibration: temperature 1.234, ECE of test 12.3 % -> 7.3 %; 'unknown' below 0.456, which names 50.0 % of "
        'test, 20.0 % of those wrongly (of all: 40.0 %)')
    assert calibration_line(RUN | {'threshold': None, 'no_threshold': 'why'}).endswith("; never 'unknown': why")
    assert [row[0] for row in calibration_files({'calibration': RUN})] == [
        'predictions-validation.csv', 'calibration.json', 'reliability.csv, reliability.png',
        'risk_coverage.csv, risk_coverage.png']
    assert calibration_files({}) == calibration_files({'calibration': ELSEWHERE}) == []
    assert 'Where none reaches 0.456 it answers `unknown`.' in usage_words({'calibration': RUN})
    assert usage_words({'calibration': RUN | {'threshold': None}}).endswith('It always answers with one of them.')
    assert usage_words({}).endswith('its probabilities are uncalibrated.')
