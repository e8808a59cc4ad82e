"""A split: which row is in which part, and what can be found out about it, whoever decided."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """Row numbers of each part and how they came about.

    parts: 'train', 'valid', 'test' -> int64 row numbers, ascending. speaker_disjoint: found from the speakers
    themselves; None where speakers are unknown. notes: lines for people. digest: sha256 (hex) of the (key, part) lines.
    version: of the protocol's kind, see ser.shards.protocols.KINDS. seed: what drew the split; None where nothing did.
    """

    parts: dict
    protocol: str
    description: str
    speaker_disjoint: bool | None
    fold: int | None
    folds: int | None
    notes: tuple[str, ...]
    digest: str
    version: int
    seed: int | None


def speaker_identity(row):
    """What tells speakers apart: (corpus, speaker), since corpora number their speakers alike; None where unknown."""
    return None if row.speaker is None else (row.corpus or '', row.speaker)


def voices(row):
    """The identities that a Row's speaker may be met under, by the set's name and by the corpus's own; {None} if none.

    Two sets of one corpus may share speakers although their names differ.
    """
    if row.speaker is None:
        return {None}
    return {(name, row.speaker) for name in (row.corpus, row.origin) if name} or {('', row.speaker)}


def speaker_disjoint(index, parts):
    """Whether no test speaker is in training or validation; None where any speaker is unknown."""
    speakers = {part: _voices(index, rows) for part, rows in parts.items()}
    if None in set().union(*speakers.values()):
        return None
    return not speakers['test'] & (speakers['train'] | speakers['valid'])


def _voices(index, rows):
    return set().union(*(voices(index.rows[row]) for row in rows))


def _part_speakers(index, rows):
    return {speaker_identity(index.rows[row]) for row in rows}


def describe(index, kind, parts, disjoint, fold):
    """One line for people. fold: (fold, folds), or (None, None) for a protocol without."""
    how = {True: 'speaker-disjoint', False: 'speaker-dependent', None: 'speakers unknown'}[disjoint]
    which = f', fold {fold[0]} of {fold[1]}' if fold[0] else ''
    clips = '/'.join(str(len(rows)) for rows in parts.values())
    who = '/'.join(str(len(_part_speakers(index, rows))) for rows in parts.values())
    speakers = '' if disjoint is None else f', {who} speakers'
    return f'{kind}{which} ({how}): {clips} clips{speakers} in train/valid/test'


def notes_on(index, parts, names):
    """Lines for people: classes that a part lacks, speakers that two share, recordings in two parts."""
    for part, rows in parts.items():
        present = {index.rows[row].emotion for row in rows}
        lacking = [name for name in names if name not in present]
        if lacking:
            yield f'{part} lacks {", ".join(lacking)}'
    speakers = {part: _part_speakers(index, rows) for part, rows in parts.items()}
    heard = {part: _voices(index, rows) for part, rows in parts.items()}
    for one, other in (('train', 'valid'), ('train', 'test'), ('valid', 'test')):
        shared = speakers[one] & speakers[other] - {None}
        if shared:
            yield f'speakers in both {one} and {other}: {len(shared)}'
        elif heard[one] & heard[other] - {None}:
            count = len(heard[one] & heard[other] - {None})
            yield f'speakers in both {one} and {other}, in sets of two names but one corpus: {count}'
    yield from _leaks(index, parts)


def _leaks(index, parts):
    """Notes of recordings that are, byte for byte, in two parts."""
    holders = {}
    for part, rows in parts.items():
        for row in rows:
            if index.rows[row].audio_sha256:
                holders.setdefault(index.rows[row].audio_sha256, {}).setdefault(part, index.rows[row].key)
    pairs = Counter(tuple(held) for held in holders.values() if len(held) > 1)
    for held, count in sorted(pairs.items()):
        example = next(list(keys.values()) for keys in holders.values() if tuple(keys) == held)
        yield f'leak: identical recordings in {" and ".join(held)}: {count}, such as {" and ".join(example[:2])}'
