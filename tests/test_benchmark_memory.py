"""Peak memory of a call, of this process and of those it has."""

import mmap
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch

from ser.benchmarks import memory
from ser.benchmarks.memory import extra_peak_mb, resident_bytes

CPU = torch.device('cpu')
MB = 1_000_000


def hold(megabytes):
    """Take and fill so much memory for a moment."""
    return float(np.ones(megabytes * MB // 8).sum())


@pytest.mark.slow
def test_the_peak_beyond_what_was_held():
    held = np.ones(50 * MB)
    assert extra_peak_mb(lambda: hold(100), CPU) == pytest.approx(100, abs=15)
    assert extra_peak_mb(lambda: None, CPU) < 5
    # What an earlier call freed counts again.
    assert extra_peak_mb(lambda: hold(30), CPU) == pytest.approx(30, abs=10)
    assert len(held) == 50 * MB


@pytest.mark.slow
def test_processes_that_were_there_count_too():
    with ProcessPoolExecutor(1, get_context('spawn')) as pool:
        pool.submit(hold, 1).result()
        assert extra_peak_mb(lambda: pool.submit(hold, 80).result(), CPU) == pytest.approx(80, abs=15)


def test_resident_memory_grows_with_what_is_held():
    # Pages of its own: an array may be made of what earlier tests freed.
    before, held = resident_bytes(), mmap.mmap(-1, 80 * MB)
    np.frombuffer(held, np.uint8)[:] = 1
    assert resident_bytes() - before == pytest.approx(80 * MB, rel=0.2) and len(held) == 80 * MB


def test_a_system_that_does_not_tell_gives_none(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, 'PROC', tmp_path)
    called = []
    assert extra_peak_mb(lambda: called.append(1), CPU) is None and called == [1]
    assert resident_bytes() is None
