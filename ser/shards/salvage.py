"""A tar shard beyond its first fault: after each one the pass goes on at the next header that is whole."""

import os

from ser.shards.tarscan import BLOCK, ShardFault, TarScan, checksum_matches

_CHUNK = 1 << 20
_MAGIC = (b'ustar\x00', b'ustar ')
_NAME_BYTES = 100


class Salvage:
    """Iterate the plain files of a damaged shard as TarScan does; afterwards `.faults` says what was in the way.

    path: the shard. wanted: called with each Member, True where its data should be handed over.
    Iterating yields (Member, data, sha256) and raises nothing for what is wrong with the tar: each ShardFault is put
    into `.faults`, in the order of their offsets, and the pass goes on behind it, at the next multiple of 512 bytes
    that holds a header with magic and checksum. `.overrun` holds the offsets of members that were handed over and then
    turned out to have other members inside: their data is not theirs. `.sha256` and `.size` are those of the file;
    `.sha256` is None where there is a fault.
    """

    def __init__(self, path, wanted):
        self.path, self.wanted = str(path), wanted
        self.faults, self.overrun = [], set()
        self.sha256, self.size, self.mtime_ns = None, 0, 0

    def __iter__(self):
        start = 0
        while start is not None:
            scan, last = TarScan(self.path, self.wanted, start), None
            try:
                for found in scan:
                    last = found[0]
                    yield found
            except ShardFault as fault:
                self.faults.append(fault)
                start = self._resume(fault, last)
            else:
                start = None
            self.size, self.mtime_ns = scan.size or self.size, scan.mtime_ns or self.mtime_ns
        self.faults.sort(key=lambda fault: fault.offset or 0)
        if not self.faults:
            self.sha256 = scan.sha256

    def _resume(self, fault, last):
        """Offset of the header to go on with, or None. last: the Member before the fault."""
        if fault.offset is None and fault.kind != 'truncated':
            return None
        after = (fault.offset or 0) + BLOCK - (fault.offset or 0) % BLOCK
        if last is not None and fault.kind in ('damaged header', 'hole of zeros'):
            # Where blocks are missing, the member before the fault runs into those that follow.
            inside = self._next_header(last.offset, fault.offset)
            if inside is not None:
                self.overrun.add(last.offset)
                return inside
        if fault.kind == 'truncated' and fault.member is not None:
            after = fault.offset
        return self._next_header(after)

    def _next_header(self, start, end=None):
        """Offset of the first whole header from `start` on that says its member's whole name; None without one."""
        try:
            with open(self.path, 'rb') as file:
                file.seek(start)
                end = os.fstat(file.fileno()).st_size if end is None else end
                while start < end:
                    chunk = file.read(min(_CHUNK, end - start))
                    for place in range(0, len(chunk) - BLOCK + 1, BLOCK):
                        if chunk[place + 257:place + 263] in _MAGIC and self._is_whole(chunk[place:place + BLOCK],
                                                                                       start + place):
                            return start + place
                    start += len(chunk) or end
        except OSError:
            return None
        return None

    def _is_whole(self, header, offset):
        if not checksum_matches(header):
            return False
        # A name that needed an extended header, which is lost, is cut at 100 bytes or has ? for its letters.
        name = header[:_NAME_BYTES]
        cut = header[156:157] in (b'0', b'\0') and (0 not in name or b'?' in name)
        if cut:
            self.faults.append(ShardFault(self.path, f'the name {name.rstrip(bytes(1))!r} may be cut: the header with '
                                                     'the whole of it is lost', offset, 'member name'))
        return not cut
