"""Whole groups (speakers) to parts, so that each part's class counts come as near its share as whole groups allow."""

import numpy as np

from ser.randomness import hashed, key_of, permutation

_RESTARTS = 8
_SWAP_GROUPS = 192
_TOLERANCE = 1e-9


def assign_groups(counts, weights, shares, *key, needed=None):
    """The part of each group: int64 (S,), every part non-empty.

    counts: int (S, C), what each group adds to each column (clips of a class, clips of a gender).
    weights: float (C,), how much a column matters; a column of weight 1 also wants to be present in every part.
    shares: float (P,), the parts' shares, summing to 1; S >= P. key: what ties and the starting points are drawn by.
    needed: the part that is to have every column of weight 1, also one that too few groups have to be in all parts.

    Minimises the chi-square distance of the parts' column counts to share * total, by moves and swaps of groups
    from several keyed starting points. The same arguments give the same answer.
    """
    counts, shares = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    cost = _Cost(counts, np.asarray(weights, dtype=np.float64), shares, needed)
    best, best_cost = None, np.inf
    for restart in range(_RESTARTS):
        order = permutation(len(counts), *key, restart)
        parts = np.empty(len(counts), dtype=np.int64)
        parts[order], value = _descend(cost, counts[order], len(shares), key_of(*key, restart))
        if value < best_cost - _TOLERANCE:
            best, best_cost = parts, value
    return best


class _Cost:
    def __init__(self, counts, weights, shares, needed=None):
        totals = counts.sum(axis=0)
        self.shares = shares
        self.target = shares[:, None] * totals
        self.scale = weights / np.maximum(self.target, 1e-12)
        # A class that enough groups have must not be missing anywhere: worth more than any imbalance.
        groups = (counts > 0).sum(axis=0)
        wanted = np.tile(groups >= len(shares), (len(shares), 1))
        if needed is not None:
            wanted[needed] |= groups > 0
        self.missing = np.where((weights == 1) & wanted, counts.sum() + 1, 0.0)

    def of(self, part, held):
        """Cost of a part (or an array of parts) that holds `held` (..., C)."""
        distance = (held - self.target[part]) ** 2 * self.scale[part]
        return (distance + self.missing[part] * (held <= 0)).sum(axis=-1)


def _start(cost, counts, n_parts):
    """Each group in turn to the part that lacks most; the last groups fill parts that are still empty."""
    sizes = counts.sum(axis=1)
    lacking = cost.shares * sizes.sum()
    members = np.zeros(n_parts, dtype=np.int64)
    parts = np.empty(len(counts), dtype=np.int64)
    for group, size in enumerate(sizes):
        empty = np.flatnonzero(members == 0)
        choice = empty[np.argmax(lacking[empty])] if len(counts) - group <= len(empty) else int(np.argmax(lacking))
        parts[group] = choice
        lacking[choice] -= size
        members[choice] += 1
    return parts


def _descend(cost, counts, n_parts, key):
    """(parts, cost): the best single move or swap, again and again until none helps."""
    parts = _start(cost, counts, n_parts)
    for round_number in range(20 * len(counts)):
        held = np.stack([counts[parts == part].sum(axis=0) for part in range(n_parts)])
        costs = cost.of(np.arange(n_parts), held)
        gain, change = _best_move(cost, counts, parts, held, costs)
        swap_gain, swap = _best_swap(cost, counts, parts, held, costs, _candidates(len(counts), key, round_number))
        if max(gain, swap_gain) <= _TOLERANCE * max(1.0, costs.sum()):
            break
        if gain >= swap_gain:
            parts[change[0]] = change[1]
        else:
            first, second = swap
            parts[first], parts[second] = parts[second], parts[first]
    return parts, float(np.round(costs.sum(), 6))


def _candidates(n, key, round_number):
    """Groups tried in swaps: all of them, or a keyed sample where all pairs would be too many."""
    if n <= _SWAP_GROUPS:
        return np.arange(n)
    return np.sort(np.argsort(hashed(key + round_number & (1 << 64) - 1, np.arange(n)), kind='stable')[:_SWAP_GROUPS])


def _best_move(cost, counts, parts, held, costs):
    """(gain, (group, part)) of the best move that leaves no part empty."""
    n_parts = len(held)
    leave = costs[parts] - cost.of(parts, held[parts] - counts)
    gains = np.empty((len(counts), n_parts))
    for part in range(n_parts):
        gains[:, part] = leave + costs[part] - cost.of(part, held[part] + counts)
    gains[np.arange(len(counts)), parts] = -np.inf
    gains[np.bincount(parts, minlength=n_parts)[parts] == 1] = -np.inf
    best = int(np.argmax(np.round(gains, 6)))
    return float(gains.flat[best]), divmod(best, n_parts)


def _best_swap(cost, counts, parts, held, costs, groups):
    """(gain, (group, group)) of the best swap among `groups`."""
    first, second = (groups[side] for side in np.triu_indices(len(groups), 1))
    differ = parts[first] != parts[second]
    first, second = first[differ], second[differ]
    if not len(first):
        return -np.inf, None
    change = counts[second] - counts[first]
    a, b = parts[first], parts[second]
    gains = costs[a] + costs[b] - cost.of(a, held[a] + change) - cost.of(b, held[b] - change)
    best = int(np.argmax(np.round(gains, 6)))
    return float(gains[best]), (int(first[best]), int(second[best]))
