"""What an audit looks at: a split's clips with their parts and sounds, and which clips hold the same recording."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ser.shards.copies import Fingerprints, first_holders
from ser.shards.index import PARTS, Index

LEAK, WARNING, NOTE = SEVERITIES = ('leak', 'warning', 'note')


@dataclass(frozen=True)
class Finding:
    """One thing found. text: a line for people. numbers: what it rests on, JSON-able. examples: lines, such as keys."""

    kind: str
    severity: str
    text: str
    numbers: dict
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class SameRecording:
    """Clips that hold one recording. how: 'identical' (the same samples, or encoded bytes) or 'near-identical'.

    keys, parts, labels: of each clip. correlation: the least found between two of them, 1 where identical.
    """

    how: str
    keys: tuple[str, ...]
    parts: tuple[str, ...]
    labels: tuple[str, ...]
    correlation: float

    @property
    def severity(self):
        """A leak where the test part shares it with another, a warning where train and valid share it."""
        parts = set(self.parts)
        if len(parts) == 1:
            return NOTE
        return LEAK if 'test' in parts else WARNING

    def __str__(self):
        clips = (f'{key} ({part}, {label})'
                 for key, part, label in zip(self.keys, self.parts, self.labels, strict=True))
        near = f' (correlation {self.correlation:.2f})' if self.how != 'identical' else ''
        return (' = ' if self.how == 'identical' else ' ~ ').join(clips) + near


@dataclass(frozen=True)
class Subject:
    """rows: int64 (N,), the row numbers in a part, ascending; part: int64 (N,), numbers in PARTS, of each.

    sounds: Fingerprints of the whole index, None in a quick audit. recordings: every recording held more than once.
    """

    index: Index
    names: tuple[str, ...]
    rows: np.ndarray
    part: np.ndarray
    sounds: Fingerprints | None
    recordings: tuple[SameRecording, ...]

    def clips(self, *parts):
        """The Rows of the index in the named parts, of all parts without a name."""
        return [self.index.rows[row] for row, part in zip(self.rows, self.part, strict=True)
                if not parts or PARTS[part] in parts]


def make_subject(index, split, names, sounds):
    """The Subject of a Split."""
    rows = np.concatenate([split.parts[part] for part in PARTS])
    part = np.concatenate([np.full(len(split.parts[name]), number) for number, name in enumerate(PARTS)])
    order = np.argsort(rows, kind='stable')
    rows, part = rows[order], part[order]
    part_of = {int(row): PARTS[number] for row, number in zip(rows, part, strict=True)}
    return Subject(index, tuple(names), rows, part, sounds, tuple(_recordings(index, part_of, sounds)))


def counted(number, noun):
    """'1 clip', '2 clips'."""
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def _recordings(index, part_of, sounds):
    """Each SameRecording among the rows of part_of, identical ones first."""
    holders = _same_bytes(index) if sounds is None else first_holders(sounds.prints)
    held = defaultdict(list)
    for row in part_of:
        held[int(holders[row])].append(row)
    for rows in held.values():
        if len(rows) > 1:
            yield _recording(index, 'identical', rows, part_of, 1.0)
    for near, correlation in _joined(sounds.near if sounds else ()):
        rows = [row for holder in near for row in held.get(holder, ())]
        if sum(holder in held for holder in near) > 1:
            yield _recording(index, 'near-identical', rows, part_of, correlation)


def _same_bytes(index):
    """For each row the first one whose encoded audio is the same."""
    first = {}
    return [first.setdefault(row.audio_sha256 or number, number) for number, row in enumerate(index.rows)]


def _joined(near):
    """(rows, least correlation) of each set of rows that a chain of near-identical pairs connects."""
    root = {}

    def find(row):
        while root.setdefault(row, row) != row:
            root[row] = row = root[root[row]]
        return row

    for one, other, _ in near:
        root[find(other)] = find(one)
    members, least = defaultdict(set), {}
    for one, other, correlation in near:
        members[find(one)] |= {one, other}
        least[find(one)] = min(least.get(find(one), 1.0), correlation)
    return [(sorted(members[row]), least[row]) for row in sorted(members, key=lambda row: min(members[row]))]


def _recording(index, how, rows, part_of, correlation):
    rows = sorted(rows)
    clips = [index.rows[row] for row in rows]
    return SameRecording(how, tuple(clip.key for clip in clips), tuple(part_of[row] for row in rows),
                         tuple(clip.emotion for clip in clips), round(correlation, 4))
