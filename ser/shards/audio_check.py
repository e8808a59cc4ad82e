"""Whether an audio member decodes, and whether it decodes to what its encoder saw."""

import hashlib
import io

import numpy as np
import soundfile

from ser.shards.decode import BadSample
from ser.shards.fingerprint import stored_samples

_STREAMINFO = slice(8, 42)
# Hz by the code in the header of a FLAC frame (RFC 9639); other codes say it elsewhere.
_FRAME_RATES = dict(enumerate((88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000), start=1))


def check_audio(data, suffix):
    """(rate in Hz, frames, whether the file carries a checksum of its samples) of an audio member's bytes.

    Raises BadSample as decode does, and for FLAC whose samples are not those of the MD5 in its header, or whose header
    has another rate than its first frame.
    """
    samples, rate = stored_samples(data, suffix)
    signature = _signature(data)
    if signature is None:
        return rate, len(samples), False
    if hashlib.md5(_as_encoded(data, samples), usedforsecurity=False).digest() != signature:
        raise BadSample('checksum', 'decodes to other samples than the MD5 in its header says: damaged')
    said = _frame_rate(data)
    if said not in (None, rate):
        raise BadSample('checksum', f'has {rate} Hz in its header and {said} Hz in its frames: damaged')
    return rate, len(samples), True


def _signature(data):
    """MD5 of the samples that a FLAC encoder left in the header, or None."""
    if not data.startswith(b'fLaC\x00') and not data.startswith(b'fLaC\x80'):
        return None
    signature = data[_STREAMINFO][18:34]
    return signature if any(signature) else None


def _frame_rate(data):
    """Hz that the first frame of a FLAC says it has, or None."""
    place, last = 4, False
    while not last and place + 4 <= len(data):
        last = data[place] & 0x80
        place += 4 + int.from_bytes(data[place + 1:place + 4], 'big')
    frame = data[place:place + 4]
    return _FRAME_RATES.get(frame[2] & 15) if len(frame) == 4 and frame[0] == 0xFF else None


def _as_encoded(data, samples):
    """The bytes that the MD5 is of: all channels in turn, little-endian, each in as many bytes as its bits need."""
    header = data[_STREAMINFO]
    channels, bits = (header[12] >> 1 & 7) + 1, ((header[12] & 1) << 4 | header[13] >> 4) + 1
    if channels == 1 and bits == 16:
        return samples.astype('<i2').tobytes()
    wide, _ = soundfile.read(io.BytesIO(data), dtype='int32', always_2d=True)
    octets = (wide >> 32 - bits).astype('<i4').reshape(-1, 1).view(np.uint8)
    return octets[:, :(bits + 7) // 8].tobytes()
