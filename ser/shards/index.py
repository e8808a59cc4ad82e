"""The index: every sample of every shard, found in one strict pass before anything is trained on."""

import functools
import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from sys import intern

from ser.errors import SerError
from ser.files import natural
from ser.labels import canonical
from ser.shards.index_cache import cached_scan
from ser.shards.paths import shard_files
from ser.shards.publish import MANIFEST, unfinished
from ser.shards.remote_cache import ShardCache
from ser.shards.remote_index import scan_remotes
from ser.shards.sample_label import find_label, parse_label_option
from ser.shards.tarscan import ShardFault, again

PARTS = ('train', 'valid', 'test')
_MAX_MANIFEST_BYTES = 1 << 26
_SHARED_CHARACTERS = 32
# A sample rate or a number of frames in JSON from here on says nothing: it would last for years.
_BEYOND_COUNTING = 1 << 40


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar file. name: its base name. part: 'train', 'valid' or 'test' when each part has shards of its own.

    set_name: the set it was named in (`--shards NAME=PATH`), None where sets have no names. store: the cache that
    fetches it where `path` is an address, else None.
    """

    path: str
    name: str
    sha256: str
    size: int
    part: str | None
    set_name: str | None = None
    store: ShardCache | None = None

    def open(self):
        """A file descriptor for reading. Raises OSError, and SerError where it must be fetched and cannot."""
        return self.store.open(self) if self.store else os.open(self.path, os.O_RDONLY | getattr(os, 'O_BINARY', 0))

    def local_path(self):
        """Where it lies on this machine, fetched first if need be; the cache may give it up later."""
        if self.store:
            os.close(self.open())
        return str(self.store.path_of(self)) if self.store else self.path


@dataclass(frozen=True, slots=True)
class Row:
    """A sample: the span of its audio member in a shard (bytes), its label and what is known about it.

    shard: number in Index.shards. suffix: such as '.flac'. emotion: canonical where an alias is known, '' for none.
    sample_rate (Hz), frames: from the JSON where present. audio_sha256: of the encoded member, hex; the builder's
    record where there is one, else that of the indexing pass. metadata: the JSON object. set_name: its shard's.
    """

    key: str
    shard: int
    offset: int
    size: int
    suffix: str
    emotion: str
    raw_label: str
    speaker: str | None
    part: str | None
    sample_rate: int | None
    frames: int | None
    audio_sha256: str | None
    metadata: dict
    set_name: str | None = None

    @property
    def corpus(self):
        """What the user calls the corpus: the set's name, else the JSON's `corpus`; None where neither is there."""
        return self.origin if self.set_name is None else self.set_name

    @property
    def origin(self):
        """The corpus by its own account, the JSON's `corpus`, whatever the set is called; None where it says none."""
        said = self.metadata.get('corpus')
        return said if isinstance(said, str) and said else None


_DIGESTED = tuple(name for name in Row.__slots__ if name != 'set_name')


@dataclass(frozen=True)
class Index:
    """All samples, in the natural order of the shards' names. ignored: reason -> members passed over."""

    shards: tuple[Shard, ...]
    rows: tuple[Row, ...]
    ignored: Counter
    notes: tuple[str, ...]

    @functools.cached_property
    def digest(self):
        """sha256 (hex) of all rows and the shards' names, hashes and parts; where the shards lie does not enter.

        Names of sets enter where they are given: they say who is whose speaker.
        """
        digest = hashlib.sha256()
        for shard in self.shards:
            named = [] if shard.set_name is None else [shard.set_name]
            digest.update(_line([shard.name, shard.sha256, shard.part, *named]))
        for row in self.rows:
            digest.update(_line([getattr(row, name) for name in _DIGESTED]))
        return digest.hexdigest()

    @functools.cached_property
    def _several_corpora(self):
        return len({row.corpus for row in self.rows}) > 1

    def speaker_name(self, row):
        """The speaker of a Row, as '<corpus>/<speaker>' where several corpora meet: they number speakers alike."""
        if row.speaker is None or not self._several_corpora:
            return row.speaker
        return f'{row.corpus}/{row.speaker}'


def _line(values):
    return json.dumps(values, sort_keys=True, ensure_ascii=True).encode() + b'\n'


def build_index(data):
    """The Index of a DataConfig's shards.

    With valid_shards or test_shards, rows carry their part and `shards` is the training part. Entries may name their
    set (`ravdess=data/ravdess`), which rows then carry as their corpus. Scans are cached.
    Raises SerError for shards that are missing, damaged or not as their manifest says, for a sample without exactly
    one audio member and a label, for a key that two samples share, and, unless `on_error` is 'skip', for audio whose
    bytes are not those that its JSON recorded.
    """
    source = parse_label_option(data.label)
    shards, scans, met = [], [], {}
    named = shard_files(data, PARTS)
    store, fetched = scan_remotes([path for path, *_ in named], data, source.wanted)
    for path, part, set_name in named:
        scan = fetched.get(path) or cached_scan(path, source.wanted)
        for sample in scan.samples:
            _share(sample.metadata, met)
        shards.append(Shard(str(path), path.name, scan.sha256, scan.size, part, set_name,
                            store if path in fetched else None))
        scans.append(scan)
    order = sorted(range(len(shards)), key=lambda i: (natural(shards[i].name), shards[i].sha256,
                                                      shards[i].part or '', shards[i].set_name or ''))
    shards, scans = tuple(shards[i] for i in order), [scans[i] for i in order]
    notes = _check_manifests(shards)
    rows, ignored = [], Counter()
    for number, (shard, scan) in enumerate(zip(shards, scans, strict=True)):
        ignored.update(scan.ignored)
        rows += [row_of(sample, number, shard, (source, data.classes, ignored)) for sample in scan.samples]
        if data.on_error == 'raise':
            _refuse_changed(shard, scan.samples, rows[-len(scan.samples):])
    _refuse_repeats(shards, rows)
    return Index(shards, tuple(rows), ignored, (*notes, *_set_notes(rows)))


