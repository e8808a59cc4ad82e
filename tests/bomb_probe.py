"""A process that opens bombs and measures itself: `python -m tests.bomb_probe PATHS.json`, a line of JSON for each."""

import json
import sys
import time
from pathlib import Path

from ser.config.data import DataConfig
from ser.errors import SerError
from ser.shards.decode import decode
from ser.shards.index import build_index
from ser.shards.paths import expand

OPENERS = {'index': lambda path: build_index(DataConfig(shards=(path,))),
           'decode': lambda path: decode(Path(path).read_bytes(), '.flac', 16000),
           'expand': lambda path: expand([Path(path).read_text()])}


def memory_mb(field):
    """VmRSS or VmHWM (its peak) of this process."""
    text = Path('/proc/self/status').read_text()
    return int(next(line for line in text.splitlines() if line.startswith(field)).split()[1]) / 1024


def main(path):
    """Open every bomb and print what came of it."""
    for name, (opener, file) in json.loads(Path(path).read_text()).items():
        # The peak so far becomes what is held now.
        Path('/proc/self/clear_refs').write_text('5')
        before, started, said = memory_mb('VmRSS'), time.perf_counter(), None
        try:
            OPENERS[opener](file)
        except SerError as error:
            said = str(error)
        seconds = time.perf_counter() - started
        print(json.dumps({'name': name, 'said': said, 'seconds': seconds, 'mb': memory_mb('VmHWM') - before}))


if __name__ == '__main__':
    main(sys.argv[1])
