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
from ser.shards.paths import expand_braces

MAX_BYTES = 1 << 31
"""Largest file that is read; an hour of 16-bit stereo at 48 kHz is a third of it."""

_LOSSY_RATIO = 8
# Of a FLAC file, to the end of what it says of its channels and samples.
_START = 26

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

        Of FLAC what its header claims: silence takes next to nothing in the file.
        """
        if self.fault:
            return 0
        suffix = self.span.suffix if self.span else self.path.suffix
        size = self.span.size if self.span else len(self.data) if self.data is not None else _size(self.path)
        ratio = _LOSSY_RATIO if suffix.lower() in LOSSY_SUFFIXES or not suffix else 1
        return _flac_bytes(self._start()) or size * ratio

    def _start(self):
        if self.data is not None:
            return self.data[:_START]
        path, offset = (self.span.shard, self.span.offset) if self.span else (self.path, 0)
        try:
            with open(path, 'rb') as file:
                file.seek(offset)
                return file.read(_START)
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
    matches = [Path(match) for match in sorted(_globbed(pattern), key=natural)]
    files = [path for path in matches if path.is_file()]
    files = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES] or files
    folders = [] if '**' in Path(pattern).parts else [path for path in matches if path.is_dir()]
    # One that holds shards alone is for `sources` to open.
    found = [*map(Named, files), *(named for folder in folders for named in _existing(folder)
                                   if not named.fault or any(folder.glob('*.tar')))]
    return list(dict.fromkeys(found)) or [Named(Path(pattern), 'this pattern matches no audio file')]


def _globbed(pattern):
    """Names that a glob finds. Under `**` links are followed and each real folder is searched once, as `find_audio`
    does: the standard library's goes round a loop of links until the system stops it, and two loops take for ever."""
    parts = Path(pattern).parts
    if '**' not in parts:
        return glob.glob(pattern)
    place = parts.index('**')
    rest = parts[place + 1:] or ('*',)
    return [name for folder in _folders(sorted(glob.glob(str(Path(*parts[:place])))))
            for name in _globbed(str(Path(glob.escape(folder), *rest)))]


def _folders(tops):
    """`tops` and every folder below them, each real one once; hidden ones are passed over."""
    visited = set()
    for top in tops:
        for folder, inside, _ in os.walk(top, followlinks=True):
            real = os.path.realpath(folder)
            if real in visited:
                inside.clear()
                continue
            visited.add(real)
            inside[:] = sorted(name for name in inside if not name.startswith('.'))
            yield folder


def _flac_bytes(start):
    """Bytes of 16-bit samples that the first bytes of a FLAC file claim; 0 of anything else (RFC 9639, 8.2)."""
    if not start.startswith(b'fLaC') or len(start) < _START:
        return 0
    claims = int.from_bytes(start[18:_START], 'big')
    return 2 * ((claims >> 41 & 7) + 1) * (claims & (1 << 36) - 1)


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
