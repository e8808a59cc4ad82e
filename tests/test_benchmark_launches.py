"""Launches counted: operators that work, and the launches in a CUDA profile."""

import torch

from ser.benchmarks.launches import count_launches, launches

CPU = torch.device('cpu')


def test_views_and_allocations_are_no_work():
    values = torch.ones(4, 6)
    assert launches(lambda: values.t().reshape(2, 3, 4).transpose(0, 1)[0], CPU) == 0
    # Here reshape must copy.
    assert launches(lambda: values.t().reshape(24), CPU) == 1
    assert launches(lambda: values.view(6, 4)[:, 1].unsqueeze(0).expand(3, -1), CPU) == 0
    assert launches(lambda: torch.empty(3), CPU) == 0


def test_each_operator_counts_once():
    values = torch.ones(4, 6)
    assert launches(lambda: (values + 1) * 2, CPU) == 2
    assert launches(lambda: [values.exp_() for _ in range(5)], CPU) == 5


def test_launches_of_a_cuda_profile():
    names = ['cudaLaunchKernel', 'cudaLaunchKernelExC', 'cuLaunchKernel', 'cuLaunchKernelEx', 'cudaGraphLaunch',
             'cudaMemcpyAsync', 'cudaMemsetAsync', 'cudaStreamSynchronize', 'aten::add', 'cudaMalloc',
             'void kernel<cudaLaunchKernel>()', 'Memcpy HtoD']
    assert count_launches(names) == 7