def named_shards(data):
    """[(path, part)] of the config's shards, each file once."""
    return [(path, part) for path, part, _ in shard_files(data, PARTS)]


def row_of(sample, number, shard, settings):
    """The Row of a RawSample of shard `number`; settings: (LabelSource, names of integer labels, Counter of ignored).

    Raises ShardFault for a label or a speaker that cannot be read.
    """
    source, classes, ignored = settings
    metadata = sample.metadata
    try:
        raw, unused = find_label(sample, source, classes)
        speaker = _speaker(metadata)
    except SerError as error:
        raise ShardFault(shard.path, f'sample {sample.key!r}: {error}', sample.offset, 'label',
                         sample.key + sample.suffix) from None
    ignored.update(f'text members (.{suffix})' for suffix in unused)
    said = metadata.get('raw_label')
    emotion = intern(canonical(raw) if raw else '')
    return Row(sample.key, number, sample.offset, sample.size, intern(sample.suffix), emotion,
               said if isinstance(said, str) else raw, speaker, shard.part, _count(metadata, 'sample_rate'),
               _count(metadata, 'frames'), sample.recorded_sha256, metadata, shard.set_name)


def _share(metadata, met):
    """One object for equal short texts: speakers, labels and the like are most of what an index would weigh."""
    for name, value in metadata.items():
        if isinstance(value, str) and len(value) <= _SHARED_CHARACTERS:
            metadata[name] = met.setdefault(value, value)


def _speaker(metadata):
    for name in ('speaker', 'speaker_id'):
        value = metadata.get(name)
        if value is None or value == '':
            continue
        if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).isprintable():
            raise SerError(f"JSON '{name}' is {str(value)[:40]!r}; a speaker is text or an integer")
        return str(value)
    return None


def _count(metadata, name):
    value = metadata.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _BEYOND_COUNTING else None


def _refuse_changed(shard, samples, rows):
    """Raises ShardFault for audio whose hash in the indexing pass is not the builder's."""
    for sample, row in zip(samples, rows, strict=True):
        if row.audio_sha256 != sample.audio_sha256:
            name = row.key + row.suffix
            raise ShardFault(shard.path, f'the bytes of {name!r} are not those its JSON recorded (sha256 differs)',
                             row.offset, 'sha256', name, damaged=True)


def _check_manifests(shards):
    """Notes; raises SerError for a shard that is not the one its folder's manifest lists."""
    notes, folders = [], {}
    for shard in shards:
        # A fetched shard was held against the manifest beside it when its index was read.
        if shard.store is None:
            folders.setdefault(Path(shard.path).parent, []).append(shard)
    for folder, held in sorted(folders.items()):
        if unfinished(folder):
            raise SerError(f'{folder}: a build is writing here, or was killed before all of its shards were there. '
                           'Wait for it, or run it again')
        listed = listed_hashes(folder / MANIFEST)
        for shard in held:
            if listed.get(shard.name, shard.sha256) != shard.sha256:
                raise SerError(f'{shard.path}: its sha256 is not the one in {MANIFEST} beside it: damaged or replaced. '
                               f'{again(shard.path)}; if the change is meant, delete {MANIFEST}')
        used = sum(shard.name in listed for shard in held)
        if used < len(listed):
            notes.append(f'{folder}: {used} of the {len(listed)} shards in {MANIFEST} are used')
    return notes


def listed_hashes(path):
    """Shard name -> sha256 of the builder's manifest; empty when there is none or somebody else wrote it.

    Raises SerError for a damaged one.
    """
    try:
        with open(path, 'rb') as file:
            value = json.loads(file.read(_MAX_MANIFEST_BYTES))
        if not isinstance(value, dict) or 'format' not in value:
            return {}
        return {str(shard['name']): shard['sha256'] for shard in value['shards']}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise SerError(f'{path}: damaged. Build the shards again, or delete it') from None


def _refuse_repeats(shards, rows):
    owners = {}
    for row in rows:
        other = owners.setdefault(row.key, row)
        if other is not row:
            first, second = shards[other.shard], shards[row.shard]
            parts = f' (parts {first.part} and {second.part})' if first.part != second.part else ''
            sets = (f" (sets '{first.set_name}' and '{second.set_name}')" if first.set_name != second.set_name else '')
            hint = ('. Name one of them only, or build one again with its files in a folder of another name, which '
                    'enters the keys' if sets else '')
            raise SerError(f'key {row.key!r} is in both {first.path} (byte {other.offset}) and {second.path} (byte '
                           f'{row.offset}){parts}{sets}. Keys must be '
                           f'unique: a copy would be counted twice, or leak into another part{hint}')


def _set_notes(rows):
    """Notes where the names of sets do not draw the line that the corpora draw themselves."""
    sets, origins = {}, {}
    for row in rows:
        if row.set_name is not None and row.origin is not None:
            sets.setdefault(row.set_name, set()).add(row.origin)
            origins.setdefault(row.origin, set()).add(row.set_name)
    for name, held in sorted(sets.items()):
        if len(held) > 1:
            yield (f"set '{name}' holds several corpora ({', '.join(sorted(held))}): its speakers are told apart by "
                   'their names alone')
    for origin, names in sorted(origins.items()):
        if len(names) > 1:
            yield f"corpus '{origin}' is in several sets ({', '.join(sorted(names))}), perhaps with the same speakers"
