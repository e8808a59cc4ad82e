"""A trained model over audio files: one result per file, in the order given, bad files among them."""

import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ser.errors import SerError
from ser.evaluation.dimension_files import read_task
from ser.inference import dimension_formats, formats
from ser.inference.recordings import BadRecording, read_recording
from ser.shards.batch import padded_length
from ser.shards.reader import windows
from ser.training.device import choose_device, network_dtype
from ser.training.evaluate import autocast
from ser.training.rebuild import load_run
from ser.training.task import main_head


@dataclass(frozen=True)
class Result:
    """What is said of one file: float64 (C,) probabilities that sum to 1, or (D,) dimensions; or an error."""

    file: str
    values: np.ndarray | None = None
    error: str | None = None


@dataclass
class _Open:
    """A file some of whose windows are not classified yet."""

    file: str
    error: str | None = None
    sums: np.ndarray | None = None
    windows: int = 0
    waiting: int = 0

    def result(self):
        return Result(self.file, error=self.error) if self.error else Result(self.file, self.sums / self.windows)


@dataclass
class _Queue:
    """Windows that wait for a full batch, and the files they belong to, both in order."""

    windows: list = field(default_factory=list)
    files: deque = field(default_factory=deque)

    def finished(self):
        """Results of the first files until one is still open."""
        while self.files and not self.files[0].waiting:
            yield self.files.popleft().result()


class Predictor:
    """A run's model on a device. names: classes in index order, or dimensions. formats: results as text, by name."""

    def __init__(self, run, device='auto'):
        """Raises SerError for a run that cannot be loaded and for a device that is not there."""
        self.device, _ = choose_device(device)
        self.config, self.names, model = load_run(run)
        self._head = main_head(self.names, read_task(run))
        self.formats = (formats if self._head.scale is None else dimension_formats).FORMATS
        self.model = model.to(self.device)
        self.dtype = network_dtype(self.config.training.precision, self.device)
        self.sample_rate = self.config.data.sample_rate

    def predict(self, recordings):
        """Yield the Result of each of `recordings` (recordings.Named), in order.

        A clip over data.max_seconds is cut into windows, one after the other, and its values are their mean.
        Clips are batched; what is said of one does not depend on the others beyond float32 rounding.
        """
        queue, size = _Queue(), self.config.evaluation.batch_size
        for recording in recordings:
            self._read(recording, queue)
            while len(queue.windows) >= size:
                self._classify(queue, size)
            yield from queue.finished()
        while queue.windows:
            self._classify(queue, size)
        yield from queue.finished()

    def _read(self, recording, queue):
        entry = _Open(str(recording.path), recording.fault, np.zeros(len(self.names)))
        queue.files.append(entry)
        if entry.error:
            return
        try:
            samples = read_recording(recording.path, self.sample_rate)
        except BadRecording as bad:
            entry.error = str(bad)
            return
        pieces = windows(samples, self.config.data.max_seconds, self.sample_rate)
        entry.windows = entry.waiting = len(pieces)
        queue.windows += [(entry, piece) for piece in pieces]

    def _classify(self, queue, size):
        batch, queue.windows = queue.windows[:size], queue.windows[size:]
        values = self.values([piece for _, piece in batch])
        for (entry, _), row in zip(batch, values, strict=True):
            entry.sums += row
            entry.waiting -= 1

    @torch.inference_mode()
    def values(self, clips):
        """float64 (B, C) probabilities or (B, D) dimensions of B clips, each int16 (n,) at `sample_rate`."""
        lengths = torch.tensor([len(clip) for clip in clips])
        waveforms = torch.zeros(len(clips), padded_length(int(lengths.max()), self.sample_rate), dtype=torch.int16)
        for row, clip in zip(waveforms, clips, strict=True):
            row[:len(clip)] = torch.from_numpy(clip)
        views = self.model.views(waveforms.to(self.device), lengths.to(self.device))
        with autocast(self.device, self.dtype):
            logits = self.model.classify(views).logits
        if not logits.isfinite().all():
            raise SerError('the model answers with numbers that are not finite. Did its training diverge?')
        return self._head.values(logits.float().cpu()).numpy()


def trained_on_synthetic_speech(run):
    """Whether data.json says that the run's clips were synthesised; False where there is no such file."""
    try:
        return json.loads((Path(run) / 'data.json').read_text(encoding='utf-8')).get('synthetic') is True
    except (OSError, ValueError, AttributeError):
        return False
