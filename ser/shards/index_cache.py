"""Scans of shards, kept in the user's cache folder so that an unchanged shard is read once."""

import contextlib
import functools
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
    load, save = cached_under([str(Path(path).resolve()), sorted(wanted)])
    scan = load()
    if scan is None or not _is_of(scan, path):
        scan = scan_shard(path, wanted)
        save(scan)
    return scan


def cached_under(key):
    """(load, save) of the entry that `key`, a JSON-able list, names.

    load() is a ShardScan or None, save(scan) keeps one. Neither raises: without a home folder nothing is kept.
    """
    folder = cache_folder()
    if folder is None:
        return lambda: None, lambda scan: None
    name = json.dumps([VERSION, *key])
    entry = folder / f'{hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()}.json'
    return functools.partial(_load, entry), functools.partial(_save, entry)


def _is_of(scan, path):
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (scan.size, scan.mtime_ns) == (status.st_size, status.st_mtime_ns)


def _load(entry):
    try:
        digest, _, body = entry.read_bytes().partition(b'\n')
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        return ShardScan.from_json(json.loads(body))
    except (OSError, ValueError, TypeError, KeyError):
        return None


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
