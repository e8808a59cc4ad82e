"""Ranks under torchrun: starting, agreeing, summing, gathering. One process is a world of one."""

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from ser.errors import SerError


@dataclass(frozen=True)
class World:
    """This process among its peers."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self):
        """Whether this rank writes files and prints."""
        return self.rank == 0

    def sum(self, tensor):
        """The sum over ranks, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, value):
        """`value` of every rank, in rank order, on every rank."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def from_main(self, value):
        """Rank 0's `value`, on every rank."""
        if self.size == 1:
            return value
        holder = [value]
        dist.broadcast_object_list(holder, src=0)
        return holder[0]

    def on_main(self, body):
        """What `body()` gives on rank 0, on every rank; a SerError of it is every rank's."""
        if self.size == 1:
            return body()
        value = fault = None
        if self.is_main:
            try:
                value = body()
            except SerError as error:
                fault = str(error)
        value, fault = self.from_main((value, fault))
        if fault is not None:
            raise SerError(fault)
        return value

    def share(self, module):
        """Rank 0's state of a module to every rank."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                whole = tensor.contiguous()
                dist.broadcast(whole, src=0)
                tensor.copy_(whole)

    def agree(self, facts):
        """Raises SerError on every rank when the ranks do not see the same facts, a dict of words -> value."""
        for name in facts:
            values = self.gather(facts[name])
            if len(set(map(str, values))) > 1:
                raise SerError(f'the ranks disagree on {name}: '
                               + ', '.join(f'rank {r} has {v}' for r, v in enumerate(values))
                               + '. Give every rank the same shards and options')

    def broadcast_buffers(self, module):
        """Rank 0's buffers (BatchNorm statistics) to every rank, before an evaluation or a save."""
        if self.size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)


def start_world(backend, timeout_minutes):
    """Join the process group that torchrun describes in the environment, or be alone."""
    if int(os.environ.get('WORLD_SIZE', 1)) == 1:
        return World()
    dist.init_process_group(backend, timeout=timedelta(minutes=timeout_minutes))
    return World(dist.get_rank(), dist.get_world_size(), int(os.environ.get('LOCAL_RANK', 0)))


def stop_world(world):
    """Leave the process group."""
    if world.size > 1:
        dist.destroy_process_group()


def wrap(network, world, device, sync_batchnorm=False):
    """The network under DistributedDataParallel where there are several ranks.

    Buffers are not broadcast at every step: `World.broadcast_buffers` does it where it matters. sync_batchnorm: its
    BatchNorm layers become ones over all ranks, in place and under the same names.
    """
    if world.size == 1:
        return network
    if sync_batchnorm:
        network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)
    devices = [device.index] if device.type == 'cuda' else None
    return torch.nn.parallel.DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)


def check_batch(batch_size, world_size, accumulate):
    """Raises SerError unless the global batch divides evenly into micro-batches of at least 2 clips."""
    pieces = world_size * accumulate
    if batch_size % pieces or batch_size // pieces < 2:
        low = max(2 * pieces, batch_size // pieces * pieces)
        raise SerError(f'training.batch_size {batch_size} does not divide into {world_size} ranks x {accumulate} '
                       f'micro-batches of at least 2 clips: use a multiple of {pieces}, such as {low}')


def check_sync(sync_batchnorm, world, device):
    """Raises SerError for training.sync_batchnorm where several ranks have no CUDA; one rank needs none of it."""
    if sync_batchnorm and world.size > 1 and device.type != 'cuda':
        raise SerError(f'training.sync_batchnorm: torch has it on CUDA only, and these {world.size} ranks are on '
                       f'{device.type}. Set it to false, or take a head without BatchNorm: model.head.kind=mlp_ln')
