"""Who is in which part: the split of an index by a protocol, one run being one fold."""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ser.errors import SerError
from ser.files import natural, write_rows
from ser.randomness import permutation
from ser.shards.assign import assign_groups
from ser.shards.given_parts import given_parts
from ser.shards.index import PARTS

_GENDER_WEIGHT = 0.25
_INSTEAD = ('Use --protocol utterance, whose score is speaker-dependent (optimistic: the same voices are in training '
            'and test), or give the parts yourself (--protocol given)')


@dataclass(frozen=True)
class Split:
    """Row numbers of each part and how they came about.

    parts: 'train', 'valid', 'test' -> int64 row numbers, ascending. speaker_disjoint: found from the speakers
    themselves; None where speakers are unknown. notes: lines for people. digest: sha256 (hex) of the (key, part) lines.
    """

    parts: dict
    protocol: str
    description: str
    speaker_disjoint: bool | None
    fold: int | None
    folds: int | None
    notes: tuple[str, ...]
    digest: str


def make_split(index, protocol, names):
    """The Split of an Index by a protocol config.

    names: class names; rows of other emotions are in no part. Raises SerError when speakers are unknown or too few,
    a fold is out of range, given parts are incomplete, or a part would be empty.
    """
    rows = _labelled(index, names)
    if protocol.kind != 'given' and len({index.rows[row].part for row in rows}) > 1:
        raise SerError(f"shards are given per part, but protocol '{protocol.kind}' draws parts of its own. "
                       'Use --protocol given, or name all shards with --shards')
    if protocol.kind == 'given':
        part_of, notes = given_parts(index, rows, protocol)
    else:
        part_of, notes = _DRAWN[protocol.kind](index, rows, protocol, names), ()
    parts = {name: rows[part_of == number] for number, name in enumerate(PARTS)}
    for name, members in parts.items():
        if not len(members):
            raise SerError(f"protocol '{protocol.kind}': the {name} part is empty among {len(rows)} labelled clips")
    lines = ''.join(f'{index.rows[row].key}\t{PARTS[part]}\n' for row, part in zip(rows, part_of, strict=True))
    disjoint = _speaker_disjoint(index, parts)
    folds = fold_count(index, protocol, names) if hasattr(protocol, 'fold') else None
    fold = protocol.fold if folds else None
    return Split(parts, protocol.kind, _describe(index, protocol, parts, disjoint, folds), disjoint, fold, folds,
                 (*notes, *_notes(index, parts, names)), hashlib.sha256(lines.encode()).hexdigest())


def fold_count(index, protocol, names):
    """How many folds a protocol has: k, one per speaker, or 1."""
    if protocol.kind == 'speaker-kfold':
        return protocol.folds
    if protocol.kind == 'leave-one-speaker-out':
        return len(_speakers(index, _labelled(index, names), protocol)[0])
    return 1


def write_split_csv(path, index, split):
    """Write `key, speaker, label, part` of every row that is in a part, in index order."""
    part_of = {int(row): part for part, rows in split.parts.items() for row in rows}
    members = ((index.rows[number], part_of[number]) for number in sorted(part_of))
    write_rows(path, [('key', 'speaker', 'label', 'part'),
                      *((row.key, index.speaker_name(row) or '', row.emotion, part) for row, part in members)])


def speaker_identity(row):
    """What tells speakers apart: (corpus, speaker), since corpora number their speakers alike; None where unknown."""
    corpus = row.metadata.get('corpus')
    return None if row.speaker is None else (corpus if isinstance(corpus, str) else '', row.speaker)


def _labelled(index, names):
    wanted = set(names)
    return np.array([number for number, row in enumerate(index.rows) if row.emotion in wanted], dtype=np.int64)


def _speakers(index, rows, protocol):
    """(speakers in natural order, number of the speaker of each row). Raises SerError when unknown or under three."""
    identities = [speaker_identity(index.rows[row]) for row in rows]
    unknown = [index.rows[row].key for row, who in zip(rows, identities, strict=True) if who is None]
    if unknown:
        raise SerError(f"protocol '{protocol.kind}' needs speakers, but {len(unknown)} of {len(rows)} clips have none "
                       f"in their JSON ('speaker' or 'speaker_id'), such as {unknown[0]}. {_INSTEAD}")
    speakers = sorted(set(identities), key=lambda who: (natural(who[0]), natural(who[1])))
    if len(speakers) < 3:
        listed = ', '.join(name for _, name in speakers) or 'none'
        count = f'{len(speakers)} speaker' + ('s' if len(speakers) != 1 else '')
        raise SerError(f"protocol '{protocol.kind}' needs at least 3 speakers, one each to train, validate and test; "
                       f'there {"is" if len(speakers) == 1 else "are"} {count} ({listed}). {_INSTEAD}')
    number = {who: i for i, who in enumerate(speakers)}
    return speakers, np.array([number[who] for who in identities], dtype=np.int64)


def _columns(index, rows, names):
    """(clips of each class then of each gender as an indicator (N, C), weights (C,))."""
    classes = {name: i for i, name in enumerate(names)}
    genders = sorted({str(index.rows[row].metadata.get('gender')) for row in rows} - {'None'})
    table = np.zeros((len(rows), len(names) + len(genders)))
    for i, row in enumerate(rows):
        table[i, classes[index.rows[row].emotion]] = 1
        gender = str(index.rows[row].metadata.get('gender'))
        if gender in genders:
            table[i, len(names) + genders.index(gender)] = 1
    return table, np.array([1.0] * len(names) + [_GENDER_WEIGHT] * len(genders))


