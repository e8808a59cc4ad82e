import pytest
import torch

from ser.errors import SerError
from ser.training.device import choose_device, network_dtype, peak_memory_gb


def test_the_choice_comes_with_its_reason():
    device, reason = choose_device('cpu')
    assert device.type == 'cpu' and 'asked for' in reason


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_a_gpu_that_is_absent_is_refused_when_asked_for_and_passed_over_when_not():
    with pytest.raises(SerError, match='cuda was asked for'):
        choose_device('cuda')
    assert 'no GPU found' in choose_device('auto')[1] or choose_device('auto')[0].type == 'mps'


@pytest.mark.skipif(torch.backends.mps.is_available(), reason='this machine has an Apple GPU')
def test_mps_that_is_absent_is_refused():
    with pytest.raises(SerError, match='mps was asked for'):
        choose_device('mps')


def test_precision_is_float32_on_a_cpu_unless_asked_for():
    cpu = torch.device('cpu')
    assert network_dtype('auto', cpu) is None
    assert network_dtype('float32', cpu) is None
    assert network_dtype('bfloat16', cpu) == torch.bfloat16


def test_peak_memory_is_plausible():
    assert 0.01 < peak_memory_gb(torch.device('cpu')) < 1000
