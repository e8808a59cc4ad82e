"""The fingerprints of every clip of an index: made in processes, kept in the user's cache folder shard by shard."""

import contextlib
import hashlib
import io
import json
import logging
import os
import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ser.errors import SerError
from ser.shards.decode import BadSample
from ser.shards.fingerprint import DESCRIPTOR, FACTS, fingerprint
from ser.shards.index_cache import cache_folder
from ser.shards.pool import cores, ordered_map

VERSION = 1
"""Of what is kept; a change of fingerprint's numbers makes it another."""

CLIPS_PER_JOB = 32
# Starting processes takes as long as this many clips.
_FEW_CLIPS = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prints:
    """Fingerprints as columns, row by row of an index.

    pcm: uint8 (N, 32), sha256 of the decoded samples. facts: float32 (N, 7), fingerprint.FACTS, NaN where unknown.
    descriptors: int8 (N, 512). spread: float32 (N,), seconds, 0 where nothing sounds. bad: row -> why it could not be
    decoded; its columns are zeros and NaN.
    """

    pcm: np.ndarray
    facts: np.ndarray
    descriptors: np.ndarray
    spread: np.ndarray
    bad: dict

    def fact(self, name):
        """float64 (N,): one of fingerprint.FACTS."""
        return self.facts[:, FACTS.index(name)].astype(np.float64)


def fingerprint_index(index, jobs=None):
    """The Prints of an Index; shards that were seen before, wherever they lay, are not read again.

    jobs: processes, the cores unless given. A clip that cannot be decoded is no error but in Prints.bad.
    Raises SerError when a shard cannot be read or a process dies.
    """
    held = [[] for _ in index.shards]
    for row in index.rows:
        held[row.shard].append(row)
    names = [_name(shard, rows) for shard, rows in zip(index.shards, held, strict=True)]
    found = {number: entry for number, name in enumerate(names) if (entry := load(name)) is not None}
    new = [number for number in range(len(names)) if number not in found and held[number]]
    for number, entry in _make(index, held, new, jobs):
        save(names[number], entry)
        found[number] = entry
    return _columns(index, found)


def _columns(index, found):
    """The shards' entries as one Prints, in the order of the index."""
    places = defaultdict(list)
    for number, row in enumerate(index.rows):
        places[row.shard].append(number)
    prints = Prints(*_empty(len(index.rows)), {})
    for shard, rows in places.items():
        entry = found[shard]
        for name in ('pcm', 'facts', 'descriptors', 'spread'):
            getattr(prints, name)[rows] = entry[name]
        prints.bad.update({rows[int(place)]: why for place, why in json.loads(str(entry['bad'])).items()})
    return prints


def _empty(count):
    return (np.zeros((count, 32), dtype=np.uint8), np.full((count, len(FACTS)), np.nan, dtype=np.float32),
            np.zeros((count, DESCRIPTOR), dtype=np.int8), np.zeros(count, dtype=np.float32))


def _make(index, held, numbers, jobs):
    """(shard number, entry) of each shard in turn, its clips shared out among processes."""
    items = [(index.shards[number], rows[start:start + CLIPS_PER_JOB])
             for number in numbers for rows in (held[number],) for start in range(0, len(rows), CLIPS_PER_JOB)]
    clips = sum(len(rows) for _, rows in items)
    if not clips:
        return
    started = time.monotonic()
    jobs = 1 if clips < _FEW_CLIPS else min(jobs or cores(), len(items))
    spans = ((shard, [(row.offset, row.size, row.suffix, row.audio_sha256) for row in rows]) for shard, rows in items)
    results = ordered_map(_some, spans, jobs)
    for number in numbers:
        pieces = [next(results) for _ in range(0, len(held[number]), CLIPS_PER_JOB)]
        yield number, _entry([one for piece in pieces for one in piece])
    # The map ends its processes when it is exhausted.
    next(results, None)
    seconds = time.monotonic() - started
    log.info('fingerprints of %d clips: %.1f s (%.0f clips/s)', clips, seconds, clips / seconds)


def _some(item):
    """Fingerprints of some spans of a shard; a message where a clip cannot be decoded."""
    shard, spans = item
    found = []
    for data, (_, _, suffix, sha256) in zip(read_spans(shard, spans), spans, strict=True):
        try:
            found.append(fingerprint(data, suffix, sha256))
        except BadSample as bad:
            found.append(str(bad))
    return found


def read_spans(shard, spans):
    """The bytes of each (offset, size, ...) of a Shard. Raises SerError when it is gone or has changed."""
    try:
        with open(shard.open(), 'rb') as file:
            if os.fstat(file.fileno()).st_size != shard.size:
                raise SerError(f'{shard.path}: changed since it was indexed. Start again')
            for offset, size, *_ in spans:
                file.seek(offset)
                yield file.read(size)
    except OSError as error:
        raise SerError(f'{shard.path}: cannot be read ({error.strerror or error})') from None


def _entry(found):
    """A shard's arrays as they are kept."""
    pcm, facts, descriptors, spread = _empty(len(found))
    for place, one in enumerate(found):
        if not isinstance(one, str):
            pcm[place] = np.frombuffer(one.pcm, dtype=np.uint8)
            facts[place], descriptors[place], spread[place] = one.facts, one.descriptor, one.spread
    bad = json.dumps({place: one for place, one in enumerate(found) if isinstance(one, str)})
    return {'pcm': pcm, 'facts': facts, 'descriptors': descriptors, 'spread': spread, 'bad': np.array(bad)}


def _name(shard, rows):
    return name_of('shard', shard.sha256, [(row.offset, row.size, row.suffix, row.audio_sha256) for row in rows])


def name_of(*parts):
    """The name of a cache entry that `parts` (JSON-able) decide, hex."""
    return hashlib.sha256(json.dumps([VERSION, *parts]).encode()).hexdigest()


def load(name):
    """The arrays of a cache entry, or None where there is none, or none that is whole."""
    folder = _folder()
    if folder is None:
        return None
    try:
        digest, _, body = (folder / f'{name}.npz').read_bytes().partition(b'\n')
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, KeyError):
        return None


def save(name, arrays):
    """Keep arrays under a name; a cache that cannot be written is passed over in silence."""
    folder = _folder()
    if folder is None:
        return
    body = io.BytesIO()
    np.savez(body, **arrays)
    entry = folder / f'{name}.npz'
    temporary = entry.with_name(f'{entry.name}.{os.getpid()}.tmp')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(hashlib.sha256(body.getvalue()).hexdigest().encode() + b'\n' + body.getvalue())
        os.replace(temporary, entry)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _folder():
    """`serstream/fingerprints` beside the index cache, or None where there is no home."""
    folder = cache_folder()
    return None if folder is None else folder.with_name('fingerprints')
