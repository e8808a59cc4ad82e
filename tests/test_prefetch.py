import numpy as np
import pytest
import torch

from ser.shards.batch import Row, collate
from ser.training.prefetch import DeviceBatches


def batches(count):
    return [collate([Row(n, np.full(900, n, np.int16), 0, 1.0, f'k{n}')], 2, 1000) for n in range(count)]


def check(device):
    source = batches(5)
    seen = list(DeviceBatches(source, device, lambda batch, host: {'doubled': batch.waveforms * 2}))
    assert [fetched.host.keys[0] for fetched in seen] == [f'k{n}' for n in range(5)]
    for fetched, given in zip(seen, source, strict=True):
        assert fetched.batch.waveforms.device.type == device.type and fetched.waited >= 0
        assert torch.equal(fetched.batch.waveforms.cpu(), given.waveforms)
        assert torch.equal(fetched.host.ids, given.ids)
    return seen


def test_batches_arrive_in_order_and_unchanged_and_views_wait_for_their_step():
    assert all(fetched.views is None for fetched in check(torch.device('cpu')))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
def test_batches_and_views_arrive_on_the_gpu_from_pinned_memory():
    for fetched in check(torch.device('cuda', 0)):
        assert torch.equal(fetched.views['doubled'], fetched.batch.waveforms * 2) and fetched.host.waveforms.is_pinned()


class Event:
    """Stands for a CUDA event."""

    def __init__(self, done):
        self.done = done

    def query(self):
        return self.done


def test_waiting_counts_only_while_the_device_has_nothing_to_do(monkeypatch):
    # Readers that take two seconds for a batch, by a clock that the test moves.
    clock = [0.0]
    monkeypatch.setattr('ser.training.prefetch.time.perf_counter', lambda: clock[0])

    def slow():
        for batch in batches(3):
            clock[0] += 2.0
            yield batch

    arriving = DeviceBatches(slow(), torch.device('cpu'))
    fetched = iter(arriving)
    assert next(fetched).waited == 2.0
    arriving._launched = Event(done=False)
    assert next(fetched).waited == 0.0
    arriving._launched = Event(done=True)
    assert next(fetched).waited == 2.0


def test_no_batches_is_no_iteration():
    assert list(DeviceBatches([], torch.device('cpu'))) == []
