"""Several runs together on other shards: each predicts every clip, and the mean of their probabilities is scored."""

import logging

from ser.errors import SerError
from ser.evaluation.ensemble import (
    ensemble_folder,
    joint_facts,
    members_of,
    refuse_dimensions,
    refuse_twice,
    write_ensemble,
)
from ser.evaluation.sides import fold_runs, seed_runs
from ser.inference.evaluator import answer, ask, provenance, shards_name
from ser.inference.heard import heard_clips

log = logging.getLogger(__name__)


def evaluate_ensemble_shards(paths, patterns, out=None, device='auto', assignments=()):
    """(scores, folder) of the mean of the probabilities of several runs on other shards, one model at a time.

    paths: run directories, folders of folds or of seeds; each single run in them is a member. patterns, assignments: as
    evaluate_shards. out: default `ensemble-<names>-on-<shards>` beside the first. Raises SerError for fewer than two
    members, runs of dimensions, members of other classes, and one that was trained on or chosen by a clip of these
    shards: what a mean of many owes to it could not be told.
    """
    from ser.training.device import choose_device

    members = single_runs(paths)
    refuse_twice(members)
    device, reason = choose_device(device)
    asked = {}
    for name, run in members.items():
        refuse_dimensions(run)
        asked[name] = ask(run, patterns, assignments)
        _refuse_heard(asked[name])
    first = next(iter(asked.values()))
    out = ensemble_folder(paths, out, f'-on-{shards_name(first.labelled.index.shards)}')
    log.info('device %s: %s', device, reason)
    parts, facts = {}, []
    for number, (name, one) in enumerate(asked.items(), start=1):
        log.info('run %d of %d: %s', number, len(asked), name)
        parts[name], _, fact = answer(one, device)
        facts.append(fact)
    joint = joint_facts(facts)
    return write_ensemble(out, parts, joint, first.evaluation, provenance(first, joint)), out


def is_series(path):
    """Whether a folder holds folds or seeds, each with a model of its own."""
    return bool(fold_runs(path) or seed_runs(path))


def single_runs(paths):
    """Name -> run directory of every single run behind some paths, folds and seeds included.

    Raises SerError for fewer than two and for one named twice.
    """
    seeds = [seed for path in paths for seed in seed_runs(path) or [path]]
    return members_of([run for seed in seeds for run in fold_runs(seed) or [seed]])


def _refuse_heard(asked):
    heard = sorted(set().union(*heard_clips(asked.clips, asked.heard)))
    if heard:
        raise SerError(f'{asked.run}: {len(heard)} of {len(asked.rows)} clips of these shards are in its training or '
                       f'validation part, such as {heard[0]}; no run of an ensemble may have heard what it is scored '
                       'on. Without --shards the runs are averaged on the test part that they share')
