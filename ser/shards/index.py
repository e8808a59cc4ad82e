"""The index: every sample of every shard, found in one strict pass before anything is trained on."""

import functools
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from sys import intern

from ser.errors import SerError
from ser.files import natural
from ser.labels import canonical
from ser.shards.index_cache import cached_scan
from ser.shards.paths import expand_sets
from ser.shards.publish import MANIFEST
from ser.shards.sample_label import find_label, parse_label_option

PARTS = ('train', 'valid', 'test')
_MAX_MANIFEST_BYTES = 1 << 26
_SHA256 = re.compile(r'^[0-9a-f]{64}$')
_SHARED_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar file. name: its base name. part: 'train', 'valid' or 'test' when each part has shards of its own.

    set_name: the set it was named in (`--shards NAME=PATH`), None where sets have no names.
    """

    path: str
    name: str
    sha256: str
    size: int
    part: str | None
    set_name: str | None = None


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
    one audio member and a label, and for a key that two samples share.
    """
    source = parse_label_option(data.label)
    shards, scans, met = [], [], {}
    for path, part, set_name in _shard_files(data):
        scan = cached_scan(path, source.wanted)
        for sample in scan.samples:
            _share(sample.metadata, met)
        shards.append(Shard(str(path), path.name, scan.sha256, scan.size, part, set_name))
        scans.append(scan)
    order = sorted(range(len(shards)), key=lambda i: (natural(shards[i].name), shards[i].sha256,
                                                      shards[i].part or '', shards[i].set_name or ''))
    shards, scans = tuple(shards[i] for i in order), [scans[i] for i in order]
    notes = _check_manifests(shards)
    rows, ignored = [], Counter()
    for number, (shard, scan) in enumerate(zip(shards, scans, strict=True)):
        ignored.update(scan.ignored)
        rows += [_row(sample, number, shard, (source, data.classes, ignored)) for sample in scan.samples]
    _refuse_repeats(shards, rows)
    return Index(shards, tuple(rows), ignored, (*notes, *_set_notes(rows)))


def named_shards(data):
    """[(path, part)] of the config's shards, each file once."""
    return [(path, part) for path, part, _ in _shard_files(data)]


def _shard_files(data):
    """[(path, part, set name)] of the config's shards, each file once."""
    if not data.shards:
        raise SerError('no shards are named. Name tar files, globs, brace ranges or a folder with --shards')
    if not (data.valid_shards or data.test_shards):
        return [(path, None, set_name) for set_name, path in expand_sets(data.shards)]
    named, owners = [], {}
    for part, patterns, option in zip(PARTS, (data.shards, data.valid_shards, data.test_shards),
                                      ('--shards', '--valid-shards', '--test-shards'), strict=True):
        for set_name, path in expand_sets(patterns, option):
            other = owners.setdefault(path.resolve(), option)
            if other != option:
                raise SerError(f'{path} is named by both {other} and {option}: a shard belongs to one part')
            named.append((path, part, set_name))
    if len({set_name is None for _, _, set_name in named}) > 1:
        raise SerError('some shards are in a named set and some are not. Name the set of every entry of --shards, '
                       '--valid-shards and --test-shards (NAME=PATH), or of none')
    return named


def _row(sample, number, shard, settings):
    source, classes, ignored = settings
    metadata = sample.metadata
    try:
        raw, unused = find_label(sample, source, classes)
        speaker = _speaker(metadata)
    except SerError as error:
        raise SerError(f'{shard.path}: sample {sample.key!r}: {error}') from None
    ignored.update(f'text members (.{suffix})' for suffix in unused)
    said = metadata.get('raw_label')
    emotion = intern(canonical(raw) if raw else '')
    return Row(sample.key, number, sample.offset, sample.size, intern(sample.suffix), emotion,
               said if isinstance(said, str) else raw, speaker, shard.part, _count(metadata, 'sample_rate'),
               _count(metadata, 'frames'), _audio_sha256(sample), metadata, shard.set_name)


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
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _audio_sha256(sample):
    """The builder's hash of the audio member; in JSON of another layout `sha256` may mean something else."""
    said = sample.metadata.get('sha256')
    ours = isinstance(said, str) and _SHA256.match(said) and {'raw_label', 'frames'} <= sample.metadata.keys()
    return said if ours else sample.audio_sha256


def _check_manifests(shards):
    """Notes; raises SerError for a shard that is not the one its folder's manifest lists."""
    notes, folders = [], {}
    for shard in shards:
        folders.setdefault(Path(shard.path).parent, []).append(shard)
    for folder, held in sorted(folders.items()):
        listed = _manifest(folder / MANIFEST)
        for shard in held:
            if listed.get(shard.name, shard.sha256) != shard.sha256:
                raise SerError(f'{shard.path}: its sha256 is not the one in {MANIFEST} beside it: damaged or replaced. '
                               f'Copy or build it again; if the change is meant, delete {MANIFEST}')
        used = sum(shard.name in listed for shard in held)
        if used < len(listed):
            notes.append(f'{folder}: {used} of the {len(listed)} shards in {MANIFEST} are used')
    return notes


def _manifest(path):
    """Shard name -> sha256 of the builder's manifest; empty when there is none or somebody else wrote it."""
    try:
        with open(path, 'rb') as file:
            value = json.loads(file.read(_MAX_MANIFEST_BYTES))
        if not isinstance(value, dict) or 'format' not in value:
            return {}
        return {shard['name']: shard['sha256'] for shard in value['shards']}
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
            raise SerError(f'key {row.key!r} is in both {first.path} and {second.path}{parts}{sets}. Keys must be '
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
