"""Whole groups of clips, speakers or sentences, with what they count: what protocols divide into parts."""

from collections import Counter

import numpy as np

from ser.errors import SerError
from ser.files import natural
from ser.shards.assign import assign_groups
from ser.shards.index import PARTS
from ser.shards.split import speaker_identity

FEWEST = 3
"""Fewest groups of a corpus that is divided by itself: one for each part."""

_GENDER_WEIGHT = 0.25
_INSTEAD = ('Use --protocol utterance, whose score is speaker-dependent (optimistic: the same voices are in training '
            'and test), or give the parts yourself (--protocol given)')


def natural_order(identities):
    """Distinct (corpus, name) pairs in natural order."""
    return sorted(set(identities), key=lambda who: (natural(who[0]), natural(who[1])))


def named(identities, what):
    """The word for each (corpus, name) of a sorted list, such as 'speaker 03', with its corpus where there are several.

    what: 'speaker', 'session'.
    """
    several = len({corpus for corpus, _ in identities}) > 1
    return tuple(f'{what} {corpus}/{name}' if several and corpus else f'{what} {name}' for corpus, name in identities)


def speakers_of(index, rows, protocol):
    """The (corpus, speaker) of each row. Raises SerError when one is unknown or there are fewer than three."""
    identities = [speaker_identity(index.rows[row]) for row in rows]
    unknown = [index.rows[row].key for row, who in zip(rows, identities, strict=True) if who is None]
    if unknown:
        raise SerError(f"protocol '{protocol.kind}' needs speakers, but {len(unknown)} of {len(rows)} clips have none "
                       f"in their JSON ('speaker' or 'speaker_id'), such as {unknown[0]}. {_INSTEAD}")
    speakers = natural_order(identities)
    if len(speakers) < FEWEST:
        listed = ', '.join(name for _, name in speakers) or 'none'
        count = f'{len(speakers)} speaker' + ('s' if len(speakers) != 1 else '')
        raise SerError(f"protocol '{protocol.kind}' needs at least 3 speakers, one each to train, validate and test; "
                       f'there {"is" if len(speakers) == 1 else "are"} {count} ({listed}). {_INSTEAD}')
    return identities


def shares_of(protocol):
    """(train, valid, test) shares of a protocol with both fractions. Raises SerError when nothing is left to train."""
    train = 1 - protocol.valid_fraction - protocol.test_fraction
    if train <= 1e-9:
        raise SerError(f'protocol.valid_fraction {protocol.valid_fraction} and protocol.test_fraction '
                       f'{protocol.test_fraction} leave nothing to train on; together they must be under 1')
    return train, protocol.valid_fraction, protocol.test_fraction


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


class Groups:
    """The groups of rows by `identities`, a (corpus, name) for each row, and their class counts.

    members: the groups in natural order. of_row: int64 (N,), the number of each row's group.
    """

    def __init__(self, index, rows, identities, protocol, names):
        self.kind, self.seed = protocol.kind, protocol.seed
        self.members = natural_order(identities)
        number = {who: i for i, who in enumerate(self.members)}
        self.of_row = np.array([number[who] for who in identities], dtype=np.int64)
        table, self.weights = _columns(index, rows, names)
        self.counts = np.zeros((len(self.members), table.shape[1]))
        np.add.at(self.counts, self.of_row, table)

    def divide(self, among, shares, *key, fewest=FEWEST, needed=None):
        """Part number of each group in `among` (numbers), every part non-empty.

        Of several corpora, every one with `fewest` groups and one for each part is divided by itself, so that it is in
        every part. Smaller ones are wholly in the part `needed`, which is also to have every class if any can; without
        one they are divided with the largest. Where all are small, all are divided as one.
        """
        corpora = np.array([self.members[group][0] for group in among])
        counts = Counter(corpora.tolist())
        able = [corpus for corpus in sorted(counts) if counts[corpus] >= max(fewest, len(shares))]
        if not able or len(counts) == 1:
            return self._assign(among, shares, key, needed)
        if needed is None:
            corpora[~np.isin(corpora, able)] = max(able, key=counts.get)
        parts = np.full(len(among), -1 if needed is None else needed)
        for corpus in able:
            places = np.flatnonzero(corpora == corpus)
            parts[places] = self._assign(among[places], shares, (*key, corpus), needed)
        return parts

    def _assign(self, among, shares, key, needed):
        return assign_groups(self.counts[among], self.weights, shares, self.kind, self.seed, *key, needed=needed)

    def too_small(self, fewest=FEWEST):
        """Notes that name the corpora which `divide` leaves whole."""
        counts = Counter(corpus for corpus, _ in self.members)
        small = [repr(corpus) for corpus in sorted(counts) if counts[corpus] < fewest]
        return (f'only trained on, having fewer than {fewest} to divide: {", ".join(small)}',) if (
            0 < len(small) < len(counts)) else ()

    def rest(self, tested, valid_fraction, *key):
        """Part of each row: `tested` groups test, of the others some validate."""
        others = np.setdiff1d(np.arange(len(self.members)), tested)
        part_of_group = np.full(len(self.members), PARTS.index('test'))
        part_of_group[others] = self.divide(others, (1 - valid_fraction, valid_fraction), 'valid', *key,
                                            needed=PARTS.index('train'))
        return part_of_group[self.of_row]
