"""Run in a process of its own by the scale benchmark: what the index of a set of shards costs the training process.

Prints one line of JSON. The index cache is that of $XDG_CACHE_HOME, which should be empty.
"""

import gc
import json
import sys
import time

from ser.benchmarks.memory import resident_bytes
from ser.config.data import DataConfig
from ser.shards.index import build_index
from ser.shards.plan import TrainPlan


def main(first, folder):
    """Index `first`, a small set that brings in all code, then measure `folder`."""
    _planned(first)
    gc.collect()
    before = resident_bytes()
    index, index_seconds, plan_seconds = _planned(folder)
    gc.collect()
    after = resident_bytes()
    samples = len(index.rows)
    del index
    _, cached_seconds, _ = _planned(folder)
    known = before is not None and after is not None
    print(json.dumps({
        'index_seconds': index_seconds, 'clips_per_second': samples / index_seconds,
        'ms_per_clip': 1000 * index_seconds / samples, 'cached_index_seconds': cached_seconds,
        'plan_seconds': plan_seconds, 'bytes_per_sample': max(after - before, 0) / samples if known else None}))


def _planned(folder):
    """(Index, seconds it took, seconds that the order of an epoch took)."""
    started = time.perf_counter()
    index = build_index(DataConfig(shards=(folder,)))
    indexed = time.perf_counter()
    plan = TrainPlan(range(len(index.rows)), [row.shard for row in index.rows], 'all', 0, 2, 1)
    plan.batch(0, 0)
    return index, indexed - started, time.perf_counter() - indexed


if __name__ == '__main__':
    main(*sys.argv[1:])
