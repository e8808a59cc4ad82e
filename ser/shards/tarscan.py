"""One strict pass over a tar shard: plain files with plain names, whole to the last byte, or a refusal.

The header layout is POSIX ustar with pax (IEEE 1003.1) and GNU long names, as Python's tarfile writes and reads it.
Parsed here because the pass also hashes the file, refuses what tarfile lets through (a cut at a member boundary,
a hole of zeros) and is faster.
"""

import hashlib
import os
import shlex
from collections import namedtuple

from ser.errors import SerError

BLOCK = 512
END_ZEROS = 1024
"""Bytes of zeros that end an archive, at least."""
MAX_HEADER_BYTES = 1 << 16
"""Largest pax or long-name header."""
_CHUNK = 1 << 20

Member = namedtuple('Member', 'name offset size')
"""A plain file of the archive: name, byte offset of its data, size in bytes."""

_PACKED = {b'\x1f\x8b': 'gzip', b'BZh': 'bzip2', b'\xfd7zXZ': 'xz', b'\x28\xb5\x2f\xfd': 'zstd', b'PK\x03\x04': 'zip',
           b'7z\xbc\xaf': '7z', b'\x04\x22\x4d\x18': 'lz4', b'Rar!': 'rar', b'\x1f\x9d': 'compress'}
_REFUSED_TYPES = {b'1': 'a hard link', b'2': 'a symbolic link', b'3': 'a character device', b'4': 'a block device',
                  b'6': 'a named pipe', b'S': 'a sparse file', b'K': 'a long link', b'7': 'a contiguous file',
                  b'D': 'an incremental folder', b'M': 'a part of a multi-volume file', b'V': 'a volume label'}
_HARMLESS_PAX = ('path', 'size', 'mtime', 'atime', 'ctime', 'uid', 'gid', 'uname', 'gname', 'comment')


class ShardFault(SerError):
    """What is wrong at one place of a shard.

    offset: byte, None for the file as a whole. kind: a word or two to count by. member: the name of the member, None
    where there is none. damaged: whether the message says how to see what is left. what: the message without shard,
    offset and that.
    """

    def __init__(self, path, what, offset=None, kind='structure', member=None, damaged=False):
        place, then = '' if offset is None else f'at byte {offset}: ', f'. {again(path)}' if damaged else ''
        super().__init__(f'{path}: {place}{what}{then}')
        self.path, self.what, self.offset, self.kind, self.member = str(path), what, offset, kind, member
        self.damaged = damaged

    def __reduce__(self):
        return ShardFault, (self.path, self.what, self.offset, self.kind, self.member, self.damaged)


def again(path):
    """What to do about a damaged shard."""
    return f'Copy or build it again; what is left of it: ser doctor {shlex.quote(str(path))}'


