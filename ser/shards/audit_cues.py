"""The rules of an audit about cues: plain measures of a recording that tell a class or a part from the rest."""

from dataclasses import dataclass

import numpy as np

from ser.shards.audit_subject import NOTE, WARNING, Finding
from ser.shards.index import PARTS
from ser.shards.split import speaker_identity

TELLING_AUC = 0.75
"""Area under the ROC curve of one measure from which it is reported (and from 1 minus this downwards)."""

MIN_CLIPS = 20
"""Fewest clips on either side."""

MIN_SPEAKERS = 3
"""Fewest speakers of a part: one voice is always louder, or slower, than others."""

MOST, FEW = 0.8, 0.2
"""A format belongs to a group that has it in at least MOST of its clips while at most FEW of the others do."""

STANDARD_RATES_HZ = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
# A filter lets a little through above half of the rate that it was made for.
_WALL_SLACK = 0.92


@dataclass(frozen=True)
class Measure:
    """A number of a recording. more, less: words for a larger and a smaller one. lure: what a model may learn of it.

    severity: a note where emotion itself moves it.
    """

    what: str
    more: str
    less: str
    lure: str
    severity: str


_SPEECH = 'which emotion changes too, but so does '
MEASURES = {
    'level_db': Measure('loudness', 'louder', 'quieter', f'the level, {_SPEECH}the gain of a recording', NOTE),
    'duration_seconds': Measure('duration', 'longer', 'shorter', f'the length of a clip, {_SPEECH}the way it was cut',
                                NOTE),
    'inner_silence': Measure('silence inside', 'more', 'less', f'pauses, {_SPEECH}the noise of a room', NOTE),
    'leading_silence': Measure('silence before speech', 'more', 'less', 'how clips were cut', WARNING),
    'trailing_silence': Measure('silence after speech', 'more', 'less', 'how clips were cut', WARNING),
    'bandwidth_hz': Measure('bandwidth', 'wider', 'narrower', 'the codec or an earlier sampling rate', WARNING),
}


def measure_cues(subject):
    """Measures that alone tell a class from the rest within speakers, or a part from the rest within corpora."""
    clips = subject.clips()
    classes = _numbers([row.emotion for row in clips], subject.names)
    # Where nobody knows the speaker, the corpus stands for it.
    speakers = _numbers([speaker_identity(row) or ('corpus', row.corpus) for row in clips])
    corpora = _numbers([row.corpus for row in clips])
    parts = [part for part in ('valid', 'test') if _many_voices(subject.clips(part))]
    for name, values in _measures(subject, clips).items():
        measure = MEASURES[name]
        for number, auc, counts in _telling(values, classes, speakers, len(subject.names)):
            text = (f'{measure.what} alone tells {subject.names[number]} ({_way(measure, auc)}) from the rest with AUC '
                    f'{max(auc, 1 - auc):.2f} within speakers: a model may learn {measure.lure}')
            yield Finding('class-cue', measure.severity, text,
                          {'class': subject.names[number], 'measure': name, 'auc': auc, **counts})
        for number, auc, counts in _telling(values, subject.part, corpora, len(PARTS)):
            if PARTS[number] in parts:
                text = (f'clips of {PARTS[number]} differ from the others in {measure.what} ({_way(measure, auc)}) '
                        f'with AUC {max(auc, 1 - auc):.2f}: its scores are of other recordings than those of training')
                yield Finding('part-cue', measure.severity, text,
                              {'part': PARTS[number], 'measure': name, 'auc': auc, **counts})


def format_cues(subject):
    """File formats, rates and upper limits of the spectrum that one class, or one part, has for itself."""
    clips = subject.clips()
    groups = [('class', name, np.array([row.emotion == name for row in clips])) for name in subject.names]
    groups += [('part', part, subject.part == number) for number, part in enumerate(PARTS) if part != 'train']
    for fact, values in _formats(subject, clips).items():
        known = np.array([value is not None for value in values])
        for kind, name, inside in groups:
            here, there = (known & side for side in (inside, ~inside))
            if min(here.sum(), there.sum()) < MIN_CLIPS:
                continue
            value, share = _commonest([values[i] for i in np.flatnonzero(here)])
            elsewhere = np.mean([values[i] == value for i in np.flatnonzero(there)])
            if share >= MOST and elsewhere <= FEW:
                text = (f'{100 * share:.0f} % of the clips of {name} and {100 * elsewhere:.0f} % of the others are '
                        f'{fact.format(value)}: a model may learn the recording')
                yield Finding('format-cue', WARNING, text, {kind: name, 'value': value, 'share': float(share),
                                                            'elsewhere': float(elsewhere)})


