"""EmoBox's lists in a checkout: data/<corpus>/fold_<k>/<corpus>_{train,valid,test}_fold_<k>.jsonl.

A line is an object with `key` (`cremad-1067-IWL-NEU-XX`) and `wav` (`downloads/cremad/AudioWAV/1067_IWL_NEU_XX.wav`).
"""

import json
import re
from pathlib import Path, PurePosixPath

import numpy as np

from ser.errors import SerError, did_you_mean

_WRITTEN = ('train', 'valid', 'test')
_MAX_BYTES = 1 << 28


class EmoboxLists:
    """The folds of one corpus. folder: the checkout, its `data`, or the corpus's folder there.

    Raises SerError when no fold of `corpus` (EmoBox's name) is there.
    """

    def __init__(self, folder, corpus):
        self.corpus = corpus
        root = Path(folder).expanduser()
        places = [root / 'data' / corpus, root / corpus, root]
        self.folder = next((place for place in places if self._path(place, 1, 'test').is_file()), None)
        if self.folder is None:
            data = root / 'data' if (root / 'data').is_dir() else root
            there = sorted(path.name for path in data.iterdir() if path.is_dir()) if data.is_dir() else []
            raise SerError(f"protocol.folder: no {self._path(places[0], 1, 'test')}. Name a checkout of EmoBox that "
                           f"has '{corpus}'.{did_you_mean(corpus, there)}")
        self.folds = 1
        while self._path(self.folder, self.folds + 1, 'test').is_file():
            self.folds += 1

    def _path(self, folder, fold, part):
        return folder / f'fold_{fold}' / f'{self.corpus}_{part}_fold_{fold}.jsonl'

    def read(self, fold):
        """The EmoboxFold of a fold, from 1. Raises SerError for a list missing, damaged or at odds with another."""
        lists = {part: self._path(self.folder, fold, part) for part in _WRITTEN}
        entries = {part: _entries(path) for part, path in lists.items() if part != 'valid' or path.is_file()}
        return EmoboxFold(self.folder / f'fold_{fold}', entries)


def _entries(path):
    """[(key, wav)] of a list."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SerError(f'{path}: over {_MAX_BYTES} bytes, so no list of EmoBox')
        lines = path.read_text(encoding='utf-8').splitlines()
    except OSError as error:
        raise SerError(f'{path}: cannot be read ({error.strerror or error}). Clone EmoBox again') from None
    except UnicodeDecodeError:
        raise SerError(f'{path}: not UTF-8. Clone EmoBox again') from None
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
            key, wav = value['key'], value['wav']
            if not isinstance(key, str) or not isinstance(wav, str):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SerError(f"{path}, line {number}: not an object with 'key' and 'wav'. Clone EmoBox again") from None
        found.append((key, wav))
    return found


class EmoboxFold:
    """One fold's lists. folder: where they lie."""

    def __init__(self, folder, entries):
        self.folder = folder
        self._part_of, self._aliases = {}, {}
        for part, pairs in entries.items():
            for key, wav in pairs:
                if self._part_of.setdefault(key, part) != part:
                    raise SerError(f"{folder}: '{key}' is in the lists of both {self._part_of[key]} and {part}")
                for alias in _aliases_of(key, wav):
                    self._aliases[alias] = key if self._aliases.get(alias, key) == key else None

    def places(self, rows):
        """('train', 'valid', 'test' or '' for each Row as an array (N,), part -> clips listed).

        A clip is found by its JSON `emobox_key`, else by its key: the longest end of it that is the name, or the name
        and folders, of one listed file alone. Two clips that come upon one file are both not found.
        """
        keys = [self._key_of(row) for row in rows]
        once = {key for key, count in zip(*np.unique([key or '' for key in keys], return_counts=True), strict=True)
                if count == 1}
        found = [self._part_of[key] if key in once else '' for key in keys]
        parts = list(self._part_of.values())
        return np.array(found, dtype='<U5'), {part: parts.count(part) for part in _WRITTEN}

    def _key_of(self, row):
        said = row.metadata.get('emobox_key')
        if isinstance(said, str):
            return said if said in self._part_of else None
        words = _plain(row.key).split('_')
        ends = ('_'.join(words[start:]) for start in range(len(words)))
        return next((self._aliases[end] for end in ends if end in self._aliases), None)


def _plain(text):
    return re.sub('[^a-z0-9]+', '_', text.lower()).strip('_')


def _aliases_of(key, wav):
    """What the key of a sample may end in: EmoBox's key, with and without the corpus, and the path from any folder."""
    parts = PurePosixPath(wav).with_suffix('').parts
    paths = ('/'.join(parts[start:]) for start in range(len(parts)))
    return {_plain(text) for text in (key, key.partition('-')[2], *paths)} - {''}
