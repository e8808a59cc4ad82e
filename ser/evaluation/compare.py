"""Runs against each other: the same clips paired, other tests beside each other and never in one column."""

from dataclasses import replace
from hashlib import sha256

import numpy as np

from ser.config.evaluation import EvaluationConfig
from ser.config.load import load_resolved
from ser.errors import SerError
from ser.evaluation.paired import Answers, mcnemar, mean_intervals, paired_difference, rates, unpaired_difference
from ser.evaluation.sides import fold_runs, leak_notes, read_side, seed_runs, with_names
from ser.evaluation.tables import counted, mean_of

CAUTION = "McNemar's test takes clips as independent, which clips of one speaker are not: its p errs on the small side"


def compare(paths, cost_of=None):
    """The first of several runs against each of the others, as a dict ready for JSON.

    paths: run directories, folders of folds or of seeds, or what `ser evaluate` wrote elsewhere; at least two.
    cost_of: Path -> dict (training.cost.system_cost); with it `systems` holds what each is and costs beside its scores.
    `comparisons` holds one entry for each further path: `paired`, `why_unpaired`, `first` and `other` (run, protocol,
    speakers, leaks and scores on the clips that count there), `ua` and `wa` (other minus first, as shares, with
    `interval`), `other_better` (share of resamples), `mcnemar` (of single runs on the same clips, else null),
    `verdict`, `method`, `notes`.

    The same clips under the same protocol are paired; where one test part holds the other, on the clips of both.
    Anything else is unpaired. Resamples and confidence are those of the first run's config.
    Raises SerError for a path that is no finished run, other classes, no clip in common, and labels that disagree.
    """
    if len(paths) < 2:
        raise SerError('only one run is named; ser compare takes two or more, and compares the first with each other')
    sides = [read_side(path) for path in paths]
    seen = {}
    for side in sides:
        twice = seen.setdefault(side.path.resolve(), side)
        if twice is not side:
            raise SerError(f'{side.path}: named twice; there is nothing to compare')
    evaluation = evaluation_of(sides[0].path)
    others = [_check(sides[0], side) for side in sides[1:]]
    labels = short_names([str(side.path) for side in sides])
    comparisons = [_comparison(sides[0], other, (labels[0], label), evaluation)
                   for other, label in zip(others, labels[1:], strict=True)]
    notes = []
    if len(comparisons) > 1:
        notes.append(f'{len(comparisons)} comparisons at {100 * evaluation.confidence:g} % each: the more are made, '
                     'the likelier one of them shows a difference by chance')
    facts = {'first': labels[0], 'classes': list(sides[0].names), 'comparisons': comparisons, 'notes': notes}
    if cost_of is not None:
        facts['systems'] = [_row(side, label, Answers.of(side.repeats), _settings(evaluation)) | cost_of(side.path)
                            for side, label in zip([sides[0], *others], labels, strict=True)]
    return facts


def _settings(evaluation):
    return {'resamples': evaluation.bootstrap, 'confidence': evaluation.confidence, 'seed': evaluation.seed}


def evaluation_of(path):
    """The `evaluation` section of the run behind a path; the default where there is none."""
    while not (path / 'config.yaml').is_file():
        inside = seed_runs(path) or fold_runs(path)
        if not inside:
            return EvaluationConfig()
        path = inside[0]
    return load_resolved(path / 'config.yaml').evaluation


def _check(first, other):
    """`other` with its classes in the order of `first`. Raises SerError where the two cannot be compared."""
    if set(other.names) != set(first.names):
        raise SerError(f"{other.path}: classes {', '.join(other.names)}, but {first.path} has "
                       f"{', '.join(first.names)}; only runs of the same classes can be compared")
    common = first.keys & other.keys
    if not common:
        raise SerError(f'{other.path}: tests no clip that {first.path} tests, so there is nothing to compare')
    said = dict(zip(first.repeats[0].keys, first.repeats[0].labels, strict=True))
    for key, label in zip(other.repeats[0].keys, other.repeats[0].labels, strict=True):
        if said.get(key, label) != label:
            raise SerError(f'{other.path}: clip {key} is labelled {label}, {first.path} says {said[key]}; only runs of '
                           'the same labels can be compared')
    return replace(other, repeats=tuple(with_names(part, first.names) for part in other.repeats))


def short_names(paths):
    """As many of the last parts of each path as tell it from the others; the whole path where that ends in dots."""
    parts = [path.rstrip('/').split('/') for path in paths]
    ends = [['/'.join(one[-count:]) for one in parts] for count in range(1, 1 + max(map(len, parts)))]
    return [path if one[-1] in ('', '.', '..') else
            next((end for every in ends if every.count(end := every[place]) == 1), path)
            for place, (path, one) in enumerate(zip(paths, parts, strict=True))]


