"""One shard's samples: members grouped by key, one audio member each, metadata and label texts read within bounds."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from sys import intern

from ser.shards.tarscan import ShardFault, TarScan

AUDIO = ('flac', 'wav', 'ogg', 'oga', 'opus', 'mp3')
TEXT = ('json', 'cls', 'txt', 'text', 'transcript', 'jsonl', 'lab', 'lbl', 'label', 'emo', 'emotion', 'csv', 'tsv',
        'md', 'srt', 'vtt', 'textgrid', 'xml', 'html', 'yaml', 'yml', 'id', 'index')
IMAGE = ('jpg', 'jpeg', 'png', 'gif', 'bmp', 'webp', 'tif', 'tiff', 'svg')
PICKLES = ('pyd', 'pkl', 'pickle', 'pt', 'pth', 'ckpt', 'npy', 'npz', 'joblib', 'dill', 'bin')
"""Members that some reader would unpickle, or might: refused unread."""

MAX_JSON_BYTES = 1 << 20
MAX_JSON_DEPTH = 32
MAX_LABEL_BYTES = 4096
MAX_AUDIO_BYTES = 1 << 29

# The cut of webdataset's base_plus_ext: at the first dot of the base name.
_CUT = re.compile(r'^((?:.*/|)[^.]+)[.]([^/]*)$')
_META = re.compile(r'__[^/]*__($|/)')
_SHA256 = re.compile(r'^[0-9a-f]{64}$')


def cut_name(name):
    """(key, suffix in lower case) of a member's name; None where it has no suffix."""
    cut = _CUT.match(name)
    return cut and (cut.group(1), cut.group(2).lower())


def is_note(name):
    """Whether a member is a note of the archive about itself, such as `__meta__`."""
    return bool(_META.match(name))


def too_big(suffix, size):
    """Whether a text member of this suffix has more bytes than are read."""
    return size > (MAX_JSON_BYTES if is_json(suffix) else MAX_LABEL_BYTES)


def refusal(name, suffix):
    """(kind, what) of a member that is no audio, text or image; None where it is one."""
    last = suffix.rpartition('.')[2]
    if last in AUDIO or last in TEXT or last in IMAGE:
        return None
    why = 'may hold a pickle' if last in PICKLES else 'is of an unknown kind'
    return why.removeprefix('is '), (
        f'member {name!r} {why} and is refused. A sample is one audio member '
        f'({", ".join("." + name for name in AUDIO)}) with a label; text and images are ignored')


@dataclass(frozen=True, slots=True)
class RawSample:
    """A sample as the shard holds it: the audio member's span and hash, its JSON object and the label texts."""

    key: str
    suffix: str
    offset: int
    size: int
    audio_sha256: str
    metadata: dict
    texts: dict
    """Suffix -> text (JSON value for a `.json` suffix), None where it is too long or not UTF-8."""

    @property
    def recorded_sha256(self):
        """The builder's hash of the audio member; in JSON of another layout `sha256` may mean something else."""
        said = self.metadata.get('sha256')
        ours = isinstance(said, str) and _SHA256.match(said) and {'raw_label', 'frames'} <= self.metadata.keys()
        return said if ours else self.audio_sha256


@dataclass(frozen=True)
class ShardScan:
    """What one strict pass over a shard found."""

    sha256: str
    size: int
    mtime_ns: int
    samples: tuple[RawSample, ...]
    ignored: dict
    """Reason -> members."""

    def to_json(self):
        """A JSON-able dict, the inverse of from_json."""
        samples = [[getattr(sample, name) for name in RawSample.__slots__] for sample in self.samples]
        return {'sha256': self.sha256, 'size': self.size, 'mtime_ns': self.mtime_ns, 'samples': samples,
                'ignored': self.ignored}

    @classmethod
    def from_json(cls, value):
        """The scan that to_json wrote. Raises TypeError or KeyError for anything else."""
        samples = tuple(RawSample(*sample) for sample in value['samples'])
        return cls(**{**value, 'samples': samples})


def scan_shard(path, wanted):
    """The ShardScan of a tar file in one pass.

    wanted: suffixes whose text is kept (such as 'cls', 'txt'); `.json` is always read as the sample's metadata.
    Raises ShardFault for whatever tarscan refuses, a member that is no audio, text or image, a sample without exactly
    one audio member, a key that comes twice, and JSON that is damaged, too big or too deep.
    """
    return _Scanner(str(path), frozenset(wanted) | {'json'}).scan()


