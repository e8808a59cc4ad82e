"""What was tested where: a run, folds, seeds, or a run on other shards, read from its folder."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ser.errors import SerError
from ser.evaluation.dimension_files import read_task
from ser.evaluation.predictions import Predictions, read_csv
from ser.evaluation.reading import read_json, run_remedy
from ser.evaluation.run_files import Facts, check_test_part, read_facts, read_history, read_names, read_split
from ser.evaluation.tables import counted
from ser.files import natural


@dataclass(frozen=True)
class ScoredRun:
    """A finished run: its predictions of the test part and what they depend on."""

    run: Path
    predictions: Predictions
    facts: Facts
    clips: frozenset
    """Keys of every clip in any part."""
    fold: int | None
    """Which fold of `folds` it is, from 1; None where the protocol has none."""
    folds: int | None
    digest: str | None
    """Of the data that it began with."""

    @classmethod
    def read(cls, run):
        """The ScoredRun of a run directory that tells emotions apart.

        Raises SerError for one that predicts dimensions, and for files that are missing, broken or at odds.
        """
        run = Path(run)
        if read_task(run):
            raise SerError(f'{run}: predicts dimensions; only runs that tell emotions apart can be compared')
        names = read_names(run)
        facts, members = read_facts(run, read_history(run).best_epoch), read_split(run, names)
        predictions = run_predictions(run, names)
        check_test_part(run / 'predictions.csv', predictions, members, facts)
        data = read_json(run / 'data.json', dict)
        return cls(run, predictions, facts, frozenset(member.key for member in members if member.part),
                   data.get('fold'), data.get('folds'), data.get('digest'))


@dataclass(frozen=True)
class Side:
    """What a folder answered: every tested clip once by each of its seeds.

    repeats: one Predictions per seed, the same clips in key order; of a run or of folds there is one.
    kind: 'run', 'folds', 'seeds', 'other shards' or 'ensemble'. seeds: their numbers, empty where there is one run.
    members: what an ensemble is the mean of, else empty.
    """

    path: Path
    kind: str
    repeats: tuple
    facts: Facts
    seeds: tuple = ()
    members: tuple = ()

    @property
    def keys(self):
        """Keys of the tested clips, a frozenset."""
        return frozenset(self.repeats[0].keys)

    @property
    def names(self):
        """Class names in index order."""
        return self.repeats[0].names

    def taken(self, keys):
        """The Side of only those clips."""
        return replace(self, repeats=tuple(taken(part, keys) for part in self.repeats))


def fold_runs(path):
    """The runs fold-* of a folder that is no run itself, in order; empty when there are none."""
    path = Path(path)
    if (path / 'config.yaml').exists():
        return []
    return sorted((fold for fold in path.glob('fold-*') if (fold / 'config.yaml').is_file()),
                  key=lambda fold: natural(fold.name))


def seed_runs(path):
    """The seed-N of a folder that is no run itself, runs or folders of folds, by number; empty when there are none."""
    path = Path(path)
    if (path / 'config.yaml').exists():
        return []
    found = [run for run in path.glob('seed-*') if re.fullmatch(r'seed-\d+', run.name)
             and ((run / 'config.yaml').is_file() or fold_runs(run))]
    return sorted(found, key=lambda run: natural(run.name))


def read_side(path):
    """The Side of a run directory, a folder of folds or of seeds, or what `ser evaluate` wrote of several or of shards.

    Raises SerError when it is none of these, when a run is unfinished, and for files that are broken or at odds.
    """
    path = Path(path)
    if not path.is_dir():
        raise SerError(f'{path}: no such folder. Name runs, folders of folds or folders of seeds')
    if (path / 'config.yaml').is_file():
        scored = ScoredRun.read(path)
        return Side(path, 'run', (in_key_order(scored.predictions),), scored.facts)
    if seed_runs(path):
        return join_seeds(path, seed_runs(path))
    if fold_runs(path):
        predictions, facts = join_folds([ScoredRun.read(run) for run in fold_runs(path)])
        return Side(path, 'folds', (in_key_order(predictions),), facts)
    if (path / 'predictions.csv').is_file() and (path / 'data.json').is_file():
        members = ensemble_members(path)
        return Side(path, 'ensemble' if members else 'other shards',
                    (in_key_order(run_predictions(path, read_names(path))),), read_facts(path), members=members)
    raise SerError(f'{path}: neither a run (config.yaml) nor a folder of folds (fold-*) or of seeds (seed-*).'
                   f'{_runs_inside(path)}')


def ensemble_members(path):
    """The names of the runs whose mean a folder holds, as its data.json says; () where it is no ensemble."""
    data = Path(path) / 'data.json'
    return tuple(read_json(data, dict).get('ensemble', ())) if data.is_file() else ()


def _runs_inside(path):
    found = sorted(run.parent.name for run in path.glob('*/config.yaml'))
    return f' It holds runs: name one of them, such as {path / found[0]}' if found else ''


def run_predictions(run, names):
    """The predictions.csv of a run. Raises SerError when its classes are not `names`, those of labels.json."""
    path = Path(run) / 'predictions.csv'
    predictions = read_csv(path)
    if predictions.names != names:
        raise SerError(f"{path}: classes {', '.join(predictions.names)}, but labels.json says {', '.join(names)}. "
                       f'{run_remedy(path)}')
    return predictions


def join_folds(folds):
    """(Predictions, Facts) of ScoredRuns that are folds of one protocol, as one test part.

    Folds that the protocol has and that are not among them are said in the facts, and classes that a fold does not
    test. Raises SerError for other classes or another kind of protocol, and for a clip that two of them test.
    """
    check_folds(folds)
    parts = [fold.predictions for fold in folds]
    joined = {field: sum((getattr(part, field) for part in parts), ())
              for field in ('keys', 'speakers', 'labels', 'predicted')}
    pooled = Predictions(**joined, probabilities=np.concatenate([part.probabilities for part in parts]),
                         names=parts[0].names)
    return pooled, pooled_facts(folds, _lacking_notes(folds))


def check_folds(folds):
    """Raises SerError unless the ScoredRuns are folds of one protocol with the same classes and data.

    And when two of them test a clip.
    """
    first, owner = folds[0], {}
    for fold in folds:
        run, names, kind = fold.run, fold.predictions.names, fold.facts.protocol_kind
        if names != first.predictions.names:
            raise SerError(f"{run}: classes {', '.join(names)}, but {first.run} has "
                           f"{', '.join(first.predictions.names)}; only folds of one label set can be pooled")
        if kind != first.facts.protocol_kind:
            raise SerError(f"{run}: protocol '{kind}', but {first.run} has '{first.facts.protocol_kind}'; "
                           'only folds of one protocol can be pooled')
        if fold.digest != first.digest:
            raise SerError(f'{run}: trained on other data than {first.run} (digest in data.json); only folds of the '
                           'same shards can be pooled')
        for key in fold.predictions.keys:
            if key in owner:
                raise SerError(f'{run}: tests clip {key}, which {owner[key]} tests too; '
                               'the folds of one protocol test every clip at most once')
            owner[key] = run


def missing_folds(folds):
    """Numbers of the protocol's folds that are not among the ScoredRuns; empty where the runs do not say."""
    if any(fold.fold is None or fold.folds is None for fold in folds):
        return ()
    return tuple(sorted(set(range(1, max(fold.folds for fold in folds) + 1)) - {fold.fold for fold in folds}))