class TarScan:
    """Iterate the plain files of a shard, strictly; afterwards `.sha256` is that of the whole file.

    path: the shard. wanted: called with each Member, True where its data should be handed over. start: the byte offset
    of the header to begin with; from another than 0, `.sha256` is that of what follows.
    Iterating yields (Member, data, sha256): data is bytes where wanted, else None; sha256 is that of the data, hex.
    Folder entries are passed over and counted in `.folders`. Raises ShardFault naming shard, byte offset and member.
    """

    def __init__(self, path, wanted, start=0):
        self.path, self.wanted = path, wanted
        self.sha256, self.size, self.mtime_ns, self.folders = None, None, None, 0
        self._position = start
        self._digest = hashlib.sha256()

    def __iter__(self):
        try:
            with open(self.path, 'rb') as self._file:
                before = os.fstat(self._file.fileno())
                self._file.seek(self._position)
                self.size, self.mtime_ns = before.st_size, before.st_mtime_ns
                yield from self._members()
                after = os.fstat(self._file.fileno())
        except OSError as error:
            raise ShardFault(self.path, f'cannot be read ({error.strerror or error})', kind='unreadable') from None
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ShardFault(self.path, 'changed while it was read. Wait until it is complete', kind='unreadable')
        self.sha256 = self._digest.hexdigest()

    def _members(self):
        extended, pending = {}, False
        while True:
            start = self._position
            header = self._read(BLOCK)
            if header and header.count(0) == len(header):
                self._check_end(start, header, pending)
                return
            fields = self._parse(header, start, extended.get('path'))
            name, size, kind = fields.name, extended.get('size', fields.size), fields.kind
            if kind in (b'x', b'g', b'L'):
                extended, pending = self._extend(extended, kind, fields.size, start), kind != b'g'
                continue
            extended, pending = {}, False
            if kind == b'5' or (kind == b'\0' and name.endswith('/')):
                if size:
                    raise self._error(start, f'folder {name!r} holds data', 'damaged header', name)
                self.folders += 1
                continue
            if kind not in (b'0', b'\0'):
                what = _REFUSED_TYPES.get(kind, f'of unknown type {kind!r}')
                raise self._error(start, f'member {name!r} is {what}. Only plain files are read', 'no plain file', name)
            self._check_name(name, start)
            member = Member(name, self._position, size)
            yield (member, *self._data(member))

    def _data(self, member):
        """(data or None, sha256) of a member whose header has just been read."""
        if member.offset + member.size > self.size:
            raise self._cut(member.offset, member)
        digest, kept, left = hashlib.sha256(), self.wanted(member), member.size
        parts = []
        while left:
            part = self._read(min(left, _CHUNK))
            if not part:
                raise self._cut(self._position, member)
            digest.update(part)
            left -= len(part)
            if kept:
                parts.append(part)
        self._read(-member.size % BLOCK)
        return b''.join(parts) if kept else None, digest.hexdigest()

    def _read(self, count):
        data = self._file.read(count)
        self._digest.update(data)
        self._position += len(data)
        return data

    def _parse(self, header, start, long_name):
        packed = next((name for magic, name in _PACKED.items() if start == 0 and header.startswith(magic)), None)
        if packed:
            raise ShardFault(self.path, f'compressed ({packed}). Shards are plain tars: unpack it first',
                             kind='compressed')
        if len(header) < BLOCK:
            self._refuse_end(start, header)
        if not checksum_matches(header):
            what = 'not a tar file' if start == 0 else 'a damaged header'
            raise self._error(start, f'{what} (its checksum does not match)', 'damaged header', damaged=start > 0)
        return self._fields(header, start, long_name)

    def _fields(self, header, start, long_name):
        size = _octal(header[124:136])
        if size is None or size < 0:
            raise self._error(start, 'a header with an unreadable size', 'damaged header')
        if long_name is not None:
            return _Fields(long_name, size, header[156:157])
        name, prefix = _text(header[:100]), _text(header[345:500])
        if name is None or prefix is None:
            raise self._error(start, f'member name {header[:100].rstrip(bytes(1))!r} is not UTF-8',
                              'member name')
        if prefix and header[257:265] == b'ustar\x0000':
            name = f'{prefix}/{name}'
        elif prefix and header[156:157] not in (b'L', b'K'):
            raise self._error(start, f'member {name!r} has an ambiguous name field', 'member name', name)
        return _Fields(name, size, header[156:157])

    def _extend(self, extended, kind, size, start):
        if size > MAX_HEADER_BYTES:
            raise self._error(start, f'an extended header of {size} bytes, more than {MAX_HEADER_BYTES}',
                              'damaged header')
        body = self._read(size + -size % BLOCK)[:size]
        if len(body) < size:
            raise self._error(start, 'the file ends inside an extended header: it is truncated', 'truncated',
                              damaged=True)
        if kind == b'L':
            name = _text(body)
            if not name:
                raise self._error(start, 'a long member name that is not UTF-8', 'member name')
            return {**extended, 'path': name}
        found = self._pax(body, start)
        if kind == b'g':
            if 'path' in found or 'size' in found:
                raise self._error(start, 'a global header that names or sizes members', 'damaged header')
            return extended
        return {**extended, **found}

    def _pax(self, body, start):
        """'path' and 'size' of a pax header's records, where present."""
        found = {}
        while body:
            length, _, _ = body[:20].partition(b' ')
            count = int(length) if length.isdigit() else 0
            record = body[len(length) + 1:count]
            key, equals, value = record[:-1].partition(b'=')
            if count > len(body) or not equals or record[-1:] != b'\n':
                raise self._error(start, 'a damaged pax header', 'damaged header')
            body = body[count:]
            key = key.decode('utf-8', 'replace')
            if key.startswith(('GNU.sparse', 'linkpath')):
                raise self._error(start, f'a pax header for a sparse file or a link ({key})', 'no plain file')
            if key not in _HARMLESS_PAX and not key.startswith(('SCHILY.', 'LIBARCHIVE.')):
                raise self._error(start, f'an unknown pax record {key!r}', 'damaged header')
            if key == 'size':
                found['size'] = int(value) if value.isdigit() and len(value) < 19 else None
            elif key == 'path':
                found['path'] = _utf8(value)
        if None in found.values():
            raise self._error(start, 'a pax header with an unreadable path or size', 'damaged header')
        return found

    def _check_name(self, name, start):
        if what := name_fault(name):
            raise self._error(start, f'member name {name!r} {what}', 'member name', name)

    def _check_end(self, start, first, pending):
        """After the last member: zeros to the end of the file, END_ZEROS of them or more."""
        if pending:
            raise self._error(start, 'the member of an extended header is missing', 'truncated', damaged=True)
        zeros, chunk = 0, first
        while chunk:
            if chunk.count(0) < len(chunk):
                raise self._error(start, 'a hole of zeros with data after it: members are lost',
                                  'hole of zeros', damaged=True)
            zeros += len(chunk)
            chunk = self._read(_CHUNK)
        if zeros < END_ZEROS:
            raise self._error(start, f'only {zeros} of {END_ZEROS} closing zero bytes: it is truncated',
                              'short end', damaged=True)

    def _refuse_end(self, start, header):
        if start == 0 and not header:
            raise ShardFault(self.path, 'empty file, not a tar', kind='empty file')
        if start == 0:
            raise ShardFault(self.path, f'{len(header)} bytes are too few for a tar', kind='truncated')
        raise self._error(start, 'the file ends without the closing zeros: it is truncated', 'truncated', damaged=True)

    def _cut(self, offset, member):
        return self._error(offset, f'the file ends inside {member.name!r}: it is truncated', 'truncated', member.name,
                           damaged=True)

    def _error(self, offset, what, kind, member=None, damaged=False):
        return ShardFault(self.path, what, offset, kind, member, damaged)


