"""Balance inside the plan: which rows an epoch draws so that every group comes equally often."""

import numpy as np

from ser.errors import SerError
from ser.randomness import permutation
from ser.shards.split import speaker_identity

_GROUP_OF = {'class': lambda row: row.emotion, 'corpus': lambda row: row.corpus, 'speaker': speaker_identity}


def balance_groups(index, rows, data):
    """The group of every row of an Index as int64 (N,) by a DataConfig's `balance`, None for 'none'.

    rows: numbers of those that train; the others are in group -1. Raises SerError for 'corpus' where they are of one,
    and for 'speaker' where one is unknown.
    """
    if data.balance == 'none':
        return None
    groups = [_GROUP_OF[data.balance](index.rows[row]) for row in rows]
    if data.balance == 'speaker' and None in groups:
        raise SerError(f'data.balance speaker: {groups.count(None)} of {len(groups)} training clips have no speaker, '
                       f'such as {index.rows[rows[groups.index(None)]].key}. Use data.balance class, corpus or none')
    if data.balance == 'corpus' and len(set(groups)) < 2:
        raise SerError('data.balance corpus: all training clips are of one corpus. Name several sets (--shards '
                       'ravdess=data/ravdess emodb=data/emodb), or use data.balance class, speaker or none')
    number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    group_of = np.full(len(index.rows), -1)
    group_of[rows] = [number[group] for group in groups]
    return group_of


def expected_draws(rows, groups):
    """How often an epoch draws each of `rows` on average, float64 (N,), sum N. Arguments as in balanced_rows."""
    _, group_of, sizes = np.unique(np.asarray(groups)[rows], return_inverse=True, return_counts=True)
    return len(rows) / (len(sizes) * sizes[group_of])


def balanced_rows(rows, groups, seed, epoch):
    """What an epoch draws: int64 (N,), as many as there are rows, sorted, some of them several times.

    rows: int64 (N,). groups: the group of every row of the index. With G groups among the rows, a group's count is
    N / G up to less than 1, a row's its group's count over the group's size, rounded up or down. Systematic sampling
    over time: each group is gone through in one keyed order, every epoch going on where the last one stopped, so all of
    a large group has come before any of it comes again. A function of its arguments alone.
    """
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    present, group_of = np.unique(np.asarray(groups)[rows], return_inverse=True)
    total, count = len(rows), len(present)
    # floor((x + k) / count) over k = 0 .. count - 1 sums to x: all groups together draw exactly `total` an epoch.
    rank = permutation(count, 'balance', seed)
    drawn = []
    for number in range(count):
        members = rows[group_of == number]
        members = members[permutation(len(members), 'balance', seed, int(present[number]))]
        start, end = ((i * total + int(rank[number])) // count for i in (epoch, epoch + 1))
        drawn.append(members[np.arange(start, end) % len(members)])
    return np.sort(np.concatenate(drawn))
