"""Files made to harm: small ones that ask for gigabytes, and a FLAC that really grows."""

import gzip
import tarfile

from tests.shard_factory import audio_bytes, tar_bytes, tone

RATE = 16000


def _crc(data, polynomial, bits):
    """CRC of bytes, most significant bit first, starting at 0."""
    value, top = 0, 1 << bits - 1
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial) & (1 << bits) - 1 if value & top else value << 1
    return value


def _number(value):
    """A frame's number as FLAC writes it: like UTF-8."""
    return chr(value).encode('utf-8', 'surrogatepass')


def flac_bomb(frames=2400, block=65535, rate=44100):
    """A sound FLAC of `frames` constant blocks of `block` samples each, 16 bits, mono: 14 bytes or so for each."""
    total = frames * block
    fields = rate << 44 | 0 << 41 | 15 << 36 | total
    info = block.to_bytes(2, 'big') * 2 + bytes(6) + fields.to_bytes(8, 'big') + bytes(16)
    parts = [b'fLaC\x80\x00\x00\x22', info]
    for number in range(frames):
        # Fixed block size; its 16-bit size at the end of the header; 44.1 kHz, mono, 16 bits; a constant subframe.
        header = b'\xff\xf8\x79\x08' + _number(number) + (block - 1).to_bytes(2, 'big')
        header += bytes([_crc(header, 0x07, 8)])
        frame = header + b'\x00\x00\x07'
        parts.append(frame + _crc(frame, 0x8005, 16).to_bytes(2, 'big'))
    return b''.join(parts)


def lying_flac(frames, rate=RATE, channels=1):
    """A FLAC of a few kilobytes whose header claims `frames` of `channels` at `rate` Hz."""
    data = bytearray(audio_bytes(tone(1, 0.2), RATE))
    data[18:26] = (rate << 44 | channels - 1 << 41 | 15 << 36 | frames).to_bytes(8, 'big')
    return bytes(data)


def sparse_tar():
    """A tar of 2 KB whose member claims 3 GiB."""
    info = tarfile.TarInfo('a.flac')
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b'%011o\0' % (3 << 30), b'%011o\0' % 512
    header[483:495] = b'%011o\0' % (3 << 30)
    header[148:156] = b' ' * 8
    header[148:156] = b'%06o\0 ' % sum(header)
    return bytes(header) + bytes(512) + bytes(1024)


def write_bombs(folder):
    """Nine bombs: name -> (what opens it: 'index', 'decode' or 'expand', path of its bytes)."""
    bombs = {
        'gzip as tar': ('index', gzip.compress(tar_bytes([('a.flac', bytes(1 << 27))]), 1)),
        'sparse tar': ('index', sparse_tar()),
        'FLAC that claims 2**36 - 1 frames': ('decode', lying_flac((1 << 36) - 1)),
        'FLAC that claims the longest that is allowed': ('decode', lying_flac(3600 * RATE)),
        'FLAC that claims an hour at 655 kHz': ('decode', lying_flac(3600 * 655350, 655350)),
        'FLAC that claims eight channels': ('decode', lying_flac((1 << 25) - 1, channels=8)),
        'FLAC that grows 3,870 times and more': ('decode', flac_bomb()),
        'three million braces': ('expand', b'{' * 3_000_000),
        'deep JSON': ('index', tar_bytes([('a.flac', lying_flac(9)), ('a.json', b'[' * 1_000_000)])),
    }
    paths = {}
    for number, (name, (opener, data)) in enumerate(bombs.items()):
        (folder / f'{number}.tar').write_bytes(data)
        paths[name] = (opener, str(folder / f'{number}.tar'))
    return paths
