"""A folder of whole shards fetched from elsewhere, named by sha256, within a limit; shared by processes and runs.

<folder>/<sha256>.tar        whole and verified; its modification time is that of its last use
<folder>/<sha256>.<pid>.part on its way, of its final size from the start, so that the limit counts it
<folder>/<sha256>.lock       held by the process that fetches or opens the shard
<folder>/leases/             what runs at work need next; a lease whose owner is gone counts for nothing
"""

import contextlib
import hashlib
import json
import logging
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from ser.corpora.lock import taken
from ser.errors import SerError
from ser.files import size_text
from ser.shards.index_cache import cache_folder
from ser.shards.remote import Remote, download

try:
    import fcntl
except ImportError:  # Windows: renames keep files whole, but two processes may fetch a shard, and no lease holds.
    fcntl = None

WRONG_TRIES = 2
"""How often a shard is fetched whose bytes have the wrong sha256, before it is refused."""
ROOM_SECONDS = 3600.0
"""How long to wait for room that other processes hold."""
GB = 10**9

log = logging.getLogger(__name__)


def cache_of(data):
    """The ShardCache of a DataConfig: `data.cache`, else `serstream/shards` beside the index cache."""
    folder = Path(data.cache).expanduser() if data.cache else None
    if folder is None:
        beside = cache_folder()
        if beside is None:
            raise SerError('there is no home folder to keep fetched shards in: name one with --set data.cache=FOLDER')
        folder = beside.with_name('shards')
    return ShardCache(folder, round(data.cache_gb * GB))


