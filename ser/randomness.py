"""Keyed randomness: every random number is a pure function of a seed and named keys.

Nothing is stored and nothing advances, so a resumed run, another number of workers or another
number of ranks draws the same numbers. The mixer is SplitMix64's finaliser (Steele, Lea and
Flood 2014, "Fast splittable pseudorandom number generators"), vectorised with numpy.
"""

import hashlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def key_of(*parts):
    """A 64-bit key for any sequence of strings and integers: a hash, never a sum."""
    text = '\x1f'.join(f'{type(part).__name__}:{part}' for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), 'little')


def _mix(x):
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


def hashed(key, counters):
    """uint64 hashes of `counters` (any shape, integers) under the 64-bit `key`."""
    counters = np.asarray(counters).astype(np.uint64)
    with np.errstate(over='ignore'):
        return _mix(_mix(counters * _GOLDEN + np.uint64(key)) + _GOLDEN)


def permutation(n, *key):
    """A permutation of range(n), int64 (n,): the order of n keyed hashes."""
    return np.argsort(hashed(key_of(*key), np.arange(n)), kind='stable')


def uniform(ids, count, *key):
    """Uniform numbers in [0, 1), float64 (len(ids), count), one row per sample id.

    A row depends on the key and its own id alone, never on the other ids.
    """
    rows = hashed(key_of(*key), np.asarray(ids, dtype=np.int64))
    with np.errstate(over='ignore'):
        draws = _mix(rows[:, None] + (np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)[None, :])
    return (draws >> np.uint64(11)) * 2.0**-53


def generator(*key):
    """A numpy Generator (Philox, counter-based) for draws that are not uniform, such as Beta."""
    return np.random.Generator(np.random.Philox(key=key_of(*key)))
