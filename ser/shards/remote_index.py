"""What a remote set holds without reading it: the builder's manifest and index beside the tars, verified.

The manifest (shards.json) lists every shard's size and sha256 and those of index.jsonl, which lists every sample's
spans. A shard that no such index describes is downloaded and scanned, where that is allowed.
"""

import logging
from collections import defaultdict

from ser.errors import SerError
from ser.files import size_text
from ser.shards.index_cache import cached_under
from ser.shards.publish import INDEX, MANIFEST
from ser.shards.remote import Remote, facts_of
from ser.shards.remote_cache import cache_of
from ser.shards.remote_manifest import is_count, is_sha256, read_manifest
from ser.shards.shard_scan import AUDIO, MAX_AUDIO_BYTES, RawSample, ShardScan, parse_json, scan_shard
from ser.shards.tarscan import BLOCK, name_fault

MAX_LINE_BYTES = 1 << 21
_AUDIO = tuple(f'.{suffix}' for suffix in AUDIO)

log = logging.getLogger(__name__)


def scan_remotes(paths, data, wanted):
    """(the ShardCache, Remote -> ShardScan) of the Remotes among `paths`; (None, {}) where there are none.

    data: a DataConfig. wanted: as for scan_shard. Raises SerError for an index or shard that is damaged, and for tars
    without an index where data.scan_remote does not allow to download them.
    """
    remotes = [path for path in dict.fromkeys(paths) if isinstance(path, Remote)]
    if not remotes:
        return None, {}
    sets = _Sets(data, sorted(wanted))
    return sets.cache, sets.scans(remotes)


class _Sets:
    """Scans of remote shards for one index: a manifest and an index file are fetched once per folder."""

    def __init__(self, data, wanted):
        self.data, self.wanted, self.cache = data, wanted, cache_of(data)

    def scans(self, remotes):
        folders = defaultdict(list)
        for remote in remotes:
            folders[remote.parent].append(remote)
        found, bare = {}, []
        for folder, held in sorted(folders.items()):
            tars, index = read_manifest(folder)
            by_name = self._indexed(folder, tars, index) if index else {}
            for remote in held:
                if remote.name in by_name:
                    found[remote] = by_name[remote.name]
                else:
                    bare.append((remote, tars.get(remote.name)))
        found.update(self._scanned(bare))
        return found

    def _indexed(self, folder, tars, index):
        """Name -> ShardScan from the index file, which lies in the cache like a shard."""
        samples, lines = defaultdict(list), 0
        with open(self.cache.open(index), 'rb') as file:
            while line := file.readline(MAX_LINE_BYTES):
                lines += 1
                try:
                    name, sample = _sample(parse_json(line), tars)
                    previous = samples[name][-1] if samples[name] else None
                    if previous and sample.offset < previous.offset + previous.size:
                        raise ValueError('spans that overlap')
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise SerError(f'{folder / INDEX}: line {lines}: not what the builder writes ({error}). Build the '
                                   'shards again') from None
                samples[name].append(sample)
        for name, listed in tars.items():
            if len({sample.key for sample in samples[name]}) != listed.samples:
                raise SerError(f'{folder / INDEX}: {len(samples[name])} samples of {name}, {MANIFEST} says '
                               f'{listed.samples}. Build the shards again')
        return {name: ShardScan(listed.sha256, listed.size, 0, tuple(samples[name]), {})
                for name, listed in tars.items()}

    def _scanned(self, bare):
        """(Remote, Listed or None) pairs -> scans that were made before or are made now, by downloading the tars."""
        found, left = {}, []
        for remote, listed in bare:
            facts = facts_of(remote)
            if facts is None or facts['size'] is None:
                raise SerError(f'{remote}: no such shard' if facts is None else
                               f'{remote}: the server does not say how large it is; copy the shards to a local folder')
            key = ['remote', str(remote), facts['size'], facts['version'], self.wanted]
            load, save = cached_under(key)
            scan = load() if facts['version'] else None
            if scan is None:
                left.append((remote, facts['size'], save))
            else:
                found[remote] = _checked(remote, scan, listed)
        if left and not self.data.scan_remote:
            raise _too_dear(left)
        listed_as = dict(bare)
        for number, (remote, size, save) in enumerate(left, start=1):
            log.info('scanning %s (%d of %d, %s)', remote, number, len(left), size_text(size))
            scan = self.cache.adopt(remote, size, lambda part, remote=remote: self._scan(part, remote))
            save(scan)
            found[remote] = _checked(remote, scan, listed_as[remote])
        return found

    def _scan(self, part, remote):
        try:
            return scan_shard(part, self.wanted)
        except SerError as error:
            raise SerError(str(error).replace(str(part), str(remote))) from None


def _too_dear(left):
    first = left[0][0]
    total = size_text(sum(size for _, size, _ in left))
    which = '1 shard' if len(left) == 1 else f'{len(left)} shards'
    return SerError(f'{first.parent}: no index of the builder ({MANIFEST} with the sha256 of {INDEX}) beside {which}; '
                    f'without it all of {total} must be downloaded and scanned once. Build and upload the set again, '
                    'or allow the scan: --set data.scan_remote=true')


def _checked(remote, scan, listed):
    if listed and listed.sha256 != scan.sha256:
        raise SerError(f'{remote}: its sha256 is not the one in {MANIFEST} beside it: damaged or replaced. '
                       'Upload it again')
    return scan


def _sample(line, tars):
    """(shard name, RawSample) of a line of the index.

    Raises ValueError, KeyError, TypeError or AttributeError for anything else.
    """
    key, shard, audio, text = line['key'], line['shard'], line['audio'], line['json']
    suffix = audio['name'].removeprefix(key)
    # As strict as a scan: what nobody can be called cannot be written to a file or shown on a terminal either.
    if fault := name_fault(audio['name'].encode().decode()):
        raise ValueError(f"a name that {fault.partition('.')[0]}")
    if shard not in tars:
        raise ValueError(f'a shard that {MANIFEST} does not list')
    if not key or suffix not in _AUDIO or text['name'] != f'{key}.json' or '.' in key:
        raise ValueError('names of members')
    for span in (audio, text):
        if not (is_count(span['offset']) and is_count(span['size']) and span['offset'] % BLOCK == 0
                and span['offset'] + span['size'] <= tars[shard].size):
            raise ValueError('a span outside its shard')
    if audio['size'] > MAX_AUDIO_BYTES or not is_sha256(line['sha256']) or not isinstance(line['metadata'], dict):
        raise ValueError('sha256, metadata or size')
    return shard, RawSample(key, suffix, audio['offset'], audio['size'], line['sha256'], line['metadata'], {})
