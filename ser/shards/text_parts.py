"""Protocols that hold out sentences: `text`, and `speaker+text` for unseen speakers saying unseen sentences."""

import numpy as np

from ser.errors import SerError
from ser.shards.groups import Groups, shares_of, speakers_of
from ser.shards.held_out_parts import metadata_names
from ser.shards.index import PARTS

_TRAIN, _VALID, _TEST = range(len(PARTS))


def _sentences(index, rows, protocol, names, fewest):
    texts = metadata_names(index, rows, 'text_id', protocol, 'to know which sentence is spoken')
    groups = Groups(index, rows, texts, protocol, names)
    if len(groups.members) < fewest:
        count = len(groups.members)
        raise SerError(f"protocol '{protocol.kind}' needs at least {fewest} sentences; there "
                       f'{"is 1" if count == 1 else f"are {count}"} '
                       f'({", ".join(text for _, text in groups.members)}). '
                       f'{"Use --protocol speaker+text or speaker" if count == 2 else "Use --protocol speaker"}')
    return groups


def text_parts(index, rows, protocol, names):
    """(part of each row as int64 (N,), notes): whole sentences, within each corpus that has three."""
    groups = _sentences(index, rows, protocol, names, 3)
    parts = groups.divide(np.arange(len(groups.members)), shares_of(protocol), needed=_TRAIN)
    return parts[groups.of_row], groups.too_small()


def speaker_text_parts(index, rows, protocol, names):
    """(part of each row, notes): test is what test speakers say of test sentences.

    Clips of a test speaker or of a test sentence that are not both are in no part (-1), and are counted in the notes.
    """
    speakers = Groups(index, rows, speakers_of(index, rows, protocol), protocol, names)
    texts = _sentences(index, rows, protocol, names, 2)
    of_speaker = speakers.divide(np.arange(len(speakers.members)), shares_of(protocol), needed=_TRAIN)[speakers.of_row]
    text_shares = 1 - protocol.text_fraction, protocol.text_fraction
    unseen = texts.divide(np.arange(len(texts.members)), text_shares, 'text', fewest=2, needed=0)[texts.of_row] == 1
    tested = of_speaker == _TEST
    part_of = np.where(tested == unseen, of_speaker, -1)
    said, heard = int((tested & ~unseen).sum()), int((~tested & unseen).sum())
    return part_of, (f'in no part: {said} clips of test speakers with other sentences, {heard} clips of other speakers '
                     'with test sentences', *speakers.too_small(), *texts.too_small(2))