_Fields = namedtuple('_Fields', 'name size kind')


def name_fault(name):
    """Why a member may not be called so, or None."""
    parts = name.split('/')
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in name):
        return 'holds control characters'
    if name.startswith('/') or '\\' in name:
        return 'is absolute or holds a backslash'
    if '..' in parts:
        return "climbs out of the archive with '..'"
    if '' in parts or any(part.startswith('.') for part in parts):
        return "has a part that is empty or starts with a dot. Pack plain names, without './' and hidden files"
    return None


def checksum_matches(header):
    """Whether the checksum of a header of BLOCK bytes is right."""
    stored = _octal(header[148:156])
    total = sum(header) - sum(header[148:156]) + 256
    # Some old archivers added signed bytes, as tarfile also accepts. Tried last: it takes as long as all else here.
    return stored == total or stored == total - 256 * sum(byte > 127 for byte in header[:148] + header[156:])


def _octal(field):
    """The number in a header field: octal text, or GNU base-256; None when it is neither."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], 'big') if field[0] == 0x80 else None
    text = field.partition(b'\0')[0].strip() or b'0'
    return int(text, 8) if text.strip(b'01234567') == b'' else None


def _text(field):
    return _utf8(field.partition(b'\0')[0])


def _utf8(data):
    try:
        return data.decode('utf-8')
    except UnicodeDecodeError:
        return None
