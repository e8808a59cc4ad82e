import numpy as np
import pytest
import torch

from ser.shards.batch import Row, collate
from ser.training.prefetch import DeviceBatches


def batches(count):
    return [collate([Row(n, np.full(900, n, np.int16), 0, 1.0, f'k{n}')], 2, 1000) for n in range(count)]


def check(device):
    source = batches(5)
    seen = list(DeviceBatches(source, device))
    assert [host.keys[0] for _, host, _ in seen] == [f'k{n}' for n in range(5)]
    for (batch, host, waited), given in zip(seen, source, strict=True):
        assert batch.waveforms.device.type == device.type and waited >= 0
        assert torch.equal(batch.waveforms.cpu(), given.waveforms) and torch.equal(host.ids, given.ids)


def test_batches_arrive_in_order_and_unchanged():
    check(torch.device('cpu'))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
def test_batches_arrive_on_the_gpu_from_pinned_memory():
    check(torch.device('cuda', 0))
    assert next(iter(DeviceBatches(batches(1), torch.device('cuda', 0))))[1].waveforms.is_pinned()


def test_no_batches_is_no_iteration():
    assert list(DeviceBatches([], torch.device('cpu'))) == []
