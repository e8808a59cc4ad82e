"""Validation inside what a protocol trains on: whole speakers where they are known, clips where they are not."""

import numpy as np

from ser.randomness import permutation
from ser.shards.groups import FEWEST, Groups
from ser.shards.split import speaker_identity

BY_CLIP = ('validation is drawn by clip, so its voices are heard in training: speakers are unknown, or fewer than 3 '
           'are left')
"""What is noted where validation cannot be of whole speakers."""


def _round_share(share, n):
    """Clips of n for a share: rounded, at least 1 of three or more, but never all."""
    return min(max(int(n * share + 0.5), 1), n - 1) if n >= 3 else 0


def clips_by_class(index, rows, names, share, *key):
    """int64 places in `rows`: a share of the clips of each class, drawn by key, in ascending order.

    One where that would be none, of a class with another clip if there is any; none of a single row.
    """
    emotions = np.array([index.rows[row].emotion for row in rows])
    chosen = [np.empty(0, dtype=np.int64)]
    for name in names:
        members = np.flatnonzero(emotions == name)
        chosen.append(members[permutation(len(members), *key, name)][:_round_share(share, len(members))])
    places = np.sort(np.concatenate(chosen))
    if len(places) or len(rows) < 2:
        return places
    spare = [place for place, emotion in enumerate(emotions) if (emotions == emotion).sum() > 1]
    return np.array([spare[-1] if spare else len(rows) - 1])


def draw_validation(index, rows, fraction, protocol, names):
    """(int64 places in `rows` that validate, notes) among the rows that are not tested.

    In every corpus whose speakers are known and at least three: whole speakers, about `fraction` of the clips. Other
    corpora only train; where there is no such corpus, clips are drawn within each class. protocol: its kind and seed.
    """
    by_corpus = {}
    for place, row in enumerate(rows):
        by_corpus.setdefault(index.rows[row].corpus or '', []).append(place)
    able = [corpus for corpus in sorted(by_corpus) if _able(index, rows[by_corpus[corpus]])]
    if not able:
        return clips_by_class(index, rows, names, fraction, 'validation', protocol.kind, protocol.seed), (BY_CLIP,)
    places = np.sort(np.concatenate([by_corpus[corpus] for corpus in able]).astype(np.int64))
    identities = [speaker_identity(index.rows[row]) for row in rows[places]]
    groups = Groups(index, rows[places], identities, protocol, names)
    parts = groups.divide(np.arange(len(groups.members)), (1 - fraction, fraction), 'valid', needed=0)
    others = sorted(set(by_corpus) - set(able))
    notes = (f'no clip of {", ".join(map(repr, others))} validates: its speakers are unknown or fewer than 3',)
    return places[parts[groups.of_row] == 1], notes if others else ()


def _able(index, rows):
    speakers = {speaker_identity(index.rows[row]) for row in rows}
    return None not in speakers and len(speakers) >= FEWEST
