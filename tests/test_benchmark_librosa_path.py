"""librosa as the reference systems run it: the same images as ours, in one process or in several."""

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import librosa
import numpy as np
import pytest
import torch

from ser.benchmarks import librosa_path
from ser.benchmarks.clips import made_batch, waveforms
from ser.benchmarks.librosa_path import LibrosaPath, as_they_run_it, at_its_best, check_librosa
from ser.errors import SerError
from ser.features.frontend import FrontEnd
from ser.shards.pool import cores
from tests.tiny_benchmark import tiny_config


def path_of(*assignments):
    config = tiny_config(*assignments)
    return LibrosaPath(config.features, config.data.sample_rate)


@pytest.mark.slow
def test_images_are_those_of_our_front_end():
    config = tiny_config('features.image.frames=all')
    batch = made_batch(3, 1.0, 16000)
    with torch.no_grad():
        ours = FrontEnd(config.features, config.augment, {'cqt': 'cqt', 'mel': 'mel'}, 16000)(
            batch.waveforms, batch.lengths)
    theirs = np.stack([path_of()('front_end', clip) for clip in waveforms(batch)])
    assert theirs.shape == (3, 2, 3, 32, 32) and theirs.dtype == np.float32
    # Mel is the same transform; librosa's CQT is a few tenths of a decibel off its definition.
    assert np.abs(theirs[:, 1] - ours['mel'].numpy()).max() < 2e-3
    assert np.abs(theirs[:, 0] - ours['cqt'].numpy()).mean() < 0.03


def test_transforms_alone():
    clip = waveforms(made_batch(1, 1.0, 16000))[0]
    path = path_of('features.mel.fmin_hz=50', 'features.mel.fmax_hz=7000')
    mel = librosa.feature.melspectrogram(y=clip, sr=16000, n_fft=512, hop_length=128, n_mels=32, fmin=50, fmax=7000)
    cqt = np.abs(librosa.cqt(clip, sr=16000, hop_length=128, n_bins=72))
    assert np.allclose(path('mel', clip), mel) and np.allclose(path('cqt', clip), cqt)


def test_another_rate_is_resampled_and_a_short_clip_padded():
    config = tiny_config('data.sample_rate=32000')
    prepared = LibrosaPath(config.features, 32000).prepared(np.ones(40000, np.float32))
    assert len(prepared) == 20000
    assert np.array_equal(path_of().prepared(np.ones(10, np.float32)), np.r_[np.ones(10), np.zeros(4086)])


@pytest.mark.slow
@pytest.mark.parametrize('run', [as_they_run_it, at_its_best])
def test_processes_give_the_same_and_leave_the_environment_alone(run):
    batch, path, before = made_batch(3, 0.5, 16000), path_of(), dict(os.environ)
    with ExitStack() as stack:
        results = run(path, 'front_end', batch, stack)()
        assert dict(os.environ) == before
        expected = np.stack([path('front_end', clip) for clip in waveforms(batch)])
        assert results.dtype == np.float32 and np.allclose(results, expected, atol=1e-4)


@pytest.mark.parametrize(('run', 'processes', 'threads'), [(as_they_run_it, 2, None), (at_its_best, cores(), '1')])
def test_how_many_processes_with_how_many_threads(monkeypatch, run, processes, threads):
    monkeypatch.delenv('OPENBLAS_NUM_THREADS', raising=False)
    monkeypatch.setattr(librosa_path, 'ProcessPoolExecutor', Pool)
    with ExitStack() as stack:
        run(path_of(), 'mel', made_batch(64, 0.3, 16000), stack)
    assert (Pool.processes, Pool.threads) == (processes, threads)


class Pool(ThreadPoolExecutor):
    """Threads in place of processes, which notes how it was started."""

    def __init__(self, processes, context, prepare, given):
        Pool.processes, Pool.threads = processes, os.environ.get('OPENBLAS_NUM_THREADS')
        super().__init__(1, initializer=prepare, initargs=given)


@pytest.mark.slow
def test_an_error_in_a_process_is_raised(monkeypatch):
    # Here, where the shape is found, the stage works; in the processes it does not exist.
    monkeypatch.setattr(LibrosaPath, '__call__', lambda self, stage, clip: np.zeros(1, np.float32))
    with ExitStack() as stack, pytest.raises(KeyError, match='nothing'):
        at_its_best(path_of(), 'nothing', made_batch(2, 0.5, 16000), stack)


def test_one_thread_for_the_processes_alone(monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '5')
    monkeypatch.delenv('NUMBA_NUM_THREADS', raising=False)
    with librosa_path._one_thread():
        assert [os.environ[name] for name in librosa_path.THREAD_VARIABLES] == ['1'] * 4
    assert os.environ['OMP_NUM_THREADS'] == '5' and 'NUMBA_NUM_THREADS' not in os.environ


def test_without_librosa_one_line_says_how_to_get_it(monkeypatch):
    check_librosa()
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(SerError, match=r"librosa is not installed: pip install -e '\.\[benchmark\]' in the checkout$"):
        check_librosa()
