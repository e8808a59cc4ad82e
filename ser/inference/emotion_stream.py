"""A recording as blocks: mono, 16 bits, at the model's rate, in memory that does not grow with its length."""

import os
import tempfile
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import soundfile
import soxr

from ser.inference.recordings import MAX_BYTES, BadRecording
from ser.shards.header_claims import fault_of, fewest_frames
from ser.shards.sample_bytes import sample_bytes

MAX_SECONDS = 24 * 3600
"""Longest recording, a day."""

MAX_SAMPLES = 1 << 34
"""Most samples over all channels that a recording may hold: a day of stereo at 96 kHz."""

BLOCK_SAMPLES = 1 << 18
"""Samples over all channels that are decoded at a time."""


def blocks(source, sample_rate, max_seconds=MAX_SECONDS):
    """Yield int16 (n,) blocks of a recording at `sample_rate` Hz; joined they are the samples of `read_recording`.

    source: a path, or a binary file object, read from its first byte on; one that cannot seek is copied to a temporary
    file. Any container, rate and channels that libsndfile decodes; channels are averaged, the mean is resampled (soxr
    HQ) from block to block and rounded once. Raises BadRecording for a file that is missing, empty, damaged, cut short,
    no audio, or longer than max_seconds.
    """
    with _opened(source) as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            raise BadRecording('empty file')
        _check_whole(file, size)
        file.seek(0)
        # Nothing but these: a file's name would tell soundfile of a format that its bytes may not have.
        handle = SimpleNamespace(seek=file.seek, tell=file.tell, read=file.read)
        try:
            with _Forward(handle) as audio:
                _check_header(audio, size, max_seconds)
                yield from _resampled(_mono(audio), audio.samplerate, sample_rate)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.rstrip('.').removeprefix('Error : ') or 'unreadable'
            raise BadRecording(f'cannot be decoded: {reason}') from None


class _Forward(soundfile.SoundFile):
    """A file that is read in one go: soundfile seeks to where it is after every read, which MP3 decoders do not survive
    unscathed."""

    def seekable(self):
        return False


@contextmanager
def _opened(source):
    """A binary file that can seek; closed here only if opened here."""
    if hasattr(source, 'read'):
        if source.seekable():
            yield source
        else:
            with _copied(source) as file:
                yield file
        return
    try:
        file = open(source, 'rb')  # noqa: SIM115
    except OSError as error:
        raise BadRecording(f'cannot be opened ({error.strerror})') from None
    with file:
        yield file


@contextmanager
def _copied(stream):
    """A temporary file with all bytes of a stream that cannot seek."""
    with tempfile.TemporaryFile() as file:
        left = MAX_BYTES
        try:
            while part := stream.read(1 << 20):
                left -= len(part)
                if left < 0:
                    raise BadRecording(f'larger than {MAX_BYTES >> 30} GiB. Save it to a file and give that')
                file.write(part)
        except OSError as error:
            raise BadRecording(f'cannot be read ({error.strerror or error})') from None
        yield file


def _check_whole(file, size):
    """The samples that the header claims must all be there: libsndfile would not say."""
    found = sample_bytes(file, size)
    if found and found.cut:
        raise BadRecording(f'cut short: its header claims {found.claimed} bytes of samples, {found.there} are there')


def _check_header(audio, size, max_seconds):
    if fault := fault_of(audio, size):
        raise BadRecording(fault)
    if audio.frames > max_seconds * audio.samplerate or audio.frames * audio.channels > MAX_SAMPLES:
        raise BadRecording(f'claims {audio.frames / audio.samplerate:.0f} s of {audio.channels} channels (allowed: '
                           f'{max_seconds:g} s and {MAX_SAMPLES} samples). Cut it into pieces')


def _mono(audio):
    """float64 (n,) means over the channels, in units of 16 bits, block by block.

    No more frames are read than the header claims. What it claims and does not hold is an error at the end.
    """
    count, left = max(BLOCK_SAMPLES // audio.channels, 1), audio.frames
    while left > 0:
        block = audio.read(min(count, left), dtype='float64', always_2d=True)
        if not len(block):
            break
        if not np.isfinite(block).all():
            raise BadRecording('holds NaN or infinite samples')
        left -= len(block)
        yield block.mean(axis=1) * 32768.0
    if audio.frames - left < fewest_frames(audio):
        raise BadRecording(f'cut short: its header claims {audio.frames} frames, {audio.frames - left} can be decoded')


def _resampled(parts, source_rate, rate):
    """int16 blocks at `rate` of float64 ones at source_rate; the resampler keeps its state between them."""
    stream = None if source_rate == rate else soxr.ResampleStream(source_rate, rate, 1, 'float64', 'HQ')
    empty = True
    for part in parts:
        part = part if stream is None else stream.resample_chunk(part)
        if len(part):
            empty = False
            yield _rounded(part)
    rest = np.zeros(0) if stream is None else stream.resample_chunk(np.zeros(0), last=True)
    if len(rest):
        yield _rounded(rest)
    elif empty:
        raise BadRecording(f'empty: it holds no samples, or too few for one at {rate} Hz')


def _rounded(part):
    return np.clip(np.rint(part), -32768, 32767).astype(np.int16)
