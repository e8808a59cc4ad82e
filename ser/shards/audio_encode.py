"""From an utterance's file to the bytes of one audio member: mono, 16 bits, at the shard's rate.

Decoding here is bounded: a header is checked before anything is allocated for what it claims.
"""

import hashlib
import io
import os
import stat
import struct
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from ser.corpora.utterance import Skip
from ser.shards.header_claims import MAX_CHANNELS, RATES_HZ, fault_of, fewest_frames
from ser.shards.sample_bytes import sample_bytes

FORMATS = {'flac': ('FLAC', 'PCM_16'), 'wav': ('WAV', 'PCM_16'), 'ogg': ('OGG', 'VORBIS')}
MAX_SECONDS = 3600
# Less than any syllable.
SHORTEST_SECONDS = 0.1
_BLOCK_FRAMES = 1 << 16
# Bytes of a sample, where all have the same.
_WIDTHS = {'PCM_S8': 1, 'PCM_U8': 1, 'PCM_16': 2, 'PCM_24': 3, 'PCM_32': 4, 'FLOAT': 4, 'DOUBLE': 8, 'ULAW': 1,
           'ALAW': 1}


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
    doubt: str = ''
    """Why a whole recording may say nothing, in a few words; '' of most."""


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
    return Encoded(data, rate, len(samples), clipped, hashlib.sha256(data).hexdigest(), _doubt(samples, rate))


def _doubt(samples, rate):
    # Such clips are samples all the same: published counts and folds hold them, and their owner may want them.
    if not samples.any():
        return 'nothing but silence'
    return f'shorter than {SHORTEST_SECONDS} s' if len(samples) < SHORTEST_SECONDS * rate else ''


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


def decode(source):
    """(float64 (n,) mono in [-1, 1], rate in Hz) of an audio file: a Path or a BytesIO. Raises BadAudio."""
    try:
        with _opened(source) as raw:
            size = raw.seek(0, io.SEEK_END)
            held = _samples_held(raw, size)
            with soundfile.SoundFile(raw) as file:
                _check_header(file, size)
                _check_whole(held, file)
                blocks = list(_blocks(file))
                rate, claimed, fewest = file.samplerate, file.frames, fewest_frames(file)
    except soundfile.LibsndfileError as error:
        raise BadAudio('cannot be decoded', error.error_string.rstrip('.')) from None
    except OSError as error:
        raise BadAudio('cannot be read', error.strerror or 'unreadable') from None
    waveform = np.concatenate(blocks) if blocks else np.zeros(0)
    if len(waveform) < fewest:
        raise BadAudio('cut short', f'{len(waveform)} of {claimed} frames')
    if not len(waveform):
        raise BadAudio('no samples', '')
    if not np.isfinite(waveform).all():
        raise BadAudio('NaN or infinite samples', '')
    return waveform, rate


def _opened(source):
    """A Path or BytesIO as a binary file without a name. Raises BadAudio for a folder, a pipe and a device.

    Of a name soundfile wants that it is UTF-8 and does not end in .raw; a pipe is not waited for.
    """
    if isinstance(source, io.BytesIO):
        return source
    number = os.open(source, os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_BINARY', 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise BadAudio('not a plain file', '')
    return open(number, 'rb')


def _samples_held(raw, size):
    """SampleBytes or None, see `sample_bytes`. Raises BadAudio for an empty file."""
    if not size:
        raise BadAudio('empty file', '')
    held = sample_bytes(raw, size)
    raw.seek(0)
    return held


def _check_whole(held, file):
    """Raises BadAudio where the header claims more samples than there are bytes for: libsndfile would not say."""
    if held and held.cut:
        width = file.channels * _WIDTHS.get(file.subtype, 0)
        raise BadAudio('cut short', f'{held.there // width} of {held.claimed // width} frames' if width else
                       f'{held.there} of {held.claimed} bytes')


def _check_header(file, size):
    low, high = RATES_HZ
    if not low <= file.samplerate <= high:
        raise BadAudio('absurd sample rate', f'{file.samplerate} Hz')
    if file.channels > MAX_CHANNELS:
        raise BadAudio('too many channels', str(file.channels))
    if file.frames > MAX_SECONDS * file.samplerate:
        raise BadAudio(f'longer than {MAX_SECONDS} s', f'{file.frames / file.samplerate:.0f} s by its header')
    if fault := fault_of(file, size):
        raise BadAudio('header claims too much', fault)


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
