"""Which shards a remote folder holds: the builder's manifest, or a listing where the storage gives one."""

from dataclasses import dataclass
from glob import has_magic

from ser.errors import SerError
from ser.shards.publish import INDEX, MANIFEST
from ser.shards.remote import listed, parse, read_small
from ser.shards.shard_scan import parse_json

MAX_MANIFEST_BYTES = 1 << 26
MAX_INDEX_BYTES = 1 << 32
_HEX = frozenset('0123456789abcdef')


@dataclass(frozen=True)
class Listed:
    """A file of a set as its manifest lists it: address, sha256 (hex), bytes, samples (None for the index)."""

    path: str
    sha256: str
    size: int
    samples: int | None = None


def read_manifest(folder):
    """(name -> Listed of the tars, Listed of the index or None) of a Remote folder; ({}, None) without a manifest.

    Raises SerError for a manifest that is damaged.
    """
    data = read_small(folder / MANIFEST, MAX_MANIFEST_BYTES)
    if data is None:
        return {}, None
    try:
        value = parse_json(data)
        tars = {}
        for entry in value['shards']:
            listed = _listed(folder, entry, entry['utterances'])
            if not listed.path.endswith('.tar') or entry['name'] in tars:
                raise ValueError
            tars[entry['name']] = listed
        index = _listed(folder, value['index']) if 'index' in value else None
        if not tars or (index and (value['index']['name'] != INDEX or index.size > MAX_INDEX_BYTES)):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise SerError(f'{folder / MANIFEST}: damaged. Upload it again') from None
    return tars, index


def _listed(folder, entry, samples=None):
    name, sha256, size = entry['name'], entry['sha256'], entry['size']
    good = isinstance(name, str) and name.isprintable() and not set(name) & set('/\\?#') and name not in ('', '.', '..')
    if not (good and is_sha256(sha256) and is_count(size) and (samples is None or is_count(samples))):
        raise ValueError
    return Listed(str(folder / name), sha256, size, samples)


def is_sha256(value):
    """Whether a value of JSON is a sha256 in hex."""
    return isinstance(value, str) and len(value) == 64 and _HEX.issuperset(value)


def is_count(value):
    """Whether a value of JSON is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def expand_remote(text, option='--shards'):
    """The Remotes of an address: a tar, a folder (what its manifest lists, else its *.tar), or a glob in a bucket.

    Raises SerError for an address that is refused, a folder without tars, and a web server that would have to list.
    """
    remote = parse(text, option)
    if has_magic(text):
        if has_magic(str(remote.parent)):
            raise SerError(f'{option}: {text}: a pattern may only be in the last part of an address')
        return _some(listed(remote.parent, remote.name), text, option)
    if remote.name.endswith('.tar') and not text.endswith('/'):
        return [remote]
    tars, _ = read_manifest(remote)
    return [remote / name for name in tars] or _some(listed(remote), text, option)


def _some(found, text, option):
    if found is None:
        raise SerError(f'{option}: {text}: a web server does not list its files, and there is no {MANIFEST}. Name the '
                       'shards with braces: .../part-{000..011}.tar')
    if not found:
        raise SerError(f'{option}: {text}: no such shards')
    return found
