"""Run under torchrun by test_ranks.py: what each rank read and what it holds after training, as one JSON file."""

import hashlib
import json
import sys

import torch

from ser.config.load import load_config
from ser.training.distributed import start_world, stop_world
from ser.training.interrupt import StopRequest
from ser.training.job import prepare
from ser.training.loop import Trainer
from ser.training.run import RunDirectory


def main(shards, out, report, *assignments):
    """Read one epoch's ids, train, and gather ids and weight digests on rank 0."""
    config = load_config(('base',), assignments, {'--shards': ('data.shards', [shards])})
    torch.set_num_threads(1)
    world = start_world('gloo', 2)
    job = prepare(config, world, torch.device('cpu'))
    with job.train_stream((0, 0)) as stream:
        ids = [batch.ids.tolist() for batch in stream]
    run = RunDirectory(out)
    if world.is_main:
        run.__enter__()
    trainer = Trainer(job, run)
    with StopRequest() as stop:
        trainer.fit(stop)
    digest = hashlib.sha256()
    for tensor in trainer.plain_network.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    gathered = world.gather({'ids': ids, 'weights': digest.hexdigest()})
    if world.is_main:
        with open(report, 'w') as file:
            json.dump(gathered, file)
        run.__exit__(None, None, None)
    job.valid_stream.close()
    stop_world(world)


if __name__ == '__main__':
    main(*sys.argv[1:])