class _Groups:
    """Speakers with their class counts: what whole-speaker protocols divide."""

    def __init__(self, index, rows, protocol, names):
        self.kind, self.seed = protocol.kind, protocol.seed
        self.speakers, self.of_row = _speakers(index, rows, protocol)
        table, self.weights = _columns(index, rows, names)
        self.counts = np.zeros((len(self.speakers), table.shape[1]))
        np.add.at(self.counts, self.of_row, table)

    def divide(self, among, shares, *key):
        """Part number of each speaker in `among` (numbers)."""
        return assign_groups(self.counts[among], self.weights, shares, self.kind, self.seed, *key)

    def rest(self, tested, valid_fraction, *key):
        """Part of each row: `tested` speakers test, of the others some validate."""
        others = np.setdiff1d(np.arange(len(self.speakers)), tested)
        part_of_speaker = np.full(len(self.speakers), PARTS.index('test'))
        part_of_speaker[others] = self.divide(others, (1 - valid_fraction, valid_fraction), 'valid', *key)
        return part_of_speaker[self.of_row]


def _shares(protocol):
    train = 1 - protocol.valid_fraction - protocol.test_fraction
    if train <= 1e-9:
        raise SerError(f'protocol.valid_fraction {protocol.valid_fraction} and protocol.test_fraction '
                       f'{protocol.test_fraction} leave nothing to train on; together they must be under 1')
    return train, protocol.valid_fraction, protocol.test_fraction


def _speaker(index, rows, protocol, names):
    groups = _Groups(index, rows, protocol, names)
    return groups.divide(np.arange(len(groups.speakers)), _shares(protocol))[groups.of_row]


def _speaker_kfold(index, rows, protocol, names):
    groups = _Groups(index, rows, protocol, names)
    k = protocol.folds
    if protocol.fold > k:
        raise SerError(f'protocol.fold {protocol.fold} is out of range: there are {k} folds, numbered from 1')
    if k > len(groups.speakers):
        raise SerError(f'protocol.folds {k} is more than the {len(groups.speakers)} speakers; '
                       f'choose 2 to {len(groups.speakers)}, or --protocol leave-one-speaker-out')
    group = groups.divide(np.arange(len(groups.speakers)), np.full(k, 1 / k))
    if len(group) - np.bincount(group).max() < 2:
        raise SerError(f'protocol.folds {k}: {len(group)} speakers leave 1 beside the largest test part, but one must '
                       'train and another validate. Use more folds')
    return groups.rest(np.flatnonzero(group == protocol.fold - 1), protocol.valid_fraction, protocol.fold)


def _leave_one_out(index, rows, protocol, names):
    groups = _Groups(index, rows, protocol, names)
    if protocol.fold > len(groups.speakers):
        raise SerError(f'protocol.fold {protocol.fold} is out of range: there are {len(groups.speakers)} speakers, '
                       'one fold each, numbered from 1')
    return groups.rest(np.array([protocol.fold - 1]), protocol.valid_fraction, protocol.fold)


def _utterance(index, rows, protocol, names):
    """A stratified hold-out by clip: within each class, keyed order, test first, then validation."""
    _, valid, test = _shares(protocol)
    if len(rows) < 3:
        raise SerError(f"protocol 'utterance' needs at least 3 clips, one each to train, validate and test; "
                       f'there are {len(rows)}')
    emotions = np.array([index.rows[row].emotion for row in rows])
    part_of = np.zeros(len(rows), dtype=np.int64)
    for name in names:
        members = np.flatnonzero(emotions == name)
        members = members[permutation(len(members), 'utterance', protocol.seed, name)]
        n_test, n_valid = _round_share(test, len(members)), _round_share(valid, len(members))
        part_of[members[:n_test]] = PARTS.index('test')
        part_of[members[n_test:n_test + n_valid]] = PARTS.index('valid')
    for part in (PARTS.index('test'), PARTS.index('valid')):
        if not (part_of == part).any():
            part_of[np.flatnonzero(part_of == 0)[-1]] = part
    return part_of


def _round_share(share, n):
    """Clips of n for a share: rounded, at least 1 of three or more."""
    return max(int(n * share + 0.5), 1) if n >= 3 else 0


_DRAWN = {'speaker': _speaker, 'speaker-kfold': _speaker_kfold, 'leave-one-speaker-out': _leave_one_out,
          'utterance': _utterance}


def _part_speakers(index, rows):
    return {speaker_identity(index.rows[row]) for row in rows}


def _speaker_disjoint(index, parts):
    """Whether no test speaker is in training or validation; None where any speaker is unknown."""
    speakers = {part: _part_speakers(index, rows) for part, rows in parts.items()}
    if None in set().union(*speakers.values()):
        return None
    return not speakers['test'] & (speakers['train'] | speakers['valid'])


def _describe(index, protocol, parts, disjoint, folds):
    how = {True: 'speaker-disjoint', False: 'speaker-dependent', None: 'speakers unknown'}[disjoint]
    fold = f', fold {protocol.fold} of {folds}' if folds else ''
    clips = '/'.join(str(len(rows)) for rows in parts.values())
    who = '/'.join(str(len(_part_speakers(index, rows))) for rows in parts.values())
    speakers = '' if disjoint is None else f', {who} speakers'
    return f'{protocol.kind}{fold} ({how}): {clips} clips{speakers} in train/valid/test'


def _notes(index, parts, names):
    for part, rows in parts.items():
        present = {index.rows[row].emotion for row in rows}
        lacking = [name for name in names if name not in present]
        if lacking:
            yield f'{part} lacks {", ".join(lacking)}'
    speakers = {part: _part_speakers(index, rows) for part, rows in parts.items()}
    for one, other in (('train', 'valid'), ('train', 'test'), ('valid', 'test')):
        shared = speakers[one] & speakers[other] - {None}
        if shared:
            yield f'speakers in both {one} and {other}: {len(shared)}'
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
