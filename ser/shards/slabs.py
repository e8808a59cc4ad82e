"""Shared memory in which readers hand waveforms to the training process, the same pages from batch to batch.

The ordinary way gives every tensor of every batch a new file in /dev/shm: its pages are made, mapped twice and torn
down again, which on a virtual machine takes a sixth of the time that decoding takes and keeps the training process
waiting for what is already there. Here pages go round: a slab is free, or sent by its reader, or in use until the last
tensor on it is gone. Where none is free, or a batch is larger than a slab, that batch travels the ordinary way.
"""

import contextlib
import dataclasses
import mmap
import os
import weakref
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import get_worker_info

from ser.shards.batch import Batch

FREE, SENT, IN_USE = 0, 1, 2

HELD = 3
"""Slabs of a reader beyond those it prepares ahead: for the batches that the training process holds meanwhile."""


def make_slabs(workers, prefetch, size):
    """Slabs for forked readers that prepare `prefetch` batches ahead, of `size` bytes each; None without that memory.

    What no batch reaches is never touched, so it is address space and takes no memory.
    """
    with contextlib.suppress(OSError, OverflowError, ValueError):
        return Slabs(workers, prefetch + HELD, size)
    return None


@dataclass(frozen=True)
class Parcel:
    """A Batch on its way: its waveforms lie in a slab, its other tensors are arrays, which pickle into the message."""

    slab: int
    shape: tuple
    batch: Batch


class Slabs:
    """`count` slabs of at least `size` bytes for each of `workers` readers, which must be forked after this is made."""

    def __init__(self, workers, count, size):
        self.count = count
        self.size = _whole_pages(max(size, 1))
        self._first = _whole_pages(workers * count)
        self._memory = mmap.mmap(-1, self._first + workers * count * self.size)
        # A byte for each slab. Its reader alone turns FREE into SENT; the training process does the rest.
        self.state = np.frombuffer(self._memory, np.uint8, workers * count)
        self._owner = os.getpid()

    def send(self, items):
        """The last stage of a reader's pipeline: batches (or lists of them) packed, anything else as it is."""
        worker = get_worker_info().id
        mine = self.state[worker * self.count:(worker + 1) * self.count]
        # Sent in an iteration that was left early: the loader has thrown those messages away.
        mine[mine == SENT] = FREE
        for item in items:
            yield [self.pack(batch, worker) for batch in item] if isinstance(item, list) else self.pack(item, worker)

    def pack(self, batch, worker):
        """A Parcel of `batch` in a slab of reader number `worker`, or what was given where that cannot be."""
        if not isinstance(batch, Batch) or batch.waveforms.nbytes > self.size:
            return batch
        free = np.flatnonzero(self.state[worker * self.count:(worker + 1) * self.count] == FREE)
        if not len(free):
            return batch
        slab, shape = int(worker * self.count + free[0]), tuple(batch.waveforms.shape)
        self._array(slab, shape)[:] = batch.waveforms.numpy()
        self.state[slab] = SENT
        rest = dataclasses.replace(batch, waveforms=torch.empty(0, dtype=torch.int16))
        return Parcel(slab, shape, rest.each(torch.Tensor.numpy))

    def receive(self, item):
        """What `send` was given, in the training process; waveforms are views of their slab, kept while they live."""
        if isinstance(item, list):
            return [self.receive(one) for one in item]
        if not isinstance(item, Parcel):
            return item
        self.state[item.slab] = IN_USE
        waveforms = self._array(item.slab, item.shape)
        weakref.finalize(waveforms, _release, self.state, item.slab, self._owner).atexit = False
        return dataclasses.replace(item.batch.each(torch.from_numpy), waveforms=torch.from_numpy(waveforms))

    def give_back(self):
        """Return the memory of free slabs to the system. Only while no reader is at work."""
        for slab in np.flatnonzero(self.state != IN_USE).tolist():
            self.state[slab] = FREE
            with contextlib.suppress(OSError):
                self._memory.madvise(mmap.MADV_REMOVE, self._first + slab * self.size, self.size)

    def _array(self, slab, shape):
        return np.frombuffer(self._memory, np.int16, int(np.prod(shape)), self._first + slab * self.size).reshape(shape)


def _release(state, slab, owner):
    # A process forked meanwhile has its own copy of the array, not the right to let go of the slab.
    if os.getpid() == owner:
        state[slab] = FREE


def _whole_pages(size):
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
