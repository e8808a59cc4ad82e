"""What is said about predictions beside the predictions: what was done to them, and which files failed why."""

import re
from collections import Counter
from dataclasses import dataclass, field

from ser.inference.formats import shown
from ser.shards.audio_encode import SHORTEST_SECONDS

_SHOWN = 3


def calibration_words(calibration, raw=False, threshold=None):
    """One line: how probabilities were calibrated and below which one the answer is 'unknown'.

    calibration: the Calibration that was applied. raw: whether it was left out on purpose. threshold: the one
    that was asked for instead of the run's, or None.
    """
    if raw:
        said = 'probabilities are uncalibrated (as --raw asks)'
    elif not calibration.fitted:
        said = f'probabilities are uncalibrated ({calibration.why_not or "this run has no calibration"})'
    else:
        said = f'probabilities are calibrated on validation (temperature {calibration.temperature:.3g})'
    if not calibration.threshold:
        return f'{said}, and a class is always named'
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
    return (f'shorter than {SHORTEST_SECONDS} s, where nothing can be heard to be felt, and answered all the same: '
            f'{_first(list(map(_on_one_line, files)))}')


def long_words(results, timeline=True):
    """One line about Results of files that were heard in several windows. timeline: whether --timeline goes with
    them."""
    if len(results) == 1:
        (one,), them = results, 'it'
        said = (f'{_on_one_line(one.file)} ({one.seconds:.0f} s) was heard as {one.windows} windows of '
                f'{one.seconds / one.windows:.3g} s, whose mean this is')
    else:
        named = [f'{_on_one_line(one.file)} ({one.seconds:.0f} s, {one.windows} windows)' for one in results]
        said, them = f'each answer is the mean of several windows of {_first(named)}', 'them'
    return f'{said}; --timeline shows {them} over time' if timeline else said


@dataclass
class Remarks:
    """What is to be said of predictor.Results as a whole, gathered one by one as they pass."""

    errors: list = field(default_factory=list)
    """Messages of files that could not be used."""
    short: list = field(default_factory=list)
    """Names of files with less sound than any syllable."""
    long: list = field(default_factory=list)
    """Results of files that were heard in several windows."""

    def add(self, result):
        """Take one more Result."""
        if result.error:
            self.errors.append(result.error)
        elif result.short and not result.silent:
            self.short.append(result.file)
        elif result.windows > 1:
            self.long.append(result)

    def notes(self, timeline=True):
        """Lines about files that were answered; timeline: as of `long_words`."""
        return [*([short_words(self.short)] if self.short else []),
                *([long_words(self.long, timeline)] if self.long else [])]


def _first(names):
    """The first of some names, and how many more there are."""
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return f'{", ".join(names[:_SHOWN])}{more}'


def _on_one_line(file):
    return ' '.join(shown(file).split())
