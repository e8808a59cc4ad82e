"""What the builder wrote down about shards: the sha256 of each, and a line for each sample."""

import re
from dataclasses import dataclass
from pathlib import Path

from ser.errors import SerError
from ser.shards.index import listed_hashes
from ser.shards.publish import INDEX, MANIFEST
from ser.shards.shard_scan import MAX_JSON_BYTES, parse_json
from ser.shards.tarscan import name_fault

_SHA256 = re.compile(r'[0-9a-f]{64}')


@dataclass(frozen=True)
class Record:
    """Of one shard. sha256: of the file, None where nobody says. lines: key -> (sha256 of the audio, metadata)."""

    sha256: str | None = None
    lines: dict | None = None


class Records:
    """The records of shards, each folder read once. notes: a line for each record that cannot be used."""

    def __init__(self):
        self.notes = []
        self._folders = {}

    def of(self, path):
        """The Record of a shard by its path."""
        path = Path(path)
        if path.parent not in self._folders:
            self._folders[path.parent] = self._read(path.parent)
        hashes, lines = self._folders[path.parent]
        return Record(hashes.get(path.name), lines.get(path.name))

    def _read(self, folder):
        try:
            hashes = listed_hashes(folder / MANIFEST)
        except SerError as error:
            self.notes.append(str(error))
            hashes = {}
        absent = sorted(name for name in hashes if not (folder / name).exists())
        if absent:
            self.notes.append(f'{folder}: {len(absent)} of the {len(hashes)} shards in {MANIFEST} are not there '
                              f'({absent[0]}{" ..." if len(absent) > 1 else ""})')
        try:
            return hashes, _lines(folder / INDEX) if hashes else {}
        except (OSError, ValueError) as error:
            self.notes.append(f'{folder / INDEX}: {error}. Nothing is compared with it')
            return hashes, {}


def _lines(path):
    """Shard name -> {key -> (sha256, metadata)} of a builder's index. Raises ValueError for a damaged one."""
    shards = {}
    try:
        file = open(path, 'rb')  # noqa: SIM115 - closed by the with below
    except FileNotFoundError:
        return shards
    with file:
        for number, line in enumerate(iter(lambda: file.readline(2 * MAX_JSON_BYTES), b''), start=1):
            try:
                value = parse_json(line)
                key, shard, sha256, metadata = (value[name] for name in ('key', 'shard', 'sha256', 'metadata'))
                good = isinstance(key, str) and isinstance(shard, str) and isinstance(metadata, dict)
                # Keys are printed, and a terminal would obey what a hostile one says.
                if not good or name_fault(key) or not _SHA256.fullmatch(sha256):
                    raise ValueError('no line of an index')
            except (ValueError, KeyError, TypeError):
                raise ValueError(f'line {number} is damaged') from None
            shards.setdefault(shard, {})[key] = (sha256, metadata)
    return shards
