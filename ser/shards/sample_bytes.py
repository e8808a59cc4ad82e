"""How many bytes of samples a file's header claims: where fewer are there, libsndfile reads those and is silent.

WAV (RIFF, RIFX, RF64, BW64), AIFF and AIFC, Sun AU, Sony Wave64, Creative Voice and NIST SPHERE; other formats check
themselves.
"""

import re
from dataclasses import dataclass

_TO_THE_END = 0xFFFFFFFF
# What writers to a pipe leave, who cannot come back to the header: ffmpeg the most that four bytes hold, sox, eSpeak
# and arecord the most that fits 31 bits, either of them less a few bytes or blocks.
_STREAMED = (range(0x7FFFF000, 1 << 31), range(0xFFFFF000, 1 << 32))
# More chunks than any recorder writes; a file of nothing but empty ones must not take for ever.
_MOST_CHUNKS = 4096
_NIST_BYTES = 1 << 16
# Wave64 names its chunks by 16 bytes of which the first four are those of RIFF.
_W64_HEADER_BYTES = 24
# Of SSND, before its samples: an offset and a block size, both of no use.
_SSND_HEADER_BYTES = 8
# Of a Voice file's block of samples, before them: rate, bits, channels, codec and four bytes of nothing.
_VOICE_HEADER_BYTES = 12


@dataclass(frozen=True)
class SampleBytes:
    """What the header of an audio file says of its samples, in bytes."""

    claimed: int
    there: int
    """From the first sample to the end of the file; more than claimed where other chunks follow."""

    @property
    def cut(self):
        """Whether the file ends before its samples do."""
        return self.there < self.claimed


def sample_bytes(file, size):
    """SampleBytes of a binary file of `size` bytes, or None where its header does not say how many there are.

    None too for other formats, and for the lengths that a writer to a pipe leaves, which mean 'to the end'.
    """
    file.seek(0)
    start = file.read(16)
    if start[:4] in (b'RIFF', b'RIFX', b'RF64', b'BW64') and start[8:12] == b'WAVE':
        return _wave(file, size, 'big' if start[:4] == b'RIFX' else 'little')
    if start[:4] == b'FORM' and start[8:12] in (b'AIFF', b'AIFC'):
        return _of(_chunks(file, 12, 'big'), b'SSND', size, _SSND_HEADER_BYTES)
    if start[:4] == b'riff':
        return _of(_chunks_of_wave64(file), b'data', size)
    if start == b'Creative Voice F':
        return _of(_blocks_of_voice(file), b'\x09', size, _VOICE_HEADER_BYTES)
    if start[:4] == b'.snd':
        return _known(int.from_bytes(start[8:12], 'big'), int.from_bytes(start[4:8], 'big'), size)
    return _nist(start + file.read(_NIST_BYTES), size) if start[:8] == b'NIST_1A\n' else None


def _known(claimed, position, size):
    found = SampleBytes(claimed, max(size - position, 0))
    return None if found.cut and any(claimed in lengths for lengths in _STREAMED) else found


def _of(chunks, wanted, size, before=0):
    """Of the chunk named `wanted`, whose samples begin after `before` bytes."""
    for name, position, claimed in chunks:
        if name == wanted:
            return _known(claimed - before, position + before, size)
        # Nothing follows what runs past the end, and there are lengths that no file can be moved on by.
        if position + claimed > size:
            return None
    return None


def _wave(file, size, order):
    """The data chunk's; RF64 puts its length into the chunk ds64, since four bytes do not hold it."""
    long = None
    for name, position, claimed in _chunks(file, 12, order):
        if name == b'ds64':
            file.seek(position + 8)
            long = int.from_bytes(file.read(8), 'little')
        elif name == b'data':
            return _known(long if long is not None and claimed == _TO_THE_END else claimed, position, size)
    return None


def _chunks(file, position, order):
    """(name, position of the content, its bytes) of each chunk; contents are padded to even lengths."""
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        header = file.read(8)
        if len(header) < 8:
            return
        claimed = int.from_bytes(header[4:], order)
        yield header[:4], position + 8, claimed
        position += 8 + claimed + claimed % 2


def _chunks_of_wave64(file):
    """As `_chunks`: lengths are of 8 bytes, count the chunk's own header, and are padded to multiples of 8."""
    position = _W64_HEADER_BYTES + 16
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        header = file.read(_W64_HEADER_BYTES)
        claimed = int.from_bytes(header[16:], 'little')
        if len(header) < _W64_HEADER_BYTES or claimed < _W64_HEADER_BYTES:
            return
        yield header[:4], position + _W64_HEADER_BYTES, claimed - _W64_HEADER_BYTES
        position += -(-claimed // 8) * 8


def _blocks_of_voice(file):
    """As `_chunks`, named by one byte; three hold the length. Other blocks of samples libsndfile refuses by itself."""
    file.seek(20)
    position = int.from_bytes(file.read(2), 'little')
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        header = file.read(4)
        # The block that ends the file has no length.
        if len(header) < 4 or not header[0]:
            return
        claimed = int.from_bytes(header[1:], 'little')
        yield header[:1], position + 4, claimed
        position += 4 + claimed


def _nist(start, size):
    """Of a header in text, whose second line is its length: `sample_count -i 16000`."""
    fields = {name: int(value) for name, value in re.findall(
        rb'^(sample_count|channel_count|sample_n_bytes) -i (\d{1,15})\s*$', start, re.MULTILINE)}
    length = re.match(rb'NIST_1A\n\s*(\d{1,9})\s', start)
    if length is None or b'sample_count' not in fields:
        return None
    claimed = fields[b'sample_count'] * fields.get(b'channel_count', 1) * fields.get(b'sample_n_bytes', 1)
    return _known(claimed, int(length[1]), size)