def pooled_facts(folds, notes_of_task=()):
    """The Facts of ScoredRuns that are folds of one protocol. notes_of_task: further lines, before those on leaks."""
    disjoint = together(fold.facts.speaker_disjoint for fold in folds)
    clips = frozenset().union(*(fold.clips for fold in folds))
    untested = len(clips) - sum(len(fold.predictions) for fold in folds)
    kind, missing = folds[0].facts.protocol_kind, missing_folds(folds)
    notes = [_incomplete(missing)] if missing else []
    if untested:
        notes.append(f'{untested} of {len(clips)} clips are in the test part of none of these folds')
    notes += [*notes_of_task, *leak_notes([note for fold in folds for note in fold.facts.notes])]
    pooled = f'{len(folds)} of {len(folds) + len(missing)} folds pooled ({_incomplete(missing)})' if missing else \
        f'{len(folds)} folds pooled'
    return Facts(f'{kind}, {pooled}', kind, disjoint, tuple(notes), any(fold.facts.synthetic for fold in folds))


def _incomplete(missing):
    return f"incomplete: fold{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))} missing"


def _lacking_notes(folds):
    """A line for each class that some fold does not test: its UA is then of the others."""
    for name in folds[0].predictions.names:
        lacking = [fold.run.name for fold in folds if name not in fold.predictions.labels]
        if lacking and len(lacking) < len(folds):
            yield (f'no test clip is {name} in {counted(len(lacking), "fold")} ({", ".join(lacking)}): the UA of such '
                   'a fold is over the classes it tests')


