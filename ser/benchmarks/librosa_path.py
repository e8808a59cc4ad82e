"""Features as the reference systems make them: librosa, one clip after the other, on the CPU.

cqt and melspectrogram -> dB relative to the clip's maximum, floor at -80 -> min-max to [0, 1] -> bilinear image ->
three channels -> ImageNet mean and deviation.
"""

import importlib.util
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from ser.benchmarks.clips import waveforms
from ser.command import keep_freed_memory
from ser.errors import SerError, install
from ser.features.level import RANGE_EPSILON
from ser.shards.pool import cores

THREAD_VARIABLES = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'NUMBA_NUM_THREADS')


LOADERS = 2
"""Loader processes of the reference systems: two in one, four in another."""


def check_librosa():
    """Raises SerError where librosa is not installed."""
    if importlib.util.find_spec('librosa') is None:
        raise SerError(f'--against librosa: librosa is not installed: {install("benchmark")}')


@dataclass(frozen=True)
class LibrosaPath:
    """One clip, float32 (n,), to what a stage's name says; features: FeaturesConfig, data_rate: Hz of the clips."""

    features: object
    data_rate: int

    def __call__(self, stage, clip):
        """float32: 'cqt' (bins, T) magnitude, 'mel' (bands, T) power, 'front_end' (2, 3, size, size) images."""
        return {'cqt': self.cqt, 'mel': self.mel, 'front_end': self.images}[stage](self.prepared(clip))

    def prepared(self, clip):
        """The clip at the features' rate, zero-padded to min_samples."""
        import librosa

        if self.data_rate != self.features.sample_rate:
            clip = librosa.resample(clip, orig_sr=self.data_rate, target_sr=self.features.sample_rate)
        return np.pad(clip, (0, max(0, self.features.min_samples - len(clip))))

    def cqt(self, clip):
        """float32 (bins, T), magnitude."""
        import librosa

        config = self.features.cqt
        return np.abs(librosa.cqt(clip, sr=self.features.sample_rate, hop_length=config.hop_length,
                                  fmin=config.fmin_hz, n_bins=config.bins, bins_per_octave=config.bins_per_octave))

    def mel(self, clip):
        """float32 (bands, T), power."""
        import librosa

        config = self.features.mel
        return librosa.feature.melspectrogram(y=clip, sr=self.features.sample_rate, n_fft=config.n_fft,
                                              hop_length=config.hop_length, n_mels=config.bins, fmin=config.fmin_hz,
                                              fmax=config.fmax_hz)

    def images(self, clip):
        """float32 (2, 3, size, size): CQT and Mel."""
        import librosa

        floor = -self.features.level.floor_db
        levels = (librosa.amplitude_to_db(self.cqt(clip), ref=np.max, top_db=floor),
                  librosa.power_to_db(self.mel(clip), ref=np.max, top_db=floor))
        return np.stack([self.image(level) for level in levels])

    def image(self, level):
        """float32 (3, size, size) of a level (F, T) in dB."""
        config = self.features.image
        level = (level - level.min()) / (level.max() - level.min() + RANGE_EPSILON)
        image = torch.nn.functional.interpolate(torch.from_numpy(level)[None, None].float(),
                                                size=(config.size, config.size), mode='bilinear', align_corners=False)
        mean, deviation = (np.asarray(values, np.float32)[:, None, None] for values in (config.mean, config.std))
        return (np.repeat(image[0].numpy(), 3, axis=0) - mean) / deviation


def as_they_run_it(path, stage, batch, stack):
    """A call: the clips of a host Batch shared out to two loader processes, which have the threads that libraries take.

    Two is the fewest that the reference systems load with. Returns the results, float32 (B, ...).
    """
    return _in_processes(path, stage, batch, stack, min(LOADERS, len(batch.keys)))


def at_its_best(path, stage, batch, stack):
    """A call: the clips shared out to one process per core, each with one thread; returns the results likewise."""
    with _one_thread():
        return _in_processes(path, stage, batch, stack, min(cores(), len(batch.keys)), keep_freed_memory)


def _in_processes(path, stage, batch, stack, processes, settle=None):
    """A call over processes that hold the clips and have compiled what librosa compiles.

    They get a clip's number and leave the result in shared memory: nothing of the transport is charged to librosa.
    """
    clips = waveforms(batch)
    shape = (len(clips), *path(stage, clips[0]).shape)
    context = multiprocessing.get_context('spawn')
    shared = context.RawArray('f', int(np.prod(shape)))
    results = np.frombuffer(shared, np.float32).reshape(shape)
    pool = stack.enter_context(ProcessPoolExecutor(processes, context, _prepare,
                                                   (path, stage, clips, shared, shape, settle)))

    def call():
        for _ in pool.map(_work, range(len(clips))):
            pass
        return results

    # Starts every process, since none is idle yet; each then compiles before anything is timed.
    call()
    return call


@contextmanager
def _one_thread():
    """Processes started inside have one thread each: libraries read these variables when they are loaded."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, '1'))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_held = {}


def _prepare(path, stage, clips, shared, shape, settle):
    if settle is not None:
        settle()
    _held.update(path=path, stage=stage, clips=clips, results=np.frombuffer(shared, np.float32).reshape(shape))


def _work(number):
    _held['results'][number] = _held['path'](_held['stage'], _held['clips'][number])