class _Scanner:
    def __init__(self, path, wanted):
        self.path, self.wanted = path, wanted
        self.samples, self.seen, self.ignored = [], set(), Counter()
        self.key, self.first, self.audio, self.texts, self.suffixes = None, None, [], {}, set()

    def scan(self):
        tar = TarScan(self.path, self._is_wanted)
        for member, data, sha256 in tar:
            cut = cut_name(member.name)
            if is_note(member.name):
                self.ignored['archive notes (__name__)'] += 1
            elif not cut:
                raise self._error(member, no_suffix(member.name), 'no suffix')
            else:
                self._add(*cut, member, (data, sha256))
        self._finish()
        if tar.folders:
            self.ignored['folders'] += tar.folders
        if not self.samples:
            raise ShardFault(self.path, 'holds no sample', kind='no sample')
        return ShardScan(tar.sha256, tar.size, tar.mtime_ns, tuple(self.samples), dict(self.ignored))

    def _is_wanted(self, member):
        _, suffix = cut_name(member.name) or ('', '')
        return suffix in self.wanted and not too_big(suffix, member.size)

    def _add(self, key, suffix, member, content):
        if key != self.key:
            self._finish()
            if key in self.seen:
                raise self._error(member, f'key {key!r} comes again at byte {member.offset}, after other samples. '
                                          'Members of a sample must be neighbours and keys unique', 'key again')
            self.seen.add(key)
            self.key, self.first = key, member
        if suffix in self.suffixes:
            raise self._error(member, f'member {member.name!r} is there twice (again at byte {member.offset})',
                              'key again')
        self.suffixes.add(suffix)
        kind = suffix.rpartition('.')[2]
        if kind in AUDIO:
            if member.size > MAX_AUDIO_BYTES:
                raise self._error(member, f'{member.name!r} has {member.size} bytes, more than {MAX_AUDIO_BYTES}',
                                  'too long')
            self.audio.append((suffix, member, content[1]))
        elif suffix in self.wanted:
            self.texts[suffix] = self._text(suffix, member, content[0])
        elif kind in TEXT or kind in IMAGE:
            self.ignored[f'{"text" if kind in TEXT else "image"} members (.{kind})'] += 1
        else:
            why, what = refusal(member.name, suffix)
            raise self._error(member, what, why)

    def _text(self, suffix, member, data):
        try:
            return read_text(suffix, member, data)
        except ValueError as error:
            raise self._error(member, str(error), 'damaged JSON') from None

    def _finish(self):
        if self.key is None:
            return
        if len(self.audio) != 1:
            names = ', '.join(f'.{suffix}' for suffix in sorted(self.suffixes))
            count = 'no audio member' if not self.audio else f'{len(self.audio)} audio members'
            raise self._error(self.first, f'sample {self.key!r} has {count} (it has {names}); exactly one is needed. '
                                          'A key ends at the first dot of the file name', 'no one audio member')
        suffix, member, sha256 = self.audio[0]
        metadata = self.texts.pop('json', {})
        if not isinstance(metadata, dict):
            raise self._error(self.first, f'the JSON of sample {self.key!r} is a {type(metadata).__name__}, not an '
                                          'object', 'damaged JSON')
        self.samples.append(RawSample(self.key, f'.{suffix}', member.offset, member.size, sha256, metadata,
                                      self.texts))
        self.key, self.audio, self.texts, self.suffixes = None, [], {}, set()

    def _error(self, member, what, kind):
        return ShardFault(self.path, what, member.offset, kind, member.name)


def no_suffix(name):
    """What is wrong with a member without a suffix."""
    return f'member {name!r} has no suffix, so it belongs to no sample'


def read_text(suffix, member, data):
    """The text of a member, or the value of its JSON; None for a text that is too long (data None) or not UTF-8.

    Raises ValueError for JSON that is damaged or too big.
    """
    if not is_json(suffix):
        return None if data is None else _decoded(data)
    if data is None:
        raise ValueError(f'{member.name!r} has {member.size} bytes, more than {MAX_JSON_BYTES} for JSON')
    try:
        return parse_json(data)
    except ValueError as error:
        raise ValueError(f'{member.name!r}: {error}') from None


def is_json(suffix):
    """Whether members of this suffix hold JSON."""
    return suffix.rpartition('.')[2] == 'json'


def _decoded(data):
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError:
        return None


def parse_json(data):
    """The value of bounded JSON bytes. Raises ValueError in a few words for anything damaged, too deep or not UTF-8."""
    try:
        text = data.decode('utf-8-sig')
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except UnicodeDecodeError:
        raise ValueError('JSON that is not UTF-8') from None
    except RecursionError:
        raise ValueError(f'JSON nested deeper than {MAX_JSON_DEPTH}') from None
    except json.JSONDecodeError as error:
        raise ValueError(f'damaged JSON ({error.msg} at character {error.pos})') from None
    if text.count('{') + text.count('[') > MAX_JSON_DEPTH and _deeper(value, MAX_JSON_DEPTH):
        raise ValueError(f'JSON nested deeper than {MAX_JSON_DEPTH}')
    return value


def _pairs(pairs):
    # Every sample has the same names: one object for each, or they would be half of the index.
    value = {intern(name): item for name, item in pairs}
    if len(value) < len(pairs):
        raise ValueError('JSON with a key that comes twice')
    return value


def _constant(name):
    raise ValueError(f'JSON with {name}, which is no JSON number')


def _deeper(value, depth):
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_deeper(item, depth - 1) for item in inner)
