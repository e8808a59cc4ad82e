"""Audio files as people name them on a command line: found in folders and by patterns, read, refused one by one."""

import glob
import io
import os
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path

from ser.corpora.scan import AUDIO_SUFFIXES, LOSSY_SUFFIXES, find_audio
from ser.errors import SerError
from ser.files import natural
from ser.shards.globs import globbed
from ser.shards.paths import expand_braces

MAX_BYTES = 1 << 31
"""Largest file that is read; an hour of 16-bit stereo at 48 kHz is a third of it."""

_LOSSY_RATIO = 8
# To the end of what a FLAC or Ogg file says of its channels.
_START = 64
# Of Ogg; the last one says how many samples there are.
_LONGEST_PAGE = 65307

Span = namedtuple('Span', 'shard offset size suffix sha256')
"""Where a shard holds an audio member: path of the tar, bytes, the member's suffix, hex digest of its bytes."""


class BadRecording(Exception):
    """A file that cannot be used; the text says why, without naming the file."""


@dataclass(frozen=True)
class Named:
    """One recording to work on, or an argument that cannot be: `fault` says why."""

    path: Path
    """The file; where `span` or `data` is given, only what the recording is called."""
    fault: str | None = None
    span: Span | None = None
    data: bytes | None = None
    """The bytes of the audio file itself."""

    def weight(self):
        """About how many bytes its samples will take once they are read; 0 where nobody can say.

        Of FLAC and Ogg what they claim: silence takes next to nothing in the file.
        """
        if self.fault:
            return 0
        suffix = self.span.suffix if self.span else self.path.suffix
        size = self.span.size if self.span else len(self.data) if self.data is not None else _size(self.path)
        ratio = _LOSSY_RATIO if suffix.lower() in LOSSY_SUFFIXES or not suffix else 1
        start = self._part(0, _START)
        if start.startswith(b'OggS'):
            last = max(size - _LONGEST_PAGE, 0)
            return _ogg_bytes(start, self._part(last, size - last)) or size * ratio
        return _flac_bytes(start) or size * ratio

    def _part(self, first, count):
        """`count` bytes of the audio file from byte `first` on; none where it cannot be read."""
        if self.data is not None:
            return self.data[first:first + count]
        path, offset = (self.span.shard, self.span.offset) if self.span else (self.path, 0)
        try:
            with open(path, 'rb') as file:
                file.seek(offset + first)
                return file.read(count)
        except OSError:
            return b''

    def source(self):
        """What to read the audio file from: its path, or its bytes as a binary file object.

        Raises BadRecording for a fault and for a member whose shard has changed.
        """
        if self.fault:
            raise BadRecording(self.fault)
        if self.span:
            return io.BytesIO(read_span(self.span))
        return self.path if self.data is None else io.BytesIO(self.data)

    def samples(self, sample_rate):
        """int16 (n,) mono samples at `sample_rate` Hz, as `read_recording`. Raises BadRecording."""
        if self.fault:
            raise BadRecording(self.fault)
        if self.span:
            return read_bytes(read_span(self.span), sample_rate, self.span.suffix)
        if self.data is not None:
            return read_bytes(self.data, sample_rate)
        return read_recording(self.path, sample_rate)


def find_recordings(arguments):
    """Named files of the arguments, in the order given; see `named_by` for what one stands for.

    Raises SerError when not one argument names a file.
    """
    return usable([named for argument in arguments for named in named_by(argument)])


def named_by(argument):
    """The Named files that one argument stands for.

    A file is taken whatever its name. A folder stands for the audio files inside, recursively and in natural order.
    What exists under no such name may be a pattern: braces (`{a,b}`, `{01..12}`) and globs (`*`, `?`, `[..]`, and `**`
    for folders at any depth). Raises SerError for braces that stand for too many names.
    """
    if not argument:
        return [Named(Path(argument), 'an empty name')]
    if os.path.lexists(argument):
        return _existing(Path(argument))
    if '://' in argument:
        return [Named(Path(argument), 'an address, and local files are read: download it and name the file')]
    found = []
    for name in expand_braces(argument):
        if os.path.lexists(name):
            found += _existing(Path(name))
        else:
            found += _matches(name) if glob.has_magic(name) else [Named(Path(name), 'no such file')]
    return found


def usable(found):
    """`found` itself. Raises SerError when not one of these Named can be read."""
    if all(named.fault for named in found):
        more = f' ({len(found) - 1} more cannot be used either)' if len(found) > 1 else ''
        raise SerError(f'{found[0].path}: {found[0].fault}{more}. Give audio files, or folders that hold some')
    return found


def _existing(path):
    if path.is_dir():
        inside = [Named(path / relative) for relative in find_audio(path)[0]]
        return inside or [Named(path, f'no audio file in this folder ({" ".join(sorted(AUDIO_SUFFIXES))})')]
    return [Named(path, None if path.is_file() else
                  'not a plain file' if path.exists() else 'no such file')]


