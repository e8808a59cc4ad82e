"""Several runs as one answer: the mean of their probabilities over the same clips, scored as what it is."""

import os
import re
from dataclasses import asdict, replace
from pathlib import Path

from ser.errors import SerError
from ser.evaluation.card import protocol_lines, score_lines
from ser.evaluation.compare import evaluation_of
from ser.evaluation.dimension_files import read_task
from ser.evaluation.repeats import ensemble_of, same_weights, spread
from ser.evaluation.report import score, write_scores
from ser.evaluation.run_files import read_names, read_split
from ser.evaluation.sides import fold_runs, in_key_order, read_side, seed_runs, together, with_names
from ser.evaluation.summary import PER_CLASS_ALIGN, PER_CLASS_HEADER, per_class_rows
from ser.evaluation.tables import counted, markdown_table, mean_of, percent, percent_with_interval
from ser.files import write_json

LONGEST_NAME = 60
_OF_A_MEMBER = ('ua', 'ua_interval', 'wa', 'wa_interval', 'macro_f1', 'log_loss')


def evaluate_ensemble(paths, out=None):
    """(scores, folder) of the mean of the probabilities of several runs over the test part that they share.

    paths: run directories, folders of folds (pooled, one member each) or of seeds (each seed is a member). out: the
    folder to write; default: `ensemble-<names>` beside the first. Each prediction is of a run that did not hear the
    clip: predictions.csv of a run is held against the test part of its split.csv. Writes what `write_ensemble` does.
    Raises SerError for fewer than two members, one that counts twice, runs of dimensions, unfinished runs, and members
    of other classes, clips, labels or another kind of protocol.
    """
    members = members_of(paths)
    out = ensemble_folder(paths, out)
    sides = {name: _read(run) for name, run in members.items()}
    refuse_twice(members)
    first = next(iter(sides.values()))
    for side in sides.values():
        if side.facts.protocol_kind != first.facts.protocol_kind:
            raise SerError(f'{side.path}: protocol {side.facts.protocol_kind}, but {first.path} has '
                           f'{first.facts.protocol_kind}; only runs under one kind of protocol can be averaged')
        _check_clips(first, side)
    facts = joint_facts([side.facts for side in sides.values()])
    parts = {name: side.repeats[0] for name, side in sides.items()}
    return write_ensemble(out, parts, facts, evaluation_of(Path(paths[0]))), out


def members_of(paths):
    """Name -> path of the runs and folders of folds behind some paths, in order: of a folder of seeds each seed.

    Names are paths below the folder that holds them all. Raises SerError for fewer than two and for one named twice.
    """
    found, whole = {}, [Path(path).resolve() for path in paths]
    common = os.path.commonpath([path.parent for path in whole])
    for given, path in zip(map(Path, paths), whole, strict=True):
        for run in seed_runs(given) or [given]:
            name = (path / run.relative_to(given)).relative_to(common).as_posix()
            if name in found:
                raise SerError(f'{run}: named twice; every run of an ensemble counts once')
            found[name] = run
    if len(found) < 2:
        raise SerError(f'{paths[0]}: one run is no ensemble; name two or more, or a folder of seeds')
    return found


def refuse_twice(members):
    """Raises SerError where two of the members (name -> path) hold the same weights."""
    for run, other in same_weights(members.values()):
        raise SerError(f'{run}: the same weights as {other}, bit for bit; every run of an ensemble counts once')


def refuse_dimensions(run):
    """Raises SerError for a run directory that predicts dimensions."""
    if read_task(run):
        raise SerError(f'{run}: predicts dimensions, which have no probabilities; only runs that tell emotions apart '
                       'can be averaged')


def ensemble_folder(paths, out=None, suffix=''):
    """The folder that an ensemble is written to: `out`, or one named after the runs beside the first of them.

    Raises SerError where there is something already. Nothing is made.
    """
    if out is None:
        first = Path(paths[0])
        parent = first.parent if first.name not in ('', '..') else first.resolve().parent
        names = '+'.join(dict.fromkeys(Path(path).resolve().name for path in paths))
        names = re.sub(r'[^A-Za-z0-9_+.-]', '_', names)
        names = names if len(names) <= LONGEST_NAME else f'{names[:LONGEST_NAME - 10]}-and-more'
        out = parent / f'ensemble-{names}{suffix}'
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SerError(f'{out}: is there already. Name another folder with --out, or remove it')
    return out


def _read(run):
    """The Side of a member. Raises SerError for what is no run or folder of folds of emotions."""
    if (run / 'config.yaml').is_file() or fold_runs(run):
        refuse_dimensions((fold_runs(run) or [run])[0])
    side = read_side(run)
    if side.kind not in ('run', 'folds'):
        raise SerError(f'{run}: holds scores of runs, no run; name the runs themselves')
    return side


def _check_clips(first, side):
    """Raises SerError unless the two sides test the same clips."""
    common = first.keys & side.keys
    if common == first.keys == side.keys:
        return
    alone = first.keys - common
    heard = alone & _heard(side.path)
    trained = f' ({len(heard)} of which {side.path} was trained on or chosen by)' if heard else ''
    raise SerError(f'{side.path}: tests other clips than {first.path}: {len(common)} in both, {len(alone)} in '
                   f'{first.path} alone{trained}, {len(side.keys - common)} in {side.path} alone; only runs that test '
                   'the same clips can be averaged')


