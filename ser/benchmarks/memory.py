"""The most memory a call takes beyond what was held before it."""

import contextlib
import ctypes
import gc
import os
import re
from pathlib import Path

import torch

PROC = Path('/proc')


def extra_peak_mb(call, device):
    """Megabytes that one call needs at its peak beyond what was in use, or None where the system does not tell.

    CUDA: the allocator's; elsewhere on Linux: resident memory of this process and of those it had before the call.
    """
    gc.collect()
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    if device.type == 'mps':
        call()
        return None
    _give_back()
    processes = [os.getpid(), *_descendants(os.getpid())]
    before = {process: held for process in processes if (held := _start_over(process)) is not None}
    call()
    if os.getpid() not in before:
        return None
    peaks = {process: _status(process, 'VmHWM') for process in before}
    return sum(max(peak - before[process], 0) for process, peak in peaks.items() if peak is not None) / 1e6


def resident_bytes(process='self'):
    """Resident memory of a process, or None where the system does not tell."""
    return _status(process, 'VmRSS')


def _give_back():
    """Freed memory that the C library keeps goes back, or a call that reuses it would seem to need none."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _start_over(process):
    """Let a process's peak count from now on; its resident bytes, or None when it cannot be asked."""
    try:
        (PROC / str(process) / 'clear_refs').write_text('5')
    except OSError:
        return None
    return _status(process, 'VmRSS')


def _status(process, name):
    try:
        found = re.search(rf'^{name}:\s+(\d+) kB', (PROC / str(process) / 'status').read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _descendants(process):
    """Processes that this one started, and theirs."""
    found = []
    for listed in (PROC / str(process) / 'task').glob('*/children'):
        with contextlib.suppress(OSError):
            for child in map(int, listed.read_text().split()):
                found += [child, *_descendants(child)]
    return found
