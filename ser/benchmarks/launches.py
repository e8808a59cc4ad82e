"""How many pieces of work a call hands to the device."""

import re

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_LAUNCH = re.compile(r'(cuda|cu)(LaunchKernel(ExC|Ex)?|GraphLaunch|MemcpyAsync|MemsetAsync)')
_NO_WORK = ('empty', 'new_empty', '_unsafe_view')


def launches(call, device):
    """What one call launches.

    CUDA: kernels, copies and fills, a captured graph counting as one, by torch.profiler. Elsewhere: aten operators
    that do work, so neither views nor allocations.
    """
    if device.type != 'cuda':
        with _Counter() as counter:
            call()
        return counter.count
    torch.cuda.synchronize(device)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        call()
        torch.cuda.synchronize(device)
    return count_launches(event.name for event in profile.events())


def count_launches(names):
    """How many of the names of a CUDA profile's events are launches."""
    return sum(_LAUNCH.fullmatch(name) is not None for name in names)


class _Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix('aten::')
        self.count += not func.is_view and not name.startswith(_NO_WORK)
        return func(*args, **kwargs or {})
