"""The robustness sheet: a run's own test part scored again under noise, codecs, filters, cuts and echoes."""

import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ser.errors import SerError
from ser.evaluation.intervals import bootstrap_intervals
from ser.evaluation.metrics import scores
from ser.evaluation.reading import read_json
from ser.evaluation.tables import counted
from ser.features.waveform import FULL_SCALE
from ser.files import write_json, write_rows
from ser.randomness import permutation
from ser.reports.corruptions import MOST_TALKERS, TALKER_SECONDS, Babble, Heard, corruptions
from ser.reports.tested import Scorer, open_tested

log = logging.getLogger(__name__)

SHEET, TABLE = 'robustness.json', 'robustness.csv'
COLUMNS = ('condition', 'group', 'ua', 'ua_low', 'ua_high', 'wa', 'n', 'note')
LOG_SECONDS = 20.0
SAME_SCORE = 1e-9
_REMEDY = 'Delete it and make the sheet again'


@dataclass(frozen=True)
class Row:
    """One condition: UA with its interval (low, high) and WA, shares in [0, 1], of n clips."""

    condition: str
    group: str
    """What it belongs to: 'clean', 'white noise', 'babble', 'codec', 'band limit', 'level', 'short clips' or
    'reverberation'."""
    ua: float
    ua_interval: tuple
    wa: float
    n: int
    note: str = ''
    """What must be known of it, '' for nothing."""


@dataclass(frozen=True)
class Sheet:
    """rows: 'clean' first, the same clips in each. facts: what they were made of, ready for JSON."""

    rows: tuple
    facts: dict = field(default_factory=dict)


def robustness_sheet(run, shards=None, device='auto', limit=None):
    """The Sheet of a run directory, which it also writes there as robustness.json and robustness.csv.

    shards: patterns as data.shards, in place of those of the run's config. limit: only so many test clips, drawn by
    key; None takes all. Raises SerError as `open_tested`, for a device that is not there, a limit under 1, and
    where the clips as they are do not get the answers of predictions.csv.
    """
    if limit is not None and limit < 1:
        raise SerError(f'limit {limit}: at least one clip is needed')
    started, part, scorer = time.monotonic(), open_tested(run, shards), Scorer(run, device)
    places = _places(len(part.rows), limit)
    babble = _babble(part)
    wanted = [one for one in corruptions() if babble is not None or not one.needs_babble]
    log.info('robustness: %s under %s on %s', counted(len(places), 'test clip'), counted(len(wanted), 'condition'),
             scorer.device)
    found, lengths = _answers(part, scorer, wanted, places, babble)
    clean, changed = found[0], part.check_same(places, found[0])
    rate = part.config.data.sample_rate
    rows = tuple(_row(part, places, probabilities, one, _note(one, lengths, rate) if number else
                      _clean_note(part, places, changed))
                 for number, (one, probabilities) in enumerate(zip(wanted, found, strict=True)))
    if len(places) == len(part.rows) and not changed:
        _check_score(part.run, rows[0].ua)
    facts = {'run': part.run.resolve().name, 'clips': len(places), 'test_clips': len(part.rows),
             'changed_decisions': changed,
             'largest_difference': float(np.abs(clean - part.predictions.probabilities[places]).max()),
             'same_data': part.same_data, 'shards': part.shard_names(), 'sample_rate': rate,
             'left_out': [one.name for one in corruptions() if one.needs_babble and babble is None],
             'interval_method': _intervals(part, places, clean.argmax(axis=1)).method,
             'device': str(scorer.device), 'seconds': round(time.monotonic() - started, 1)}
    sheet = Sheet(rows, facts)
    _write(part.run, sheet)
    return sheet


def read_sheet(run):
    """The Sheet of a run directory, or None where none was made. Raises SerError for a file that says something else.
    """
    path = Path(run) / SHEET
    if not path.is_file():
        return None
    content = read_json(path, dict, _REMEDY)
    try:
        rows = tuple(Row(**{**row, 'ua': float(row['ua']), 'wa': float(row['wa']), 'n': int(row['n']),
                            'ua_interval': tuple(float(edge) for edge in row['ua_interval'])})
                     for row in content['rows'])
        if not rows:
            raise ValueError('no rows')
        return Sheet(rows, dict(content['facts']))
    except (KeyError, TypeError, ValueError) as error:
        raise SerError(f'{path}: no robustness sheet ({type(error).__name__}: {error}). {_REMEDY}') from None


