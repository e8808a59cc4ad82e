"""Batches on the device one step ahead: pinned, copied on a side stream while the device works."""

import time

import torch


class DeviceBatches:
    """Iterates over (batch on the device, the same batch on the host, seconds spent waiting for data).

    On CUDA the next batch is already being copied while the present one is computed; elsewhere the
    readers' own queue is what runs ahead. Ids and weights are read from the host's copy, so that no
    step waits for the device.
    """

    def __init__(self, batches, device):
        self.batches, self.device = batches, device
        self.stream = torch.cuda.Stream(device) if device.type == 'cuda' else None

    def __iter__(self):
        source = iter(self.batches)
        if self.stream is None:
            while (fetched := self._fetch(source)) is not None:
                yield fetched
            return
        ahead = self._fetch(source)
        while ahead is not None:
            present = ahead
            self._arrived(present[0])
            ahead = self._fetch(source)
            yield present

    def _fetch(self, source):
        start = time.perf_counter()
        host = next(source, None)
        if host is None:
            return None
        if self.stream is None:
            batch = host.to(self.device)
        else:
            host = host.pin_memory()
            with torch.cuda.stream(self.stream):
                batch = host.to(self.device, non_blocking=True)
        return batch, host, time.perf_counter() - start

    def _arrived(self, batch):
        """The compute stream waits for the copy, and the allocator learns who uses the memory."""
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self.stream)
        for tensor in batch.tensors():
            tensor.record_stream(current)
