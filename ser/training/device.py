"""Which device, which precision, and why."""

import os
import resource
import sys

import torch

from ser.errors import SerError
from ser.evaluation.tables import counted


def choose_device(wanted, local_rank=0):
    """A torch.device and the reason for it, for a log line.

    wanted: 'auto', 'cpu', 'cuda' or 'mps'. Raises SerError for a device that this machine does not have.
    """
    has_mps = torch.backends.mps.is_available()
    if wanted == 'cuda' and not torch.cuda.is_available():
        raise SerError('run.device: cuda was asked for, but torch finds no CUDA GPU here '
                       f'(torch {torch.__version__}). Use --device cpu or auto, or install a driver that fits')
    if wanted == 'mps' and not has_mps:
        raise SerError('run.device: mps was asked for, but this machine has no Apple GPU. Use --device cpu or auto')
    if wanted == 'cuda' or (wanted == 'auto' and torch.cuda.is_available()):
        if local_rank >= torch.cuda.device_count():
            raise SerError(f'local rank {local_rank} needs a GPU of its own, but this machine has '
                           f'{torch.cuda.device_count()}: lower --nproc-per-node')
        name = torch.cuda.get_device_name(local_rank)
        return torch.device('cuda', local_rank), f'{name} ({"asked for" if wanted == "cuda" else "found"})'
    if wanted == 'mps' or (wanted == 'auto' and has_mps):
        return torch.device('mps'), f'Apple GPU ({"asked for" if wanted == "mps" else "found"})'
    reason = 'asked for' if wanted == 'cpu' else 'no GPU found'
    threads, cores = counted(torch.get_num_threads(), 'thread'), counted(os.cpu_count(), 'core')
    return torch.device('cpu'), f'{threads} of {cores} ({reason})'


def network_dtype(precision, device):
    """The dtype that autocast uses for the network, or None for plain float32.

    Raises SerError for bfloat16 on a GPU that lacks it.
    """
    # Emulated bfloat16 (older GPUs) is slower than float32.
    supported = device.type != 'cuda' or torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == 'bfloat16' and not supported:
        raise SerError('training.precision: this GPU has no bfloat16. Use float32 or auto')
    if precision == 'bfloat16' or (precision == 'auto' and device.type == 'cuda' and supported):
        return torch.bfloat16
    return None


def peak_memory_gb(device):
    """Gigabytes: the most the GPU's allocator held, or this process's largest resident size."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == 'darwin' else 1e6)


def set_deterministic(enabled):
    """Deterministic CUDA kernels: repeats are bit-identical on one machine, at some cost in speed."""
    if enabled:
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
