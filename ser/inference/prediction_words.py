"""What is said about predictions beside the predictions: what was done to them, and which files failed why."""

import re
from collections import Counter

from ser.inference.formats import shown
from ser.shards.audio_encode import SHORTEST_SECONDS

_SHOWN = 3


def calibration_words(calibration, raw=False, threshold=None):
    """One line: how probabilities were calibrated and below which one the answer is 'unknown'.

    calibration: the Calibration that was applied. raw: whether it was left out on purpose. threshold: the one
    that was asked for instead of the run's, or None.
    """
    if raw:
        said = 'uncalibrated probabilities, as --raw asks'
    elif not calibration.fitted:
        said = f'uncalibrated probabilities: {calibration.why_not or "this run has no calibration"}'
    else:
        said = f'probabilities calibrated on validation (temperature {calibration.temperature:.3g})'
    if not calibration.threshold:
        return f'{said}; a class is always named'
    whose = "the run's threshold" if threshold is None else '--threshold'
    if threshold is None and calibration.risk is not None:
        whose += f', chosen for at most {100 * calibration.risk:g} % wrong answers'
    return f"{said}; 'unknown' below {100 * calibration.threshold:.3g} % ({whose})"


def count_words(errors, total):
    """'3 of 9 files could not be used: 2 empty file, 1 no such file': error messages by how often their reason came."""
    reasons = Counter(re.split(r' \(|[:,.;] ', error, maxsplit=1)[0] for error in errors)
    return f'{len(errors)} of {total} files could not be used: ' + ', '.join(
        f'{count} {reason}' for reason, count in reasons.most_common())


def short_words(files):
    """One line about files with less sound than any syllable has."""
    more = f' and {len(files) - _SHOWN} more' if len(files) > _SHOWN else ''
    return (f'shorter than {SHORTEST_SECONDS} s, where nothing can be heard to be felt, and answered all the same: '
            f'{", ".join(" ".join(shown(file).split()) for file in files[:_SHOWN])}{more}')
