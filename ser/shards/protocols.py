"""Who is in which part: the split of an index by a protocol, one run being one fold."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ser.errors import SerError
from ser.files import write_rows
from ser.shards.given_parts import given_parts
from ser.shards.held_out_parts import corpus_names, corpus_parts, cross_parts, session_names, session_parts
from ser.shards.index import PARTS
from ser.shards.official_parts import official_parts
from ser.shards.published_folds import emobox_names, emobox_parts
from ser.shards.speaker_parts import (
    leave_one_speaker_out_names,
    leave_one_speaker_out_parts,
    speaker_kfold_names,
    speaker_kfold_parts,
    speaker_parts,
    utterance_parts,
)
from ser.shards.split import Split, describe, notes_on, speaker_disjoint, speaker_identity
from ser.shards.text_parts import speaker_text_parts, text_parts

__all__ = ['KINDS', 'Kind', 'Split', 'fold_count', 'fold_names', 'make_split', 'speaker_identity', 'write_split_csv']

_SHARED = 'Use the classes that all corpora share: --set data.labels=shared'
_OTHERWISE = "Draw other parts (protocol.seed, protocol.fold), or leave the class out: --set data.drop='[{}]'"
_DECIDED = "Put clips of it into the training part, or leave the class out: --set data.drop='[{}]'"


@dataclass(frozen=True)
class Kind:
    """A kind of protocol.

    version: goes up whenever the same index and settings could give other parts than before; the golden tests of
    tests/test_protocols.py notice. 1 is the first.
    parts: (index, rows, protocol, names) -> (part of each row as int64 (N,), -1 for none, notes).
    fold_names: the same -> what each fold tests, in words; None where there are no folds.
    remedy: what to do about a class that is tested but not trained; {} is the class.
    """

    version: int
    parts: Callable
    fold_names: Callable | None = None
    remedy: str = _OTHERWISE


KINDS = {
    'speaker': Kind(2, speaker_parts),
    'speaker-kfold': Kind(2, speaker_kfold_parts, speaker_kfold_names),
    'leave-one-speaker-out': Kind(2, leave_one_speaker_out_parts, leave_one_speaker_out_names),
    'leave-one-session-out': Kind(1, session_parts, session_names),
    'emobox': Kind(1, emobox_parts, emobox_names),
    'text': Kind(1, text_parts),
    'speaker+text': Kind(1, speaker_text_parts),
    'official': Kind(1, official_parts, remedy=_DECIDED),
    'cross': Kind(1, cross_parts, remedy=_SHARED),
    'leave-one-corpus-out': Kind(1, corpus_parts, corpus_names, remedy=_SHARED),
    'given': Kind(1, given_parts, remedy=_DECIDED),
    'utterance': Kind(2, utterance_parts),
}
"""`protocol.kind` -> Kind. Version 2: speakers are divided within each corpus and training is given every class that
it can have; `utterance` validates by whole speakers."""


def make_split(index, protocol, names):
    """The Split of an Index by a protocol config.

    names: class names; rows of other emotions are in no part. Raises SerError when the shards do not have what the
    protocol needs (speakers, sessions, sentences, corpora, parts), a fold is out of range, a part would be empty, or a
    class is tested that is not trained.
    """
    kind, rows = KINDS[protocol.kind], _labelled(index, names)
    if protocol.kind != 'given' and len({index.rows[row].part for row in rows}) > 1:
        raise SerError(f"shards are given per part, but protocol '{protocol.kind}' draws parts of its own. "
                       'Use --protocol given, or name all shards with --shards')
    part_of, notes = kind.parts(index, rows, protocol, names)
    parts = {name: rows[part_of == number] for number, name in enumerate(PARTS)}
    for name, members in parts.items():
        if not len(members):
            raise SerError(f"protocol '{protocol.kind}': the {name} part is empty among {len(rows)} labelled clips")
    _refuse_unlearnable(index, protocol, parts, names)
    lines = ''.join(f'{index.rows[row].key}\t{PARTS[part]}\n' for row, part in zip(rows, part_of, strict=True)
                    if part >= 0)
    disjoint = speaker_disjoint(index, parts)
    fold = (protocol.fold, fold_count(index, protocol, names)) if kind.fold_names else (None, None)
    return Split(parts, protocol.kind, describe(index, protocol.kind, parts, disjoint, fold), disjoint, *fold,
                 (*notes, *notes_on(index, parts, names)), hashlib.sha256(lines.encode()).hexdigest(), kind.version,
                 getattr(protocol, 'seed', None))


def fold_count(index, protocol, names):
    """How many folds a protocol has, 1 for one without. Raises SerError as make_split."""
    # The groups of a k-fold need not be drawn to be counted.
    return protocol.folds if hasattr(protocol, 'folds') else max(len(fold_names(index, protocol, names)), 1)


def fold_names(index, protocol, names):
    """What each fold tests, in words, such as 'speaker 03' or 'corpus emodb'; empty for a protocol without folds.

    Raises SerError as make_split, but not for protocol.fold.
    """
    of_kind = KINDS[protocol.kind].fold_names
    return of_kind(index, _labelled(index, names), protocol, names) if of_kind else ()


def write_split_csv(path, index, split):
    """Write `key, speaker, label, part` of every row that is in a part, in index order."""
    part_of = {int(row): part for part, rows in split.parts.items() for row in rows}
    members = ((index.rows[number], part_of[number]) for number in sorted(part_of))
    write_rows(path, [('key', 'speaker', 'label', 'part'),
                      *((row.key, index.speaker_name(row) or '', row.emotion, part) for row, part in members)])


def _labelled(index, names):
    wanted = set(names)
    return np.array([number for number, row in enumerate(index.rows) if row.emotion in wanted], dtype=np.int64)


def _refuse_unlearnable(index, protocol, parts, names):
    present = {part: {index.rows[row].emotion for row in rows} for part, rows in parts.items()}
    lacking = [name for name in names if name in present['test'] - present['train']]
    if lacking:
        listed = ', '.join(lacking)
        raise SerError(f"protocol '{protocol.kind}': the test part has {listed}, of which the training part has no "
                       f'clip to learn from. {KINDS[protocol.kind].remedy.format(listed)}')