def leak_notes(notes):
    """Those notes of a split that tell of recordings or speakers in two parts, each once, in order."""
    return list(dict.fromkeys(note for note in notes if note.startswith(('leak', 'speakers in both'))))


def join_seeds(path, runs):
    """The Side of the folder `path` whose seed-N, a run or a folder of folds each, are `runs`.

    Where folds are missing from a seed, the clips are those that every seed tests. Raises SerError for other classes,
    another protocol, and for seeds that do not test the same clips.
    """
    sides = [read_side(run) for run in runs]
    first = sides[0]
    for side in sides[1:]:
        if side.names != first.names:
            raise SerError(f"{side.path}: classes {', '.join(side.names)}, but {first.path} has "
                           f"{', '.join(first.names)}; seeds share everything but the seed")
        if (side.kind, side.facts.protocol_kind) != (first.kind, first.facts.protocol_kind):
            raise SerError(f'{side.path}: {side.kind} of protocol {side.facts.protocol_kind}, but {first.path} is '
                           f'{first.kind} of protocol {first.facts.protocol_kind}; seeds share everything but the seed')
    common = frozenset.intersection(*(side.keys for side in sides))
    notes = list(dict.fromkeys(note for side in sides for note in side.facts.notes))
    odd = next((side for side in sides if side.keys != common), None)
    if odd is not None and (not common or not any(note.startswith('incomplete') for note in notes)):
        raise SerError(f'{odd.path}: tests other clips than the other seeds; all seeds share one split '
                       '(protocol.seed), or they cannot be averaged')
    if odd is not None:
        every = frozenset().union(*(side.keys for side in sides))
        notes.insert(0, f'{counted(len(every - common), "clip")} left out: not every seed has tested them')
    seeds = tuple(int(side.path.name.removeprefix('seed-')) for side in sides)
    facts = replace(first.facts, protocol=f'{first.facts.protocol}, {len(sides)} seeds', notes=tuple(notes),
                    speaker_disjoint=together(side.facts.speaker_disjoint for side in sides), best_epoch=None)
    keys = sorted(common)
    return Side(Path(path), 'seeds', tuple(taken(side.repeats[0], keys) for side in sides), facts, seeds)


def together(disjoint):
    """Whether speakers are disjoint in several parts: False if one shares some, None if one does not know."""
    said = set(disjoint)
    return False if False in said else None if None in said else True


def in_key_order(predictions):
    """The Predictions with its clips in the order of their keys."""
    return taken(predictions, sorted(predictions.keys))


def taken(predictions, keys):
    """The Predictions of `keys`, in that order."""
    place = {key: i for i, key in enumerate(predictions.keys)}
    order = [place[key] for key in keys]
    columns = {field: tuple(getattr(predictions, field)[i] for i in order)
               for field in ('keys', 'speakers', 'labels', 'predicted')}
    return Predictions(**columns, probabilities=predictions.probabilities[order], names=predictions.names)


def with_names(predictions, names):
    """The Predictions with its classes in the order of `names`, which are the same ones."""
    order = [predictions.names.index(name) for name in names]
    return Predictions(predictions.keys, predictions.speakers, predictions.labels, predictions.predicted,
                       predictions.probabilities[:, order], names)
