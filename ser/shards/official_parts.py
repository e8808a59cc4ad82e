"""The split that came with a corpus: one JSON key of each sample says it, clips of further parts are in none."""

from collections import Counter

import numpy as np

from ser.errors import SerError, did_you_mean
from ser.shards.held_out_parts import metadata_names
from ser.shards.index import PARTS


def official_parts(index, rows, protocol, names):
    """(part of each row as int64 (N,), -1 for none, notes) of an `official` protocol.

    Raises SerError for a clip without the key, a value that stands for two parts, and one that no clip has.
    """
    values = [value for _, value in metadata_names(index, rows, protocol.column, protocol, "the corpus's own split")]
    counts = Counter(values)
    wanted = dict(zip(PARTS, (protocol.train, protocol.valid, protocol.test), strict=True))
    meaning = {_plain(value): number for number, value in enumerate(wanted.values())}
    if len(meaning) < len(wanted):
        raise SerError(f'protocol.train, protocol.valid and protocol.test are {", ".join(map(repr, wanted.values()))}: '
                       'one value stands for two parts')
    present = {_plain(value) for value in counts}
    for part, value in wanted.items():
        if _plain(value) not in present:
            raise SerError(f"protocol.{part}: no clip has {protocol.column} '{value}'.{did_you_mean(value, counts)} "
                           f'There are: {_counted(counts)}')
    part_of = np.array([meaning.get(_plain(value), -1) for value in values], dtype=np.int64)
    others = Counter({value: count for value, count in counts.items() if _plain(value) not in meaning})
    return part_of, (f'in no part: {_counted(others)}',) if others else ()


def _plain(value):
    return value.strip().lower()


def _counted(counts):
    return ', '.join(f'{value} ({counts[value]} clips)' for value in sorted(counts))
