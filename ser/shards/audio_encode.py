"""From an utterance's file to the bytes of one audio member: mono, 16 bits, at the shard's rate.

Decoding here is bounded: a header is checked before anything is allocated for what it claims.
"""

import hashlib
import io
import struct
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from ser.corpora.utterance import Skip

FORMATS = {'flac': ('FLAC', 'PCM_16'), 'wav': ('WAV', 'PCM_16'), 'ogg': ('OGG', 'VORBIS')}
MAX_SECONDS = 3600
MAX_CHANNELS = 64
RATES_HZ = (2000, 768000)
_BLOCK_FRAMES = 1 << 16
# Formats whose header states the exact number of frames, so that fewer means a cut file.
_EXACT = ('FLAC', 'WAV', 'WAVEX', 'AIFF', 'RF64', 'W64', 'CAF', 'AU')


class BadAudio(Exception):
    """A recording that cannot be used: (reason, detail)."""


@dataclass(frozen=True)
class Encoded:
    """One audio member."""

    data: bytes
    sample_rate: int
    frames: int
    clipped: int
    """Samples beyond 16 bits that were cut off."""
    sha256: str
    """Of `data`, hexadecimal."""


def encode(utterance, audio, sample_rate):
    """The utterance's audio member, or a bad Skip that says why there is none.

    audio: a key of FORMATS. sample_rate: Hz, or 'keep' for the recording's own.
    """
    try:
        samples, rate, clipped = prepare(utterance, sample_rate)
        data = encode_audio(samples, rate, audio)
    except BadAudio as bad:
        reason, detail = bad.args
        return Skip(utterance.relative, reason, detail, bad=True)
    return Encoded(data, rate, len(samples), clipped, hashlib.sha256(data).hexdigest())


def prepare(utterance, sample_rate):
    """(int16 (n,) mono samples, rate in Hz, clipped samples). Raises BadAudio.

    Channels are averaged and the mean resampled (soxr HQ) in float64; rounding to 16 bits comes last, once.
    """
    waveform, rate = _synthesised(utterance) if utterance.read else decode(_source(utterance))
    if sample_rate not in ('keep', rate):
        waveform = soxr.resample(waveform, rate, sample_rate, quality='HQ')
        rate = sample_rate
    if not len(waveform):
        raise BadAudio('no samples', '')
    rounded = np.rint(waveform * 32768.0)
    samples = np.clip(rounded, -32768, 32767)
    return samples.astype(np.int16), rate, int(np.count_nonzero(samples != rounded))


def _source(utterance):
    """What to decode: a path, or the audio file's bytes. Raises BadAudio where those cannot be had."""
    if not utterance.data:
        return utterance.path
    try:
        return io.BytesIO(utterance.data())
    except OSError as error:
        raise BadAudio('cannot be read', (error.strerror or str(error)).splitlines()[0].rstrip('.')) from None


def _synthesised(utterance):
    samples, rate = utterance.read()
    return samples / 32768.0, rate


def decode(path):
    """(float64 (n,) mono in [-1, 1], rate in Hz) of an audio file: a Path or a BytesIO. Raises BadAudio."""
    try:
        with soundfile.SoundFile(path) as file:
            _check_header(file)
            blocks = list(_blocks(file))
            claimed, rate, exact = file.frames, file.samplerate, file.format in _EXACT
    except (soundfile.LibsndfileError, OSError) as error:
        detail = getattr(error, 'error_string', None) or getattr(error, 'strerror', None) or 'unreadable'
        raise BadAudio('empty file' if _is_empty(path) else 'cannot be decoded', detail.rstrip('.')) from None
    waveform = np.concatenate(blocks) if blocks else np.zeros(0)
    if exact and len(waveform) < claimed:
        raise BadAudio('cut short', f'header says {claimed} frames, {len(waveform)} can be read')
    if not len(waveform):
        raise BadAudio('no samples', '')
    if not np.isfinite(waveform).all():
        raise BadAudio('NaN or infinite samples', '')
    return waveform, rate


def _is_empty(path):
    if isinstance(path, io.BytesIO):
        return not path.getbuffer().nbytes
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _check_header(file):
    low, high = RATES_HZ
    if not low <= file.samplerate <= high:
        raise BadAudio('absurd sample rate', f'{file.samplerate} Hz')
    if file.channels > MAX_CHANNELS:
        raise BadAudio('too many channels', str(file.channels))
    if file.frames > MAX_SECONDS * file.samplerate:
        raise BadAudio(f'longer than {MAX_SECONDS} s', f'{file.frames / file.samplerate:.0f} s by its header')


def _blocks(file):
    """Blocks of the mean over channels (axis 1 of soundfile's (frames, channels)), float64."""
    left = MAX_SECONDS * file.samplerate
    while left > 0:
        block = file.read(min(_BLOCK_FRAMES, left), dtype='float64', always_2d=True)
        if not len(block):
            return
        left -= len(block)
        yield block.mean(axis=1)


def encode_audio(samples, rate, audio):
    """Bytes of int16 (n,) mono samples in a format of FORMATS, the same for the same samples. Raises BadAudio."""
    container, subtype = FORMATS[audio]
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(buffer, 'w', rate, 1, subtype, format=container) as file:
            # libsndfile's Vorbis encoder overflows its stack on long writes.
            for start in range(0, len(samples), _BLOCK_FRAMES):
                file.write(samples[start:start + _BLOCK_FRAMES])
    except soundfile.LibsndfileError as error:
        raise BadAudio(f'cannot be written as {audio}', f'{rate} Hz: {error.error_string.rstrip(".")}') from None
    data = buffer.getvalue()
    return with_fixed_serial(data) if audio == 'ogg' else data


def _crc_table():
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = ((value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


_CRC = _crc_table()


def with_fixed_serial(data, serial=1):
    """An Ogg stream with `serial` as its number in every page (RFC 3533); libsndfile draws one from the clock."""
    pages, start = bytearray(data), 0
    while start < len(pages):
        segments = pages[start + 26]
        end = start + 27 + segments + sum(pages[start + 27:start + 27 + segments])
        struct.pack_into('<I', pages, start + 14, serial)
        struct.pack_into('<I', pages, start + 22, 0)
        crc = 0
        for byte in pages[start:end]:
            crc = ((crc << 8) & 0xFFFFFFFF) ^ _CRC[(crc >> 24) ^ byte]
        struct.pack_into('<I', pages, start + 22, crc)
        start = end
    return bytes(pages)
