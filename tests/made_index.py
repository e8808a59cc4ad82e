"""Indexes made up in memory: clips of corpora, speakers, sessions and sentences, with no audio behind them."""

from collections import Counter

import pytest

from ser.errors import SerError
from ser.shards.index import Index, Row, Shard
from ser.shards.protocols import make_split

NAMES = ('neutral', 'calm', 'happy', 'sad')


def clips(corpus='one', speakers=6, emotions=NAMES, each=4, set_name=None, says=None):
    """Rows: `each` takes of every speaker (names, or how many) and emotion.

    says: (number of the speaker, number of the take) -> further JSON of the clip.
    """
    names = [f'{i:02d}' for i in range(1, speakers + 1)] if isinstance(speakers, int) else speakers
    rows = []
    for number, speaker in enumerate(names):
        for emotion in emotions:
            for take in range(each):
                metadata = {'corpus': corpus, 'gender': ('f', 'm')[number % 2], **(says(number, take) if says else {})}
                key = f'{corpus}-{number}-{emotion}-{take}'
                rows.append(Row(key, 0, 0, 1, '.wav', emotion, emotion, speaker, None, None, None,
                                f'{hash_of(key):064x}', metadata, set_name))
    return rows


def hash_of(text):
    """A number that differs for every text, the same in every process."""
    return int.from_bytes(text.encode(), 'big')


def index_of(*groups):
    """The Index of lists of rows."""
    return Index((Shard('x.tar', 'x.tar', '0' * 64, 1, None),), tuple(row for rows in groups for row in rows),
                 Counter(), ())


def values(index, split, of):
    """Part -> set of of(row)."""
    return {part: {of(index.rows[row]) for row in rows} for part, rows in split.parts.items()}


def keys(index, split):
    """Part -> keys."""
    return values(index, split, lambda row: row.key)


def refused(index, protocol, *said, names=NAMES):
    """The split is refused in one line that says all of it."""
    with pytest.raises(SerError) as error:
        make_split(index, protocol, names)
    assert all(text in str(error.value) for text in said), str(error.value)
    assert '\n' not in str(error.value)