def _measures(subject, clips):
    """Name -> float64 (N,), NaN where unknown."""
    if subject.sounds is not None:
        return {name: subject.sounds.prints.fact(name)[subject.rows] for name in MEASURES}
    seconds = [row.frames / row.sample_rate if row.frames and row.sample_rate else np.nan for row in clips]
    return {'duration_seconds': np.array(seconds)}


def _formats(subject, clips):
    """Words with a gap -> the value of each clip, None where unknown."""
    formats = {'{} files': [row.suffix for row in clips]}
    if subject.sounds is None:
        return formats | {'stored at {} Hz': [row.sample_rate for row in clips]}
    facts = subject.sounds.prints
    rates = facts.fact('rate_hz')[subject.rows]
    walls = facts.fact('bandwidth_hz')[subject.rows]
    return formats | {'stored at {} Hz': [None if np.isnan(rate) else int(rate) for rate in rates],
                      'without anything above what {} Hz can hold': [original_rate(wall) for wall in walls]}


def original_rate(bandwidth_hz):
    """The lowest usual sampling rate, Hz, that holds a bandwidth; None for NaN and for what none holds.

    44.1 and 48 kHz count as one: speech hardly reaches where they differ.
    """
    if np.isnan(bandwidth_hz):
        return None
    rate = next((rate for rate in STANDARD_RATES_HZ if bandwidth_hz * _WALL_SLACK * 2 <= rate), None)
    return 44100 if rate == 48000 else rate


def _commonest(values):
    """(value, its share), the smallest of several as common."""
    found, counts = np.unique(values, return_counts=True)
    return found[counts.argmax()].item(), counts.max() / len(values)


def _telling(values, labels, groups, count):
    """(label, AUC, {'clips', 'others'}) of each label that `values` tell from the rest within groups."""
    aucs, clips, others = within_aucs(values, labels, groups, count)
    for number in range(count):
        if min(clips[number], others[number]) >= MIN_CLIPS and abs(aucs[number] - 0.5) > TELLING_AUC - 0.5:
            yield number, float(aucs[number]), {'clips': int(clips[number]), 'others': int(others[number])}


def within_aucs(values, labels, groups, count):
    """ROC-AUC of `values` for each label against the rest, over the pairs of clips that are of one group.

    values: float (N,), NaN for unknown. labels: int (N,), 0 to count - 1. groups: int (N,).
    Returns (AUC float64 (count,), NaN where there is no pair, clips of the label (count,), clips of the rest (count,)
    in groups that have both).
    """
    known = ~np.isnan(values)
    values, labels, groups = values[known], labels[known], groups[known]
    wins, pairs, clips, others = np.zeros((4, count))
    order = np.argsort(groups, kind='stable')
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if not len(members):
            continue
        _, place, ties = np.unique(values[members], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(ties) - (ties - 1) / 2)[place.reshape(-1)]
        held = np.bincount(labels[members], minlength=count)
        rest = len(members) - held
        wins += np.bincount(labels[members], weights=ranks, minlength=count) - held * (held + 1) / 2
        pairs += held * rest
        clips += np.where(rest > 0, held, 0)
        others += np.where(held > 0, rest, 0)
    return np.divide(wins, pairs, out=np.full(count, np.nan), where=pairs > 0), clips, others


def _numbers(values, order=None):
    """int64 (N,): a number for each distinct value, its place in `order` where given."""
    number = {value: i for i, value in enumerate(order or dict.fromkeys(values))}
    return np.array([number[value] for value in values], dtype=np.int64)


def _many_voices(clips):
    """Whether clips are of enough speakers, or of nobody knows how many."""
    speakers = {speaker_identity(row) for row in clips}
    return None in speakers or len(speakers) >= MIN_SPEAKERS


def _way(measure, auc):
    return measure.more if auc > 0.5 else measure.less