def _places(everyone, limit):
    """Which of the test clips are scored, int64 in rising order."""
    chosen = permutation(everyone, 'robustness', 'limit')[:limit]
    return np.sort(chosen)


def _babble(part):
    """The Babble of clips of the whole test part, whatever the limit; None where there are fewer than two."""
    everyone = len(part.rows)
    if everyone < 2:
        return None
    chosen = np.sort(permutation(everyone, 'robustness', 'talkers')[:MOST_TALKERS])
    most = round(TALKER_SECONDS * part.config.data.sample_rate)
    said = part.predictions
    return Babble([(said.keys[place], said.speakers[place], samples[:most].copy())
                   for place, samples in zip(chosen, part.clips(chosen), strict=True)])


def _answers(part, scorer, wanted, places, babble):
    """(float64 (K, n, C) probabilities of n clips under K conditions, int64 (n,) their samples), read once."""
    size, rate, said = part.config.evaluation.batch_size, part.config.data.sample_rate, part.predictions
    found, lengths, told = [[] for _ in wanted], [], time.monotonic()
    for start in range(0, len(places), size):
        chosen = places[start:start + size]
        clips = [Heard(said.keys[place], said.speakers[place], samples.astype(np.float32) / np.float32(FULL_SCALE),
                       rate, babble) for place, samples in zip(chosen, part.clips(chosen), strict=True)]
        lengths += [len(clip.samples) for clip in clips]
        for answers, one in zip(found, wanted, strict=True):
            answers.append(scorer.probabilities([one.apply(clip) for clip in clips]))
        if time.monotonic() - told > LOG_SECONDS:
            log.info('robustness: %d of %d clips', len(lengths), len(places))
            told = time.monotonic()
    return np.array([np.concatenate(answers) for answers in found]), np.array(lengths)


def _intervals(part, places, predicted):
    settings, said = part.config.evaluation, part.predictions
    return bootstrap_intervals(said.label_ids[places], predicted, [said.speakers[place] for place in places],
                               resamples=settings.bootstrap, confidence=settings.confidence, seed=settings.seed)


def _row(part, places, probabilities, one, note):
    predicted = probabilities.argmax(axis=1)
    found = scores(part.predictions.label_ids[places], predicted, probabilities, part.predictions.names)
    intervals = _intervals(part, places, predicted)
    return Row(one.name, one.group, found['ua'], intervals.ua, found['wa'], len(places), note)


def _note(one, lengths, rate):
    """What must be known of a condition."""
    if rate < one.least_rate:
        return f'changes nothing: the audio ends at {rate / 2:g} Hz'
    if one.seconds is not None:
        whole = int((lengths <= round(one.seconds * rate)).sum())
        return f'{counted(whole, "clip")} no longer than that' if whole else ''
    return ''


def _clean_note(part, places, changed):
    notes = []
    if len(places) < len(part.rows):
        notes.append(f'{len(places)} of the {counted(len(part.rows), "test clip")}')
    if changed:
        notes.append(f'{counted(changed, "clip")} decided otherwise than in the test of the run (another device or '
                     'precision)')
    if not part.same_data:
        notes.append('the shards are others than those of the training, the clips and labels the same')
    return '; '.join(notes)


def _check_score(run, ua):
    path = run / 'test_metrics.json'
    said = read_json(path, dict).get('ua')
    if not isinstance(said, float) or abs(said - ua) > SAME_SCORE:
        raise SerError(f'{path}: says UA {said}, the predictions of the run give {ua}. Score it anew: ser evaluate '
                       f'{run}')


def _write(run, sheet):
    """The JSON last: whoever finds it finds the table."""
    rows = [(row.condition, row.group, row.ua, *row.ua_interval, row.wa, row.n, row.note) for row in sheet.rows]
    write_rows(run / TABLE, [COLUMNS, *rows])
    write_json(run / SHEET, {'facts': sheet.facts, 'rows': [asdict(row) for row in sheet.rows]})
