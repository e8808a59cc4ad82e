"""From an uploaded file to int16 samples: its header is not believed, and memory follows what is really there."""

import math
import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import soundfile

from ser.inference.emotion_stream import blocks
from ser.inference.recordings import BadRecording
from ser.serving.refusal import Refusal, late
from ser.shards.header_claims import fault_of

READABLE = 'WAV, FLAC, OGG and MP3 files can be read'
# What a recording may hold over all channels, with so many seconds of grace for short ones.
_USUAL_RATE_HZ, _USUAL_CHANNELS, _GRACE_SECONDS = 48000, 2, 30.0
_CONTAINERS = ('WAV', 'WAVEX', 'RF64', 'FLAC', 'OGG', 'MP3', 'MPEG')


@dataclass(frozen=True)
class Header:
    """What an audio file says of itself, within the limits."""

    container: str
    sample_rate: int
    channels: int
    frames: int

    @property
    def seconds(self):
        """How long it claims to be."""
        return self.frames / self.sample_rate


def read_header(upload, limits):
    """The Header of an Upload. Raises Refusal for what is no audio, and for what claims more than the limits allow.

    Nothing is decoded, and nothing is allocated for what the header claims.
    """
    with upload.opened() as file:
        start = file.read(512)
        file.seek(0)
        if not _looks_like_audio(start):
            what = 'it is text' if _is_text(start) else 'its first bytes are of no such format'
            raise Refusal(400, f'{upload.name} is not audio: {what}. {READABLE}')
        try:
            with soundfile.SoundFile(file) as sound:
                header = Header(sound.format, sound.samplerate, sound.channels, sound.frames)
                fault = fault_of(sound, upload.size)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.rstrip('.').removeprefix('Error : ') or 'unreadable'
            raise Refusal(400, f'{upload.name} cannot be decoded: {reason}. Is the file damaged? {READABLE}') from None
    _check(header, fault, upload, limits)
    return header


def read_samples(upload, sample_rate, limits, deadline, most=math.inf):
    """int16 (n,) mono samples of an Upload at `sample_rate` Hz, those that `ser predict` reads of the same file.

    deadline: of time.monotonic. most: samples after which the rest of the file is not read.
    Raises Refusal for audio that is damaged, cut short, not finite or late.
    """
    parts, read = [], 0
    try:
        with upload.opened() as file, closing(blocks(file, sample_rate, limits.max_seconds)) as read_blocks:
            for part in read_blocks:
                parts.append(part)
                read += len(part)
                if time.monotonic() > deadline:
                    raise late(limits)
                if read >= most:
                    break
    except BadRecording as bad:
        raise unusable(upload, bad) from None
    return np.concatenate(parts)[:None if most == math.inf else most]


def unusable(upload, bad):
    """The Refusal of an Upload for a BadRecording."""
    return Refusal(400, f'{upload.name}: {bad}')


def _looks_like_audio(start):
    wave = start[:4] in (b'RIFF', b'RIFX', b'RF64') and start[8:12] == b'WAVE'
    mpeg = len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0
    return wave or mpeg or start.startswith((b'fLaC', b'OggS', b'ID3'))


def _is_text(start):
    try:
        text = start.decode('utf-8')
    except UnicodeDecodeError as error:
        # A character may be cut in two at the end.
        text = start[:error.start].decode('utf-8') if error.start > len(start) - 4 else '\0'
    return all(c.isprintable() or c in '\r\n\t\f' for c in text)


def _check(header, fault, upload, limits):
    if header.container not in _CONTAINERS:
        raise Refusal(400, f'{upload.name} is audio in a container that is not taken, {header.container}. {READABLE}')
    if fault:
        raise Refusal(400, f'{upload.name} {fault}')
    if header.seconds > limits.max_seconds:
        raise Refusal(413, f'{upload.name} is {header.seconds:.0f} s long by its header; {limits.max_seconds:g} s are '
                           'the most that this server takes. Cut it into pieces')
    if header.frames * header.channels > max(limits.max_seconds, _GRACE_SECONDS) * _USUAL_RATE_HZ * _USUAL_CHANNELS:
        raise Refusal(413, f'{upload.name} holds {header.frames} frames of {header.channels} channels, more than '
                           f'{limits.max_seconds:g} s of stereo at 48 kHz. Save it with fewer channels or a lower rate')