def _heard(path):
    """Keys of the training and validation clips of a run, or of all of some folds."""
    return {member.key for run in fold_runs(path) or [path] for member in read_split(run, read_names(run))
            if member.part in ('train', 'valid')}


def joint_facts(facts):
    """The Facts of the mean of several runs, from those of each: the doubts of any are doubts about all."""
    facts = list(facts)
    protocols = list(dict.fromkeys(one.protocol for one in facts))
    others = f'; {counted(len(protocols) - 1, "member")} under another split' if len(protocols) > 1 else ''
    return replace(facts[0], protocol=f'{protocols[0]}{others}', best_epoch=None,
                   speaker_disjoint=together(one.speaker_disjoint for one in facts),
                   notes=tuple(dict.fromkeys(note for one in facts for note in one.notes)),
                   synthetic=any(one.synthetic for one in facts))


def aligned(parts):
    """name -> Predictions of the same clips, with the clips in key order and the first one's classes.

    Raises SerError for other classes, other clips, and a clip labelled otherwise.
    """
    first_name, first = next(iter(parts.items()))
    ordered = {}
    for name, part in parts.items():
        if set(part.names) != set(first.names):
            raise SerError(f"{name}: classes {', '.join(part.names)}, but {first_name} has {', '.join(first.names)}; "
                           'only runs of the same classes can be averaged')
        ordered[name] = in_key_order(with_names(part, first.names))
    first = ordered[first_name]
    for name, part in ordered.items():
        if part.keys != first.keys:
            odd = min(set(part.keys) ^ set(first.keys))
            raise SerError(f'{name}: answers for other clips than {first_name}, such as {odd}; only the same clips can '
                           'be averaged')
        for key, said, label in zip(part.keys, part.labels, first.labels, strict=True):
            if said != label:
                raise SerError(f'{name}: clip {key} is labelled {said}, {first_name} says {label}; only runs of the '
                               'same labels can be averaged')
    return ordered


def write_ensemble(out, parts, facts, evaluation, provenance=None):
    """Score the mean of several Predictions (name -> Predictions), write it into the folder `out`, return the scores.

    facts: Facts of the mean. evaluation: the config's section. provenance: more for data.json. Writes predictions.csv,
    labels.json, data.json (`ensemble`: the names), test_metrics.json, confusion_matrix.csv/.png and README.md. In
    test_metrics.json all scores and intervals are those of the mean, as of any run; `ensemble` holds `what`, `members`
    (run and its own ua, wa, macro_f1, log_loss) and `member_ua` (mean, standard deviation, min, max).
    Raises SerError as `aligned`.
    """
    ordered = aligned(parts)
    # Speakers, which the interval needs, are those of a member that knows them.
    mean = ensemble_of(sorted(ordered.values(), key=lambda part: None in part.speakers))
    metrics = score(mean, facts, evaluation)
    alone = {name: score(part, facts, evaluation) for name, part in ordered.items()}
    metrics['ensemble'] = {
        'what': mean_of(len(parts)),
        'members': [{'run': name, **{key: one[key] for key in _OF_A_MEMBER}} for name, one in alone.items()],
        'member_ua': spread([one['ua'] for one in alone.values()])}
    mean.write_csv(out / 'predictions.csv')
    write_json(out / 'labels.json', list(mean.names))
    write_json(out / 'data.json', {'ensemble': list(parts), 'clips': len(mean), **(provenance or {}), **asdict(facts)})
    title = metrics['ensemble']['what']
    write_scores(out, metrics, mean.names, title[0].upper() + title[1:], ensemble_card(metrics, out.resolve().name))
    return metrics


def ensemble_card(metrics, name):
    """The README.md of an ensemble."""
    ensemble = metrics['ensemble']
    rows = [(one['run'], percent_with_interval(one['ua'], one['ua_interval']),
             percent_with_interval(one['wa'], one['wa_interval']), percent(one['macro_f1']),
             f"{one['log_loss']:.3f}") for one in ensemble['members']]
    lines = [
        f'# {name}', '',
        f"No single model: the {ensemble['what']}, each counted alike, {len(rows)} times as dear to run as one of "
        'them. Every score below but those of the runs alone is of that mean.', '',
        '## Score', '', *score_lines(metrics), '',
        *markdown_table(PER_CLASS_HEADER, per_class_rows(metrics), PER_CLASS_ALIGN), '',
        '![Confusion matrix](confusion_matrix.png)', '',
        '## Each run alone', '',
        *markdown_table(('run', 'UA', 'WA', 'macro-F1', 'log loss, nats'), rows, 'lrrrr'), '',
        f"Mean UA of the runs {percent(ensemble['member_ua']['mean'])}, standard deviation "
        f"{100 * ensemble['member_ua']['sd']:.1f}.", '',
        '## Protocol', '', *protocol_lines(metrics),
    ]
    return '\n'.join(lines) + '\n'
