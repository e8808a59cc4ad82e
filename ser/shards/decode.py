"""From the bytes of an audio member to int16 mono at the batch's rate; nothing is allocated for an unchecked claim."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from ser.errors import SerError
from ser.shards.audio_encode import MAX_SECONDS
from ser.shards.header_claims import fault_of, fewest_frames
from ser.shards.sample_bytes import sample_bytes

MAX_SAMPLES = 1 << 28
"""Most samples over all channels that one member may hold."""

_BLOCK_SAMPLES = 1 << 22
_FORMATS = {'flac': ('FLAC',), 'wav': ('WAV', 'WAVEX', 'RF64'), 'ogg': ('OGG',), 'oga': ('OGG',), 'opus': ('OGG',),
            'mp3': ('MP3', 'MPEG')}
_FLOAT = {'FLOAT': 'float32', 'DOUBLE': 'float64', 'VORBIS': 'float32', 'OPUS': 'float32',
          'MPEG_LAYER_I': 'float32', 'MPEG_LAYER_II': 'float32', 'MPEG_LAYER_III': 'float32'}
_WIDE = ('PCM_24', 'PCM_32', 'ALAC_20', 'ALAC_24', 'ALAC_32')


class BadSample(SerError):
    """Audio that cannot be used. kind: a word or two to count by; the message does not name shard and key."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Clip:
    """Decoded audio: int16 (n,), n >= 1, mono at the asked rate. clipped: samples cut off at 16 bits."""

    samples: np.ndarray
    clipped: int
    resampled: bool


def decode(data, suffix, rate, sha256=None):
    """The Clip of an audio member's bytes.

    suffix: of the member, such as '.flac'. rate: Hz wanted; another one is resampled (soxr HQ). sha256: hex of the
    bytes, checked when given: WAV, Ogg and MP3 have no checksum of their own that a reader verifies.
    PCM of 16 bits is taken as it is; wider and floating point samples are scaled by 32768 and rounded; channels are
    averaged. Raises BadSample for bytes that are damaged, no audio, empty, not finite or beyond the bounds.
    """
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise BadSample('sha256', 'its bytes are not those that were recorded (sha256 differs): damaged. '
                                  'Copy or build the shard again')
    kind = suffix.rpartition('.')[2].lower()
    _check_magic(data, kind)
    _check_whole(data)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_header(file, data, kind)
            samples = _read(file)
            source_rate = file.samplerate
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip('.').removeprefix('Error : ') or 'unreadable'
        raise BadSample('undecodable', f'cannot be decoded as {kind}: {reason}') from None
    return _finish(samples, source_rate, rate)


def _check_magic(data, kind):
    if not data:
        raise BadSample('empty', 'is empty: no bytes at all')
    good = {'flac': data.startswith((b'fLaC', b'ID3')), 'mp3': data.startswith(b'ID3') or _is_mpeg(data),
            'wav': data[:4] in (b'RIFF', b'RIFX', b'RF64') and data[8:12] == b'WAVE'}
    if not good.get(kind, data.startswith(b'OggS')):
        raise BadSample('magic', f'is no {kind}: it starts with {data[:4]!r}')


def _is_mpeg(data):
    return len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0


def _check_whole(data):
    """The samples that the header claims must all be there: libsndfile would not say."""
    found = sample_bytes(io.BytesIO(data), len(data))
    if found and found.cut:
        raise BadSample('truncated', f'is cut short: its header claims {found.claimed} bytes of samples, '
                                     f'{found.there} are there')


def _check_header(file, data, kind):
    if file.format not in _FORMATS[kind]:
        raise BadSample('magic', f'is no {kind} but {file.format}')
    if fault := fault_of(file, len(data)):
        raise BadSample('header', fault)
    if file.frames > MAX_SECONDS * file.samplerate or file.frames * file.channels > MAX_SAMPLES:
        raise BadSample('too long', f'claims {file.frames} frames of {file.channels} channels, '
                                    f'{file.frames / file.samplerate:.0f} s (allowed: {MAX_SECONDS} s and '
                                    f'{MAX_SAMPLES} samples). Cut it before building')


def _read(file):
    """Samples as soundfile gives them, (n,) or (n, channels): int16, int32 for wider PCM, or float."""
    dtype = _FLOAT.get(file.subtype) or ('int32' if file.subtype in _WIDE else 'int16')
    if file.frames * file.channels <= _BLOCK_SAMPLES:
        samples = file.read(file.frames, dtype=dtype)
    else:
        samples = _read_blocks(file, dtype)
    if len(samples) < fewest_frames(file):
        raise BadSample('truncated', f'is cut short: its header claims {file.frames} frames, '
                                     f'{len(samples)} can be decoded')
    return samples


def _read_blocks(file, dtype):
    """Block by block, so that memory follows what is really there and not what the header says."""
    count = max(_BLOCK_SAMPLES // file.channels, 1)
    blocks, total = [], 0
    while total < file.frames:
        block = file.read(min(count, file.frames - total), dtype=dtype)
        blocks.append(block)
        total += len(block)
        if not len(block):
            break
    return np.concatenate(blocks)


def _finish(samples, source_rate, rate):
    """Mono, resampled, rounded once."""
    if not len(samples):
        raise BadSample('empty', 'is empty: it holds no samples')
    if samples.dtype == np.int16 and samples.ndim == 1 and source_rate == rate:
        return Clip(samples, 0, False)
    scale = {'i2': 1.0, 'i4': 1 / 65536}.get(samples.dtype.str[1:], 32768.0)
    if samples.dtype.kind == 'f' and not np.isfinite(samples).all():
        raise BadSample('not finite', 'holds NaN or infinite samples')
    mono = samples.mean(axis=1, dtype=np.float64) if samples.ndim == 2 else samples
    mono = mono.astype(np.float64) * scale
    if source_rate != rate:
        mono = soxr.resample(mono, source_rate, rate, quality='HQ')
        if not len(mono):
            raise BadSample('empty', f'is empty: too short for a single sample at {rate} Hz')
    rounded = np.rint(mono)
    kept = np.clip(rounded, -32768, 32767)
    return Clip(kept.astype(np.int16), int(np.count_nonzero(kept != rounded)), source_rate != rate)
