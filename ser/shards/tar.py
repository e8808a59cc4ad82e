"""Plain tar files whose bytes depend on their members alone."""

import hashlib
import os
import tarfile

_RECORD = 10240


class TarWriter:
    """An uncompressed POSIX tar: mode 0644, owner 0, time 0; a pax header only for names over 100 characters."""

    def __init__(self, path):
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._file = open(path, 'xb')  # noqa: SIM115 - closed by finish() or abandon()

    def add(self, name, data):
        """Append a file; returns (offset, size) of its data in bytes."""
        member = tarfile.TarInfo(name)
        member.size = len(data)
        member.mode = 0o644
        self._write(member.tobuf(tarfile.PAX_FORMAT, 'utf-8', 'surrogateescape'))
        offset = self.size
        self._write(data)
        self._write(bytes(-len(data) % tarfile.BLOCKSIZE))
        return offset, len(data)

    def finish(self):
        """End the archive and put it on the disk; returns (size, sha256) of the file."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self.size % _RECORD))
        sync_and_close(self._file)
        return self.size, self._digest.hexdigest()

    def abandon(self):
        """Close without an end."""
        self._file.close()

    def _write(self, data):
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)


def sync_and_close(file):
    """Flush an open file to the disk and close it."""
    with file:
        file.flush()
        os.fsync(file.fileno())
