"""Batches on the device ahead of their turn: pinned, copied and made into images while the step before still runs."""

import functools
import time
from dataclasses import dataclass

import torch

from ser.shards.batch import Batch


@functools.cache
def _beside(device):
    """One side stream for all: the allocator keeps a pool of memory for each."""
    return torch.cuda.Stream(device)


@dataclass(frozen=True)
class Fetched:
    """A batch on the device and on the host. waited: seconds the device had nothing to do for want of it."""

    batch: Batch
    host: Batch
    waited: float
    views: dict | None = None
    """What DeviceBatches' `views` made of it, where that was given."""


class DeviceBatches:
    """Iterates over Fetched.

    On CUDA the host launches a step and comes back at once: the next batch is then copied, and its views computed, on
    a stream beside the step's. Elsewhere the readers' own queue is what runs ahead. Ids and weights are read from the
    host's copy, so that no step waits for the device.
    """

    def __init__(self, batches, device, views=None):
        """views: called with (batch on the device, batch on the host), on CUDA only."""
        self.batches, self.device, self.views = batches, device, views
        self.beside = _beside(device) if device.type == 'cuda' else None
        self._launched = None

    def __iter__(self):
        source = iter(self.batches)
        while True:
            start = time.perf_counter()
            host = next(source, None)
            if host is None:
                return
            waited = 0.0 if self._busy() else time.perf_counter() - start
            if self.beside is None:
                yield Fetched(host.to(self.device), host, waited)
            else:
                yield self._ahead(host, waited)
                self._launched = torch.cuda.current_stream(self.device).record_event()

    def _busy(self):
        """Whether the GPU still works on what was launched before: then nothing waited for data."""
        return self._launched is not None and not self._launched.query()

    def _ahead(self, host, waited):
        host = host.pin_memory()
        with torch.cuda.stream(self.beside):
            batch = host.to(self.device, non_blocking=True)
            views = self.views(batch, host) if self.views is not None else None
        present = torch.cuda.current_stream(self.device)
        present.wait_stream(self.beside)
        # The allocator learns who uses the memory.
        for tensor in (*batch.tensors(), *(views or {}).values()):
            tensor.record_stream(present)
        return Fetched(batch, host, waited, views)
