from ser.evaluation.calibration import Calibration
from ser.inference.prediction_words import Remarks, calibration_words, count_words, long_words, short_words
from ser.inference.predictor import Result


def test_what_was_done_to_probabilities():
    run = Calibration(1.25, 0.5, 0.1, {'temperature': 1.25})
    assert calibration_words(Calibration()) == (
        'probabilities are uncalibrated (this run has no calibration), and a class is always named')
    few = Calibration(facts={'temperature': 1.0, 'temperature_note': '11 validation clips are too few'})
    assert not few.fitted and calibration_words(few) == (
        'probabilities are uncalibrated (11 validation clips are too few), and a class is always named')
    assert calibration_words(Calibration(), raw=True) == (
        'probabilities are uncalibrated (as --raw asks), and a class is always named')
    assert calibration_words(run) == (
        "probabilities are calibrated on validation (temperature 1.25); 'unknown' below 50 % (the run's threshold, "
        'chosen for at most 10 % wrong answers)')
    chosen = Calibration(1.25, 0.7, 0.1, {'temperature': 1.25})
    assert calibration_words(chosen, threshold=0.7).endswith("'unknown' below 70 % (--threshold)")
    assert calibration_words(Calibration(1.0, 0.7), raw=True, threshold=0.7) == (
        "probabilities are uncalibrated (as --raw asks); 'unknown' below 70 % (--threshold)")
    assert calibration_words(Calibration(2.0, 0.0, facts={'temperature': 2.0}), threshold=0.0).endswith(
        'a class is always named')


def test_bad_files_are_counted_by_reason():
    errors = ['no such file', 'cannot be decoded as wav: Format not recognised', 'no such file',
              'empty: it holds no samples', 'cannot be opened (Permission denied)', 'larger than 2 GiB. Cut it',
              'cannot be decoded as wav: something else', 'no such file']
    assert count_words(errors, 20) == ('8 of 20 files could not be used: 3 no such file, 2 cannot be decoded as wav, '
                                       '1 empty, 1 cannot be opened, 1 larger than 2 GiB')


def test_the_first_of_many_short_files_are_named():
    said = 'shorter than 0.1 s, where nothing can be heard to be felt, and answered all the same: '
    assert short_words(['a.wav', 'b\n.wav']) == said + 'a.wav, b .wav'
    assert Remarks(short=['a.wav']).notes() == [said + 'a.wav']
    assert short_words([f'{number}.wav' for number in range(5)]) == said + '0.wav, 1.wav, 2.wav and 2 more'


def long(file, seconds, windows):
    return Result(file, seconds=seconds, windows=windows)


def test_files_that_were_heard_in_several_windows_are_named():
    one = long('long.wav', 700.0, 24)
    said = 'long.wav (700 s) was heard as 24 windows of 29.2 s, whose mean this is'
    assert long_words([one], timeline=False) == said
    assert long_words([one]) == f'{said}; --timeline shows it over time'
    assert long_words([one, long('b\n.wav', 61.0, 3)]) == (
        'each answer is the mean of several windows of long.wav (700 s, 24 windows), b .wav (61 s, 3 windows); '
        '--timeline shows them over time')
    assert 'c.wav (90 s, 3 windows) and 2 more; ' in long_words(
        [one, one, long('c.wav', 90.0, 3), one, one])


def test_remarks_are_gathered_as_results_pass():
    remarks = Remarks()
    for result in (Result('a', error='no such file'), Result('b', short=True, seconds=0.01, windows=1),
                   Result('c', silent=True, short=True), long('d', 700.0, 24), long('e', 3.0, 1)):
        remarks.add(result)
    assert (remarks.errors, remarks.short, [one.file for one in remarks.long]) == (['no such file'], ['b'], ['d'])
    assert remarks.notes() == [short_words(['b']), long_words(remarks.long)]
    assert Remarks().notes() == []
