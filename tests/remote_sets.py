"""A set as the builder publishes it, small, for tests of remote shards; and what its epochs hold."""

import contextlib

import numpy as np
import soundfile

from ser.config.data import DataConfig
from ser.shards.index import build_index
from ser.shards.plan import TrainPlan
from ser.shards.remote_cache import GB, ShardCache
from ser.shards.stream import TrainStream
from ser.shards.write import write_shards

RATE = 16000
BATCH = 4


def build_set(folder, clips=48, shard_size=4, frames=4000):
    """Build clips of noise, of eight speakers and two emotions, into shards; returns their folder."""
    source = folder / 'source'
    source.mkdir()
    rows = ['path,emotion,speaker']
    for number in range(clips):
        samples = np.random.default_rng(number).standard_normal(frames + number) * 3000
        soundfile.write(source / f'clip{number}.wav', samples.astype(np.int16), RATE)
        rows.append(f'clip{number}.wav,{("happy", "sad")[number % 2]},s{number // 2 % 8}')
    (source / 'metadata.csv').write_text('\n'.join(rows) + '\n')
    write_shards('csv', source, folder / 'set', sample_rate=RATE, shard_size=shard_size, jobs=1)
    return folder / 'set'


def data_of(shards, cache=None, **options):
    """The DataConfig of a folder or an address."""
    if cache is not None:
        options = {'remote': True, 'cache': str(cache), **options}
    return DataConfig(shards=(str(shards),), sample_rate=RATE, **options)


def total(index):
    """Bytes of an index's shards."""
    return sum(shard.size for shard in index.shards)


def gb_of(index, shards):
    """data.cache_gb that holds so many shards of an index, and no byte more."""
    return sum(sorted((shard.size for shard in index.shards), reverse=True)[:shards]) / GB


def epochs_of(data, workers=0, epochs=2, index=None, watch=None, **place):
    """Ids and waveforms of a TrainStream's batches over all clips."""
    index = index or build_index(data)
    plan = TrainPlan(range(len(index.rows)), [row.shard for row in index.rows], data.shuffle_window_shards, 0, BATCH,
                     epochs)
    found = []
    with TrainStream(index, plan, data, ('happy', 'sad'), workers=workers, **place) as stream:
        for batch in stream:
            found.append((batch.ids.tolist(), batch.waveforms.numpy().tobytes()))
            if watch:
                watch()
    return found


def held(folder):
    """Bytes of whole and coming shards in a cache folder, at a moment when none is made room for."""
    sizes = []
    with ShardCache(folder, 0)._locked('cache'):
        for pattern in ('*.tar', '*.part'):
            for path in folder.glob(pattern):
                with contextlib.suppress(FileNotFoundError):
                    sizes.append(path.stat().st_size)
    return sum(sizes)