def _matches(pattern):
    """Each file that a glob finds, once: of its matches those with an audio suffix, or all where none has one.

    Folders are passed over under `**`, which goes into them by itself, and searched as if they were named elsewhere.
    """
    matches = [Path(match) for match in sorted(globbed(pattern), key=natural)]
    files = [path for path in matches if path.is_file()]
    files = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES] or files
    folders = [] if '**' in Path(pattern).parts else [path for path in matches if path.is_dir()]
    # One that holds shards alone is for `sources` to open.
    found = [*map(Named, files), *(named for folder in folders for named in _existing(folder)
                                   if not named.fault or any(folder.glob('*.tar')))]
    return list(dict.fromkeys(found)) or [Named(Path(pattern), 'this pattern matches no audio file')]


def _flac_bytes(start):
    """Bytes of 16-bit samples that the first bytes of a FLAC file claim; 0 of anything else (RFC 9639, 8.2)."""
    if not start.startswith(b'fLaC') or len(start) < 26:
        return 0
    claims = int.from_bytes(start[18:26], 'big')
    return 2 * ((claims >> 41 & 7) + 1) * (claims & (1 << 36) - 1)


def _ogg_bytes(start, end):
    """Bytes of 16-bit samples of an Ogg file by its first and last ones (RFC 3533, 6); 0 of other codecs than these."""
    head = start[27 + start[26]:] if len(start) == _START else b''
    place = 9 if head.startswith(b'OpusHead') else 11 if head.startswith(b'\x01vorbis') else None
    page = end.rfind(b'OggS')
    samples = int.from_bytes(end[page + 6:page + 14], 'little', signed=True)
    return 2 * head[place] * max(samples, 0) if place and place < len(head) and page >= 0 else 0


def _size(path):
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read_recording(path, sample_rate):
    """int16 (n,) mono samples of an audio file at `sample_rate` Hz, those that a shard of the file gives in training.

    Channels are averaged and the mean is resampled (soxr) before it is rounded to 16 bits, once. What the file is its
    first bytes say, not its name. The whole file is decoded, at most 3600 s and 2**28 samples over all channels: 4 GB
    for 45 minutes of 48 kHz stereo. Raises BadRecording for a file that is missing, empty, damaged, too long or no
    audio.
    """
    try:
        # A pipe would be waited on for ever.
        if path.exists() and not path.is_file():
            raise BadRecording('not a plain file')
        with open(path, 'rb') as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadRecording(f'cannot be opened ({error.strerror})') from None
    return read_bytes(data, sample_rate, path.suffix)


def read_bytes(data, sample_rate, suffix=''):
    """As `read_recording`, of an audio file's bytes. suffix: of its name, which tells what follows ID3 tags."""
    # Imported late: naming files needs none of it.
    from ser.shards.decode import BadSample, decode

    if not data:
        raise BadRecording('empty file')
    if len(data) > MAX_BYTES:
        raise BadRecording(f'larger than {MAX_BYTES >> 30} GiB. Cut it into pieces')
    kind = _kind(data[:12], suffix)
    if kind is None:
        return _other(data, sample_rate)
    try:
        return decode(data, kind, sample_rate).samples
    except BadSample as bad:
        raise BadRecording(str(bad).removeprefix('is ').replace('Cut it before building', 'Cut it')) from None


def read_span(span):
    """The bytes of a Span. Raises BadRecording where they are not those that were indexed."""
    import hashlib

    try:
        with open(span.shard, 'rb') as file:
            file.seek(span.offset)
            data = file.read(span.size)
    except OSError as error:
        raise BadRecording(f'its shard cannot be read ({error.strerror})') from None
    if hashlib.sha256(data).hexdigest() != span.sha256:
        raise BadRecording('damaged: its bytes are not those that were recorded (sha256 differs)')
    return data


def _other(data, sample_rate):
    """Samples of an audio file's bytes in a container that shards never hold, such as AIFF.

    Never of its path: soundfile takes a name that ends in .raw for a promise, and refuses one that is not UTF-8.
    """
    from ser.corpora.utterance import Utterance
    from ser.shards.audio_encode import BadAudio, prepare

    try:
        return prepare(Utterance(Path(), '', '', '', '', data=lambda: data), sample_rate)[0]
    except BadAudio as bad:
        reason, detail = bad.args
        raise BadRecording(f'{reason} ({detail})' if detail else reason) from None


def _kind(start, suffix):
    """'.flac', '.wav', '.ogg' or '.mp3' by a file's first 12 bytes, or None; its suffix tells what follows ID3 tags."""
    if start.startswith(b'fLaC'):
        return '.flac'
    if start.startswith((b'RIFF', b'RIFX', b'RF64')) and start[8:12] == b'WAVE':
        return '.wav'
    if start.startswith(b'OggS'):
        return '.ogg'
    if start.startswith(b'ID3'):
        return '.flac' if suffix.lower() == '.flac' else '.mp3'
    return '.mp3' if len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0 else None
