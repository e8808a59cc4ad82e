"""Run under torchrun by the scale benchmark: training steps over shards on every rank. Rank 0 prints a line of JSON."""

import json
import sys
import tempfile
import time
from pathlib import Path

from ser.benchmarks.timing import finish
from ser.command import keep_freed_memory
from ser.config.load import load_resolved
from ser.training.job import prepare
from ser.training.loop import Trainer
from ser.training.run import RunDirectory
from ser.training.session import with_world

WARM_UP, STEPS = 2, 8


def main(path):
    """Train as the config at `path` says."""
    keep_freed_memory()
    config = load_resolved(Path(path))
    with_world(config, lambda world, device, _: _measure(config, world, device))


def _measure(config, world, device):
    job = prepare(config, world, device)
    with tempfile.TemporaryDirectory(prefix='ser-benchmark-') as folder:
        trainer = Trainer(job, RunDirectory(Path(folder) / 'run'))
        with job.train_stream((0, 0)) as stream:
            stream.start()
            batches = iter(trainer.device_batches(stream))
            for _ in range(WARM_UP):
                trainer.step([next(batches)])
            finish(device)
            # All ranks set out together, and the slowest one counts.
            world.gather(None)
            started = time.perf_counter()
            for _ in range(STEPS):
                trainer.launch([next(batches)])
            trainer.settle()
            finish(device)
            took = max(world.gather(time.perf_counter() - started))
    clips = STEPS * config.training.batch_size
    if world.is_main:
        print(json.dumps({'clips_per_second': clips / took, 'ms_per_clip': 1000 * took / clips}), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
