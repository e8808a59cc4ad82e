"""Audio files as people name them on a command line: found in folders, read, refused one by one."""

from dataclasses import dataclass
from pathlib import Path

from ser.corpora.scan import AUDIO_SUFFIXES, find_audio
from ser.errors import SerError

MAX_BYTES = 1 << 31
"""Largest file that is read; an hour of 16-bit stereo at 48 kHz is a third of it."""


@dataclass(frozen=True)
class Named:
    """One file to work on, or an argument that cannot be: `fault` says why."""

    path: Path
    fault: str | None = None


class BadRecording(Exception):
    """A file that cannot be used; the text says why, without naming the file."""


def find_recordings(arguments):
    """Named files of the arguments, in the order given; a folder stands for the audio files inside, recursively.

    A file is taken whatever its name; inside folders those with an audio suffix, in natural order.
    Raises SerError when not one argument names a file.
    """
    found = []
    for argument in arguments:
        path = Path(argument)
        if not argument:
            found.append(Named(path, 'an empty name'))
        elif path.is_dir():
            inside = [Named(path / relative) for relative in find_audio(path)[0]]
            found += inside or [Named(path, f'no audio file in this folder ({" ".join(sorted(AUDIO_SUFFIXES))})')]
        else:
            found.append(Named(path, None if path.is_file() else
                               'not a plain file' if path.exists() else 'no such file'))
    if all(named.fault for named in found):
        more = f' ({len(found) - 1} more cannot be used either)' if len(found) > 1 else ''
        raise SerError(f'{found[0].path}: {found[0].fault}{more}. Give audio files, or folders that hold some')
    return found


def read_recording(path, sample_rate):
    """int16 (n,) mono samples of an audio file at `sample_rate` Hz, those that a shard of the file gives in training.

    Channels are averaged and the mean is resampled (soxr) before it is rounded to 16 bits, once. What the file is its
    first bytes say, not its name. Raises BadRecording for a file that is missing, empty, damaged or no audio.
    """
    # Imported late: naming files needs none of it.
    from ser.corpora.utterance import Utterance
    from ser.shards.audio_encode import BadAudio, prepare
    from ser.shards.decode import BadSample, decode

    try:
        with open(path, 'rb') as file:
            start = file.read(12)
            if not start:
                raise BadRecording('empty file')
            kind = _kind(start, path.suffix)
            if kind is not None:
                file.seek(0)
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadRecording(f'cannot be opened ({error.strerror})') from None
    try:
        if kind is not None and len(data) <= MAX_BYTES:
            return decode(data, kind, sample_rate).samples
        if kind is None:
            # Containers that shards never hold, such as AIFF.
            return prepare(Utterance(path, path.name, '', '', ''), sample_rate)[0]
    except BadSample as bad:
        raise BadRecording(str(bad).removeprefix('is ')) from None
    except BadAudio as bad:
        reason, detail = bad.args
        raise BadRecording(f'{reason} ({detail})' if detail else reason) from None
    raise BadRecording(f'larger than {MAX_BYTES >> 30} GiB. Cut it into pieces')


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