@dataclass(frozen=True)
class ShardCache:
    """Shards in a folder, `limit` bytes of them at most. A shard is anything with path (URL), sha256 and size."""

    folder: Path
    limit: int

    def open(self, shard):
        """A file descriptor of the shard's bytes, fetched first where they are not there; safe against eviction.

        Raises SerError when they cannot be had, or are not those that the sha256 says.
        """
        path = self.path_of(shard)
        while True:
            with contextlib.suppress(FileNotFoundError):
                handle = os.open(path, os.O_RDONLY | getattr(os, 'O_BINARY', 0))
                if os.fstat(handle).st_size == shard.size:
                    _touch(path)
                    return handle
                os.close(handle)
                path.unlink()
            self.fetch(shard)

    def path_of(self, shard):
        """Where the shard lies, or would lie."""
        return self.folder / f'{shard.sha256}.tar'

    def holds(self, shard):
        """Whether the shard is there."""
        return self.path_of(shard).is_file()

    def fetch(self, shard):
        """See that the shard is there; where another process is fetching it, wait for that one."""
        if shard.size > self.limit:
            raise SerError(f'{shard.path}: {size_text(shard.size)} are more than data.cache_gb '
                           f'{self.limit / GB:g} holds ({self.folder}). Raise it')
        with self._disk(), self._locked(shard.sha256):
            if self.holds(shard):
                _touch(self.path_of(shard))
                return
            for attempt in range(1, WRONG_TRIES + 1):
                found = self._fetch_once(shard)
                if found == shard.sha256:
                    return
                log.warning('%s: sha256 %s came, not %s (try %d)', shard.path, found[:12], shard.sha256[:12], attempt)
        raise SerError(f'{shard.path}: its sha256 is not the one that was indexed, {WRONG_TRIES} times: damaged or '
                       'replaced. Upload it again, or start again if its index has changed too')

    def adopt(self, remote, size, describe):
        """describe(path) of a file whose sha256 is not known yet; it stays in the cache under what `.sha256` says."""
        name = hashlib.sha256(str(remote).encode()).hexdigest()
        with self._disk(), self._locked(name):
            with self._part(name, size, remote) as part:
                found = describe(part)
                os.replace(part, self.folder / f'{found.sha256}.tar')
            return found

    def _fetch_once(self, shard):
        with self._part(shard.sha256, shard.size, Remote(str(shard.path))) as part:
            with open(part, 'rb') as file:
                found = hashlib.file_digest(file, 'sha256').hexdigest()
            if found == shard.sha256:
                os.replace(part, self.path_of(shard))
            return found

    @contextlib.contextmanager
    def _part(self, name, size, remote):
        """The path of a file that holds the downloaded bytes; removed at the end where it was not renamed."""
        part = self.folder / f'{name}.{os.getpid()}.part'
        self._reserve(part, size, remote)
        try:
            with open(part, 'r+b') as file:
                download(remote, file, size)
                file.flush()
                os.fsync(file.fileno())
            yield part
        finally:
            part.unlink(missing_ok=True)

    def _reserve(self, part, size, remote):
        """Make room and take it. Raises SerError when others have held it all for ROOM_SECONDS."""
        started = warned = time.monotonic()
        while not self._take_room(part, size):
            now = time.monotonic()
            if now - started > ROOM_SECONDS:
                raise SerError(f'{remote}: no room in {self.folder} for {size_text(size)}: runs at work need all of '
                               f'data.cache_gb {self.limit / GB:g}. Raise it, or name another data.cache')
            if now - warned > 60:
                warned = now
                log.warning('waiting for room in %s: what it holds is needed by runs at work', self.folder)
            time.sleep(0.05)

    def _take_room(self, part, size):
        with self._locked('cache'):
            kept, held = self.leased(), []
            # Parts first: one that gets its final name meanwhile is then seen, if not twice.
            for path in (*self.folder.glob('*.part'), *self.folder.glob('*.tar')):
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    held.append((path.suffix == '.tar', status.st_mtime_ns, status.st_size, path))
            total = sum(entry[2] for entry in held)
            for _, _, freed, path in sorted(held):
                if total + size <= self.limit:
                    break
                if path.name.partition('.')[0] not in kept and self._evict(path):
                    total -= freed
            if total + size > self.limit:
                return False
            with open(part, 'wb') as file:
                file.truncate(size)
            return True

    def _evict(self, path):
        """Remove a file that nobody is fetching or opening at this moment; returns whether it is gone."""
        with self._locked(path.name.partition('.')[0], wait=False) as mine:
            # Windows does not remove what is open.
            with contextlib.suppress(PermissionError):
                if mine:
                    path.unlink(missing_ok=True)
                    _lock_path(self.folder, path.name.partition('.')[0]).unlink(missing_ok=True)
            return not path.exists()

    @contextlib.contextmanager
    def lease(self, group, reserve):
        """Yields hold(names): the shards of these sha256s are not evicted until it is called again or the block ends.

        group: text that the ranks of one run share. reserve: bytes that the run will hold at most.
        """
        (self.folder / 'leases').mkdir(parents=True, exist_ok=True)
        path = self.folder / 'leases' / f'{os.getpid()}-{uuid.uuid4().hex}'
        with contextlib.ExitStack() as stack:
            with self._locked('cache'):
                # Where nobody looks meanwhile: until it is locked it is like a dead run's, which is removed.
                file = stack.enter_context(open(path, 'w+'))
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX)

            def hold(names):
                with self._locked('cache'):
                    file.seek(0)
                    file.truncate()
                    file.write(json.dumps({'group': group, 'reserve': reserve, 'shards': sorted(names)}))
                    file.flush()

            hold(())
            try:
                yield hold
            finally:
                path.unlink(missing_ok=True)

    def leased(self):
        """sha256s that living leases hold."""
        return {name for lease in self._leases() for name in lease['shards']}

    def reserved(self, group):
        """Bytes that runs of other groups have reserved."""
        reserves = {}
        with self._disk(), self._locked('cache'):
            for lease in self._leases():
                reserves[lease['group']] = max(lease['reserve'], reserves.get(lease['group'], 0))
        return sum(reserve for other, reserve in reserves.items() if other != group)

    def _leases(self):
        for path in self.folder.glob('leases/*'):
            with contextlib.suppress(OSError, ValueError), open(path, 'r+') as file:
                if fcntl is not None and not taken(file):
                    yield json.load(file)
                else:
                    path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, name, wait=True):
        """Hold `name` against every other process and thread; yields whether it is held (always, where it waits)."""
        if fcntl is None:
            yield True
            return
        handle = self._acquire(_lock_path(self.folder, name), wait)
        try:
            yield handle is not None
        finally:
            if handle is not None:
                os.close(handle)

    def _acquire(self, path, wait):
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                # Whoever evicted the shard meanwhile has removed the file that this lock was on.
                if os.fstat(handle).st_ino == os.stat(path).st_ino:
                    return handle
            except BlockingIOError:
                os.close(handle)
                return None
            except FileNotFoundError:
                pass
            os.close(handle)

    @contextlib.contextmanager
    def _disk(self):
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise SerError(f'{self.folder}: fetched shards cannot be kept there ({error.strerror or error}). Free some '
                           'space, or name another folder with --set data.cache=FOLDER') from None


def _lock_path(folder, name):
    return folder / f'{name}.lock'


def _touch(path):
    with contextlib.suppress(OSError):
        os.utime(path)
