from ser.evaluation.calibration import Calibration
from ser.inference.prediction_words import calibration_words, count_words, short_words


def test_what_was_done_to_probabilities():
    run = Calibration(1.25, 0.5, 0.1, {'temperature': 1.25})
    assert calibration_words(Calibration()) == (
        'uncalibrated probabilities: this run has no calibration; a class is always named')
    few = Calibration(facts={'temperature': 1.0, 'temperature_note': '11 validation clips are too few'})
    assert not few.fitted and calibration_words(few) == (
        'uncalibrated probabilities: 11 validation clips are too few; a class is always named')
    assert calibration_words(Calibration(), raw=True) == (
        'uncalibrated probabilities, as --raw asks; a class is always named')
    assert calibration_words(run) == (
        "probabilities calibrated on validation (temperature 1.25); 'unknown' below 50 % (the run's threshold, chosen "
        'for at most 10 % wrong answers)')
    chosen = Calibration(1.25, 0.7, 0.1, {'temperature': 1.25})
    assert calibration_words(chosen, threshold=0.7).endswith("'unknown' below 70 % (--threshold)")
    assert calibration_words(Calibration(1.0, 0.7), raw=True, threshold=0.7) == (
        "uncalibrated probabilities, as --raw asks; 'unknown' below 70 % (--threshold)")
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
    assert short_words([f'{number}.wav' for number in range(5)]) == said + '0.wav, 1.wav, 2.wav and 2 more'
