"""Scans of shards, kept in the user's cache folder so that an unchanged shard is read once."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from ser.shards.shard_scan import ShardScan, scan_shard

VERSION = 1


def cache_folder():
    """`serstream/index` in $XDG_CACHE_HOME or ~/.cache, or None where there is no home."""
    base = os.environ.get('XDG_CACHE_HOME', '')
    try:
        return (Path(base) if os.path.isabs(base) else Path.home() / '.cache') / 'serstream' / 'index'
    except RuntimeError:
        return None


def cached_scan(path, wanted):
    """scan_shard(path, wanted), from the cache when path, size and modification time are those of a scan before.

    A cache that cannot be read or written, or whose entry is damaged, is passed over in silence.
    """
    folder = cache_folder()
    if folder is None:
        return scan_shard(path, wanted)
    name = json.dumps([VERSION, str(Path(path).resolve()), sorted(wanted)])
    entry = folder / f'{hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()}.json'
    scan = _load(entry, path)
    if scan is None:
        scan = scan_shard(path, wanted)
        _save(entry, scan)
    return scan


def _load(entry, path):
    try:
        status = os.stat(path)
        digest, _, body = entry.read_bytes().partition(b'\n')
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        scan = ShardScan.from_json(json.loads(body))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return scan if (scan.size, scan.mtime_ns) == (status.st_size, status.st_mtime_ns) else None


def _save(entry, scan):
    body = json.dumps(scan.to_json(), ensure_ascii=True).encode()
    temporary = entry.with_name(f'{entry.name}.{os.getpid()}.tmp')
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(hashlib.sha256(body).hexdigest().encode() + b'\n' + body)
        os.replace(temporary, entry)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
