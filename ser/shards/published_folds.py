"""The folds of EmoBox (Ma et al. 2024, Interspeech): known for RAVDESS and IEMOCAP, else read from a checkout.

Its test parts are taken as they are. Its validation is clips drawn at random from train, so that the voices it chooses
by are those it has heard: validation is drawn by whole speakers here.
"""

import re

import numpy as np

from ser.errors import SerError
from ser.shards.emobox_lists import EmoboxLists
from ser.shards.held_out_parts import fold_among, metadata_names, with_validation
from ser.shards.index import PARTS

RAVDESS_ACTORS = ((1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22))
"""Test actors of EmoBox's six RAVDESS folds; its speech recordings only."""

IEMOCAP_SESSIONS = 5
"""EmoBox's IEMOCAP fold i tests session i."""

_TRAIN, _VALID, _TEST = range(len(PARTS))
_DRAWN = "validation is drawn by speaker from EmoBox's training part, not by clip as EmoBox does"


def plain_name(name):
    """A corpus name as EmoBox writes its folders: small letters and digits."""
    return re.sub('[^a-z0-9]', '', name.lower())


def emobox_parts(index, rows, protocol, names):
    """(part of each row as int64 (N,), -1 for none, notes) of an `emobox` protocol.

    Raises SerError for several corpora at once, a corpus whose folds are not known or found, a fold out of range, and
    when most clips are in no list.
    """
    if protocol.folder is not None:
        return _listed_parts(index, rows, protocol, names)
    folds, numbers, what = _known(index, rows, protocol)
    wanted = folds[fold_among(protocol, len(folds), 'folds')]
    part_of, notes = with_validation(index, rows, np.isin(numbers, wanted), protocol, names)
    lacking = sorted(set(wanted) - set(numbers))
    notes = (*notes, *([f'of the fold the shards lack {what} {_words(lacking)}'] if lacking else ()))
    return part_of, (_DRAWN, *notes)


def emobox_names(index, rows, protocol, names):
    """What each fold tests: 'actors 1, 11, 20, 21', 'session 5', or 'EmoBox fold 2' of a checkout."""
    if protocol.folder is not None:
        return tuple(f'EmoBox fold {fold}' for fold in range(1, _lists(index, rows, protocol).folds + 1))
    folds, _, what = _known(index, rows, protocol)
    return tuple(f'{what} {_words(fold)}' for fold in folds)


def _words(numbers):
    return ', '.join(map(str, numbers))


def _corpus(index, rows, protocol):
    # Shards built from EmoBox's lists say which of its corpora they are of.
    corpora = {index.rows[row].metadata.get('emobox_dataset') or index.rows[row].origin or index.rows[row].corpus
               for row in rows}
    if len(corpora) != 1 or None in corpora:
        listed = ', '.join(sorted(corpora - {None})) or 'none that has a name'
        raise SerError(f"protocol '{protocol.kind}' is about one corpus; these shards are of {listed}. Give the shards "
                       'of one, or use --protocol speaker')
    return corpora.pop()


def _known(index, rows, protocol):
    """(folds, number of each row as an array, the word for a number) of a corpus whose folds need no list."""
    corpus = _corpus(index, rows, protocol)
    if plain_name(corpus) == 'ravdess':
        speakers = [index.rows[row].speaker for row in rows]
        return RAVDESS_ACTORS, _numbers(speakers, range(1, 25), 'RAVDESS actor'), 'actors'
    if plain_name(corpus) == 'iemocap':
        sessions = [name for _, name in metadata_names(index, rows, 'session', protocol, 'sessions')]
        folds = tuple((session,) for session in range(1, IEMOCAP_SESSIONS + 1))
        return folds, _numbers(sessions, range(1, IEMOCAP_SESSIONS + 1), 'IEMOCAP session'), 'session'
    raise SerError(f"protocol 'emobox': the folds of '{corpus}' are in EmoBox's own lists. Clone EmoBox and name its "
                   'folder: --set protocol.folder=EmoBox (without one: ravdess, iemocap)')


def _numbers(texts, allowed, what):
    """The number that each text ends in, int64 (N,). Raises SerError for one that is not allowed."""
    ends = [re.search(r'(\d+)$', text or '') for text in texts]
    numbers = [int(end.group(1)) if end else -1 for end in ends]
    wrong = [text for text, number in zip(texts, numbers, strict=True) if number not in allowed]
    if wrong:
        raise SerError(f"protocol 'emobox': {wrong[0]!r} is no {what}; they are {allowed[0]} to {allowed[-1]}. "
                       'Build the shards again from the corpus, or use --protocol speaker-kfold')
    return np.array(numbers, dtype=np.int64)


def _lists(index, rows, protocol):
    return EmoboxLists(protocol.folder, plain_name(_corpus(index, rows, protocol)))


def _listed_parts(index, rows, protocol, names):
    lists = _lists(index, rows, protocol)
    fold_among(protocol, lists.folds, 'folds')
    fold = lists.read(protocol.fold)
    place_of, count = fold.places([index.rows[row] for row in rows])
    unmatched = int((place_of == '').sum())
    if unmatched * 2 > len(rows):
        example = index.rows[rows[int(np.argmax(place_of == ''))]].key
        raise SerError(f"protocol 'emobox': {unmatched} of {len(rows)} clips are in no list of {fold.folder}, such as "
                       f"{example}. Clips are found by their JSON 'emobox_key' or by the file's name and folders")
    notes = []
    if unmatched:
        notes.append(f"in no part: {unmatched} clips that EmoBox's lists do not have")
    tested = int((place_of == 'test').sum())
    if tested < count['test']:
        notes.append(f"{count['test'] - tested} of EmoBox's {count['test']} test clips are not in the shards")
    if count['valid']:
        part_of = np.select([place_of == 'train', place_of == 'valid', place_of == 'test'], [_TRAIN, _VALID, _TEST], -1)
        return part_of, ("validation is EmoBox's own list", *notes)
    part_of, of_validation = with_validation(index, rows, place_of == 'test', protocol, names, place_of == '')
    return part_of, (_DRAWN, *of_validation, *notes)
