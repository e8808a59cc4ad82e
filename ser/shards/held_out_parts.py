"""Protocols that hold out what a clip belongs to: a session, the tested corpora, one corpus after the other."""

import numpy as np

from ser.errors import SerError, did_you_mean
from ser.files import natural
from ser.shards.groups import named, natural_order
from ser.shards.index import PARTS
from ser.shards.validation import draw_validation

_TRAIN, _VALID, _TEST = range(len(PARTS))


def fold_among(protocol, count, what):
    """The number from 0 of the fold that is asked for. Raises SerError when there are not so many."""
    if protocol.fold > count:
        raise SerError(f'protocol.fold {protocol.fold} is out of range: {what} are numbered 1 to {count}')
    return protocol.fold - 1


def with_validation(index, rows, tested, protocol, names, left_out=None):
    """(part of each row, notes): `tested` (bool (N,)) test, among the others some validate.

    left_out: bool (N,), rows that are in no part (-1).
    """
    part_of = np.where(tested, _TEST, _TRAIN)
    if left_out is not None:
        part_of[left_out] = -1
    rest = np.flatnonzero(part_of == _TRAIN)
    places, notes = draw_validation(index, rows[rest], protocol.valid_fraction, protocol, names)
    part_of[rest[places]] = _VALID
    return part_of, notes


def metadata_names(index, rows, key, protocol, meaning):
    """(corpus, text) of each row, the text being what its JSON says under `key`. Raises SerError where one says none.

    meaning: what it is for, for the message.
    """
    values = [index.rows[row].metadata.get(key) for row in rows]
    fit = [isinstance(value, (str, int)) and not isinstance(value, bool) and str(value) != '' for value in values]
    if not all(fit):
        example = index.rows[rows[fit.index(False)]]
        raise SerError(f"protocol '{protocol.kind}' needs {meaning}, but {fit.count(False)} of {len(rows)} clips have "
                       f"no '{key}' in their JSON, such as {example.key}. Build the shards again if the corpus has "
                       'it, or use another --protocol')
    return [(index.rows[row].corpus or '', str(value)) for row, value in zip(rows, values, strict=True)]


def _sessions(index, rows, protocol):
    sessions = metadata_names(index, rows, 'session', protocol, 'sessions')
    if len(set(sessions)) < 2:
        raise SerError(f"protocol '{protocol.kind}' needs at least 2 sessions, one to test and one to train; all clips "
                       f'are of session {sessions[0][1] if sessions else "none"}')
    return sessions


def session_parts(index, rows, protocol, names):
    """(part of each row, notes): fold i tests session i in natural order."""
    sessions = _sessions(index, rows, protocol)
    ordered = natural_order(sessions)
    tested = ordered[fold_among(protocol, len(ordered), 'sessions')]
    return with_validation(index, rows, np.array([who == tested for who in sessions]), protocol, names)


def session_names(index, rows, protocol, names):
    """What each fold tests: 'session 5'."""
    return named(natural_order(_sessions(index, rows, protocol)), 'session')


def _corpora(index, rows, protocol):
    """(corpus of each row, corpora in natural order). Raises SerError where they are unknown or only one."""
    corpora = [index.rows[row].corpus for row in rows]
    found = sorted(set(corpora) - {None}, key=natural)
    if len(found) < 2 or None in corpora:
        listed = ', '.join([*found, *(['unknown ones'] if None in corpora else [])])
        raise SerError(f"protocol '{protocol.kind}' needs at least two corpora, all with names; these shards are of "
                       f'{listed}. Name a set for each: --shards ravdess=data/ravdess emodb=data/emodb')
    return np.array(corpora), found


def cross_parts(index, rows, protocol, names):
    """(part of each row, notes): all clips of the tested corpora test, those of the others train and validate."""
    corpora, found = _corpora(index, rows, protocol)
    for key, given in (('train', protocol.train), ('test', protocol.test)):
        for name in given:
            if name not in found:
                raise SerError(f"protocol.{key}: unknown corpus '{name}'.{did_you_mean(name, found)} There are: "
                               f'{", ".join(found)}')
    if not protocol.test:
        raise SerError("protocol 'cross' needs the corpora to test: --set protocol.test='[NAME, ...]'. There are: "
                       f'{", ".join(found)}')
    both = [name for name in found if name in protocol.train and name in protocol.test]
    train = protocol.train or tuple(name for name in found if name not in protocol.test)
    if both or not train:
        what = f"'{both[0]}' is in both protocol.train and protocol.test" if both else (
            'protocol.test names every corpus, so that none is left to train on')
        raise SerError(f'{what}. A corpus trains or tests; there are: {", ".join(found)}')
    left_out = ~np.isin(corpora, [*train, *protocol.test])
    part_of, notes = with_validation(index, rows, np.isin(corpora, protocol.test), protocol, names, left_out)
    unused = [f'{name} ({(corpora == name).sum()} clips)' for name in found if name in set(corpora[left_out].tolist())]
    return part_of, (*notes, *([f'in no part: {", ".join(unused)}'] if unused else ()))


def corpus_parts(index, rows, protocol, names):
    """(part of each row, notes): fold i tests corpus i in natural order."""
    corpora, found = _corpora(index, rows, protocol)
    tested = found[fold_among(protocol, len(found), 'corpora')]
    return with_validation(index, rows, corpora == tested, protocol, names)


def corpus_names(index, rows, protocol, names):
    """What each fold tests: 'corpus emodb'."""
    return tuple(f'corpus {name}' for name in _corpora(index, rows, protocol)[1])