def _comparison(first, other, labels, evaluation):
    settings = _settings(evaluation)
    why = _why_unpaired(first, other)
    notes = _notes((first, other), labels)
    if why is None:
        common = sorted(first.keys & other.keys)
        notes += [f'{label}: {counted(len(side.keys) - len(common), "clip")} that the other does not test left out'
                  for side, label in zip((first, other), labels, strict=True) if len(side.keys) > len(common)]
        first, other = first.taken(common), other.taken(common)
    answers = [Answers.of(side.repeats) for side in (first, other)]
    test = paired_difference if why is None else unpaired_difference
    change = test(*answers, **settings)
    single = why is None and first.kind != 'seeds' and other.kind != 'seeds'
    only_first, only_other, p = mcnemar(*answers) if single else (None, None, None)
    return {
        'paired': why is None, 'why_unpaired': why,
        'first': _row(first, labels[0], answers[0], settings), 'other': _row(other, labels[1], answers[1], settings),
        'ua': {'difference': change.ua, 'interval': list(change.ua_interval)},
        'wa': {'difference': change.wa, 'interval': list(change.wa_interval)},
        'other_better': change.second_better,
        'mcnemar': {'only_first_right': only_first, 'only_other_right': only_other, 'p': p, 'caution': CAUTION}
        if single else None,
        'verdict': verdict(change, labels[1]), 'method': change.method, 'notes': notes,
    }


def _why_unpaired(first, other):
    """Why the two are no pair, in words; None where they are one."""
    kinds = [side.facts.protocol_kind for side in (first, other)]
    if kinds[0] != kinds[1]:
        return f'the protocols differ ({kinds[0]}, {kinds[1]})'
    shared = [side.facts.speaker_disjoint for side in (first, other)]
    if shared[0] != shared[1]:
        return 'test speakers are heard in training by one of them and not known to be by the other'
    common = first.keys & other.keys
    if common not in (first.keys, other.keys):
        return (f'the test parts differ ({len(common)} clips in both, {len(first.keys - common)} and '
                f'{len(other.keys - common)} in one alone)')
    return None


def _notes(sides, labels):
    notes = [f'{label}: {note}' for side, label in zip(sides, labels, strict=True) for note in side.facts.notes
             if note.startswith('incomplete') or note in leak_notes(side.facts.notes)]
    notes += [f'{label}: {mean_of(len(side.members))}, no single model'
              for side, label in zip(sides, labels, strict=True) if side.members]
    once = [label for side, label in zip(sides, labels, strict=True) if side.kind not in ('seeds', 'ensemble')]
    if once:
        notes.append(f"{' and '.join(once)}: one seed each, whose luck is not in the interval; python -m ser.train "
                     '--seeds N trains repeats')
    if any(side.facts.synthetic for side in sides):
        notes.append('synthetic speech, made for trying the software: the scores say nothing about real voices')
    return notes


def _row(side, label, answers, settings):
    """A side's place in a comparison: what it is, under which protocol, and its scores."""
    intervals = mean_intervals(answers, side.repeats[0].predicted_ids, **settings)
    ua, wa = rates(answers)
    facts = side.facts
    return {'run': label, 'path': str(side.path), 'kind': side.kind, 'seeds': list(side.seeds),
            'members': list(side.members),
            'protocol': facts.protocol, 'protocol_kind': facts.protocol_kind,
            'speaker_disjoint': facts.speaker_disjoint, 'leaks': leak_notes(facts.notes),
            'n': len(answers.labels), 'n_speakers': intervals.n_speakers,
            'clips_sha256': sha256('\n'.join(side.repeats[0].keys).encode()).hexdigest(),
            'ua': ua, 'ua_interval': list(intervals.ua), 'wa': wa, 'wa_interval': list(intervals.wa),
            'interval_method': intervals.method}


def verdict(change, name):
    """'B is better: +3.1 points [0.8, 5.4]', or that no difference is shown; of UA."""
    low, high = change.ua_interval
    by = f'{100 * change.ua:+.1f} points [{100 * low:.1f}, {100 * high:.1f}]'
    if low <= 0 <= high:
        return f'no difference shown: {by}'
    word = np.where(change.ua > 0, *(('better', 'worse') if change.paired else ('higher', 'lower')))
    return f'{name} is {word}: {by}' if change.paired else f'{name} scores {word}, on another test: {by}'
