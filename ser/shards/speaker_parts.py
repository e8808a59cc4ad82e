"""Protocols that divide speakers, `speaker`, `speaker-kfold`, `leave-one-speaker-out`; and `utterance`, by clip."""

import numpy as np

from ser.errors import SerError, did_you_mean
from ser.shards.groups import Groups, named, natural_order, shares_of, speakers_of
from ser.shards.index import PARTS
from ser.shards.validation import BY_CLIP, clips_by_class, draw_validation

_TRAIN, _VALID, _TEST = range(len(PARTS))
_LISTED = 6
_WHOLE = 'validation is of whole speakers that training has not; test is drawn by clip, so it shares speakers with both'


def _groups(index, rows, protocol, names):
    return Groups(index, rows, speakers_of(index, rows, protocol), protocol, names)


def speaker_parts(index, rows, protocol, names):
    """(part of each row as int64 (N,), notes): whole speakers, within each corpus that has three."""
    groups = _groups(index, rows, protocol, names)
    parts = groups.divide(np.arange(len(groups.members)), shares_of(protocol), needed=_TRAIN)
    return parts[groups.of_row], groups.too_small()


def _kfold_groups(groups, protocol):
    """The fold that tests each speaker, from 0. Raises SerError where there are too few speakers."""
    k, speakers = protocol.folds, len(groups.members)
    if k > speakers:
        raise SerError(f'protocol.folds {k} is more than the {speakers} speakers; '
                       f'choose 2 to {speakers}, or --protocol leave-one-speaker-out')
    if protocol.groups:
        group = _stated_groups(groups.members, protocol)
    else:
        group = groups.divide(np.arange(speakers), np.full(k, 1 / k))
    if speakers - np.bincount(group).max() < 2:
        raise SerError(f'protocol.folds {k}: {speakers} speakers leave 1 beside the largest test part, but one must '
                       'train and another validate. Use more folds')
    return group


def _stated_groups(members, protocol):
    """The fold that protocol.groups puts each speaker into. Raises SerError unless each is in exactly one."""
    if len(protocol.groups) != protocol.folds:
        raise SerError(f'protocol.groups: {len(protocol.groups)} groups for {protocol.folds} folds; set protocol.folds '
                       f'to {len(protocol.groups)}')
    words = [word.removeprefix('speaker ') for word in named(members, 'speaker')]
    stated = [name for names in protocol.groups for name in names]
    for name in stated:
        if name not in words:
            raise SerError(f"protocol.groups: no speaker '{name}'. Speakers: {', '.join(words)}."
                           f'{did_you_mean(name, words)}')
    if len(set(stated)) < len(stated):
        twice = next(name for name in stated if stated.count(name) > 1)
        raise SerError(f"protocol.groups: speaker '{twice}' is named twice; each is tested in one fold")
    if len(stated) < len(words):
        raise SerError(f'protocol.groups: no group has {", ".join(w for w in words if w not in stated)}; each speaker '
                       'is tested in one fold')
    return np.array([next(fold for fold, names in enumerate(protocol.groups) if word in names) for word in words])


def speaker_kfold_parts(index, rows, protocol, names):
    """(part of each row, notes): fold i tests the speakers of group i."""
    groups = _groups(index, rows, protocol, names)
    if protocol.fold > protocol.folds:
        raise SerError(f'protocol.fold {protocol.fold} is out of range: there are {protocol.folds} folds, numbered '
                       'from 1')
    group = _kfold_groups(groups, protocol)
    return groups.rest(np.flatnonzero(group == protocol.fold - 1), protocol.valid_fraction, protocol.fold), ()


def speaker_kfold_names(index, rows, protocol, names):
    """What each fold tests: 'speakers 03, 08'."""
    groups = _groups(index, rows, protocol, names)
    group = _kfold_groups(groups, protocol)
    words = [word.removeprefix('speaker ') for word in named(groups.members, 'speaker')]
    return tuple(_listed([words[i] for i in np.flatnonzero(group == fold)]) for fold in range(protocol.folds))


def _listed(words):
    more = f' and {len(words) - _LISTED} more' if len(words) > _LISTED else ''
    return f'speaker{"s" if len(words) > 1 else ""} {", ".join(words[:_LISTED])}{more}'


def leave_one_speaker_out_parts(index, rows, protocol, names):
    """(part of each row, notes): fold i tests speaker i in natural order."""
    groups = _groups(index, rows, protocol, names)
    if protocol.fold > len(groups.members):
        raise SerError(f'protocol.fold {protocol.fold} is out of range: there are {len(groups.members)} speakers, '
                       'one fold each, numbered from 1')
    return groups.rest(np.array([protocol.fold - 1]), protocol.valid_fraction, protocol.fold), ()


def leave_one_speaker_out_names(index, rows, protocol, names):
    """What each fold tests: 'speaker 03'."""
    return named(natural_order(speakers_of(index, rows, protocol)), 'speaker')


def utterance_parts(index, rows, protocol, names):
    """(part of each row, notes): test by clip, within each class; validation of whole speakers among the rest."""
    _, valid, test = shares_of(protocol)
    if len(rows) < 3:
        raise SerError(f"protocol 'utterance' needs at least 3 clips, one each to train, validate and test; "
                       f'there are {len(rows)}')
    tested = clips_by_class(index, rows, names, test, 'utterance', protocol.seed)
    part_of = np.full(len(rows), _TRAIN)
    part_of[tested] = _TEST
    rest = np.flatnonzero(part_of == _TRAIN)
    places, notes = draw_validation(index, rows[rest], valid / (1 - test), protocol, names)
    part_of[rest[places]] = _VALID
    return part_of, notes if BY_CLIP in notes else (_WHOLE, *notes)
