"""Unpacking an archive that nobody has looked into: files and folders only, all of them below one new folder."""

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath

from ser.errors import SerError
from ser.files import size_text

SUFFIXES = ('.zip', '.tar.gz', '.tgz', '.tar', '.tar.bz2', '.tar.xz')
MAX_MEMBERS = 300_000
# Audio hardly shrinks: an archive that swells more than this is not one of recordings.
MAX_SWELL = 50
SMALL_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 20
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
           NotImplementedError, RuntimeError, ValueError)


def unpacked_folder(archive):
    """The folder beside an archive that it is unpacked to, its name without the suffix; None for any other file."""
    suffix = next((end for end in SUFFIXES if archive.name.lower().endswith(end)), None)
    name = archive.name[:-len(suffix)] if suffix else ''
    return archive.with_name(name) if name.strip('.') else None


def unpack(archive, folder, *, max_bytes=None, max_members=MAX_MEMBERS):
    """Unpack a zip or tar into `folder`, which must not exist and appears when all of it is there.

    max_bytes: what the members may hold together (default: 1 GiB, or MAX_SWELL times the archive where that is more,
    and no more than is free on the disk). max_members: how many there may be.
    Raises SerError for a member outside the folder, a link, a device, a name that comes twice, an encrypted member, an
    archive over these bounds, a damaged one, and a full disk; nothing is left then.
    """
    temporary = folder.with_name(f'.{folder.name}.partial')
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        limits = _Limits(archive, temporary, max_bytes, max_members)
        (_unpack_zip if archive.suffix.lower() == '.zip' else _unpack_tar)(archive, temporary, limits)
        os.replace(temporary, folder)
    except _DAMAGE as error:
        # tarfile lists every format that it has tried, a line for each.
        what = (str(error).splitlines() or [type(error).__name__])[0].rstrip(': ')
        raise SerError(f"'{archive}' is damaged, or no archive ({what}). Delete it and download it again") from None
    except OSError as error:
        raise SerError(f"'{archive}' cannot be unpacked: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Limits:
    """How much has come out of an archive, against how much may."""

    def __init__(self, archive, folder, max_bytes, max_members):
        self.archive, self.max_members = archive, max_members
        swell, free = max(SMALL_BYTES, MAX_SWELL * archive.stat().st_size), shutil.disk_usage(folder).free
        self.max_bytes = max_bytes if max_bytes is not None else min(swell, free)
        self.why = f', as much as is free in {folder.parent}' if max_bytes is None and free < swell else ''
        self.members = self.declared = self.written = 0

    def count(self, name, size):
        """One more member of `size` bytes, as the archive says."""
        self.members, self.declared = self.members + 1, self.declared + size
        if self.members > self.max_members:
            raise SerError(f"'{self.archive}' holds more than {self.max_members} members: not unpacked")
        self._hold(self.declared, name)

    def write(self, name, n):
        """`n` more bytes that really came."""
        self.written += n
        self._hold(self.written, name)

    def _hold(self, total, name):
        if total > self.max_bytes:
            raise SerError(f"'{self.archive}' unpacks to more than {size_text(self.max_bytes)}{self.why} "
                           f"(at '{name}'): not unpacked")

    def refuse(self, name, why):
        """Raise for a member that no corpus needs."""
        raise SerError(f"'{self.archive}' holds '{name}', {why}: not unpacked")


def _place(folder, name, limits):
    """Where a member goes. Windows' separators are taken for separators, as they are meant where they occur."""
    path = PurePosixPath(name.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts or '\0' in name or any(':' in part for part in path.parts[:1]):
        limits.refuse(name, 'which is outside its folder')
    return folder.joinpath(*path.parts)


def _copy(source, path, name, limits):
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        target = open(path, 'xb')  # noqa: SIM115 - closed below
    except (FileExistsError, IsADirectoryError):
        limits.refuse(name, 'twice')
    with target:
        while data := source.read(_CHUNK_BYTES):
            limits.write(name, len(data))
            target.write(data)


def _unpack_zip(archive, folder, limits):
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        places = []
        # All that the directory says is looked at before the first byte is written.
        for member in members:
            limits.count(member.filename, member.file_size)
            places.append(_place(folder, member.filename, limits))
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                limits.refuse(member.filename, 'a link or a device')
            if member.flag_bits & 1:
                limits.refuse(member.filename, 'which is encrypted')
        for member, path in zip(members, places, strict=True):
            if member.filename.endswith(('/', '\\')):
                path.mkdir(parents=True, exist_ok=True)
            else:
                with file.open(member) as source:
                    _copy(source, path, member.filename, limits)


def _unpack_tar(archive, folder, limits):
    with tarfile.open(archive, 'r:*') as file:
        for member in file:
            limits.count(member.name, member.size)
            path = _place(folder, member.name, limits)
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
            elif not member.isreg():
                limits.refuse(member.name, 'a link or a device')
            else:
                with file.extractfile(member) as source:
                    _copy(source, path, member.name, limits)
