"""A trained model over audio files: one result per file, in the order given, bad files among them."""

import dataclasses
import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ser.errors import SerError
from ser.evaluation.calibration import UNKNOWN, Calibration, read_calibration
from ser.evaluation.dimension_files import read_task
from ser.inference import dimension_formats, formats
from ser.inference.decoding import decoded
from ser.inference.emotion_windows import SILENCE_DB, check_silence, is_silent
from ser.shards.audio_encode import SHORTEST_SECONDS
from ser.shards.batch import padded_length
from ser.shards.reader import windows
from ser.training.device import choose_device, network_dtype
from ser.training.evaluate import autocast
from ser.training.rebuild import load_run
from ser.training.run import auxiliary_of
from ser.training.task import Head, main_head

BATCHES_AT_ONCE = 3
"""So many batches are put together from clips sorted by length: less of them is padding (measured, NOTES.md)."""


@dataclass(frozen=True)
class Result:
    """What is said of one file; or an error."""

    file: str
    values: np.ndarray | None = None
    """float64 (C,) probabilities that sum to 1, calibrated where the predictor is; or (D,) dimensions."""
    error: str | None = None
    emotion: str | None = None
    """The likeliest class, or 'unknown' where it is too unlikely to be named; None for dimensions and silence."""
    auxiliary: dict = field(default_factory=dict)
    """Target of a further head -> {value: probability}; never calibrated."""
    silent: bool = False
    """Whether nobody speaks in it (emotion_windows.is_silent): the model was not asked, and there are no values."""
    short: bool = False
    """Whether it has less than any syllable (audio_encode.SHORTEST_SECONDS): whatever is said of it says little."""
    seconds: float = 0.0
    """Length of the clip."""
    windows: int = 0
    """How many it was cut into, one for most clips: the values are their mean. None at all of silence and of errors."""


@dataclass
class _Open:
    """A file some of whose windows are not classified yet."""

    file: str
    error: str | None = None
    silent: bool = False
    seconds: float = 0.0
    sums: np.ndarray | float = 0.0
    windows: int = 0
    waiting: int = 0


@dataclass
class _Queue:
    """Windows that wait for full batches, and the files they belong to, both in order."""

    windows: list = field(default_factory=list)
    files: deque = field(default_factory=deque)

    def finished(self):
        """The first files until one is still open."""
        while self.files and not self.files[0].waiting:
            yield self.files.popleft()


class Predictor:
    """A run's model on a device. names: classes in index order, or dimensions. formats: results as text, by name.

    calibration: the run's Calibration, or one that changes nothing where it has none or is not to be used. auxiliary:
    target of a further head -> its values. silence_db: level in dBFS under which nobody is taken to speak.
    """

    def __init__(self, run, device='auto', calibrated=True, silence_db=SILENCE_DB):
        """calibrated: whether to apply the run's calibration, where it has one.

        Raises SerError for a run that cannot be loaded, a device that is not there and a silence_db that makes no
        sense.
        """
        check_silence(silence_db)
        self.run, self.silence_db = Path(run), silence_db
        self.device, _ = choose_device(device)
        self.config, self.names, model = load_run(run)
        self._head = main_head(self.names, read_task(run))
        self.auxiliary = auxiliary_of(run)
        self._heads = [self._head, *(Head(*entry, main=False) for entry in self.auxiliary.items())]
        self.calibration = (read_calibration(run) if calibrated and self.classifies else None) or Calibration()
        self.formats = (formats if self.classifies else dimension_formats).FORMATS
        self.model = model.to(self.device)
        self.dtype = network_dtype(self.config.training.precision, self.device)
        self.sample_rate = self.config.data.sample_rate

    @property
    def classifies(self):
        """Whether the run's numbers are probabilities of classes; else they are dimensions."""
        return self._head.scale is None

    def set_threshold(self, threshold):
        """Name a class only where its probability is at least `threshold`, 0 to 1, whatever the run says.

        Raises SerError for a threshold above 0 where a class is called 'unknown'.
        """
        if threshold and UNKNOWN in self.names:
            raise SerError(f"threshold {threshold:g}: a class of this run is called '{UNKNOWN}', and the two could "
                           'not be told apart. Leave it out')
        self.calibration = dataclasses.replace(self.calibration, threshold=threshold)

    def predict(self, recordings, jobs=0):
        """Yield the Result of each of `recordings` (recordings.Named), in order.

        jobs: threads that decode ahead of the device; 0 reads each file when a batch wants it. A clip over
        data.max_seconds is cut into windows, one after the other, and its values are their mean. Of one in which nobody
        speaks the model is not asked. Clips are batched; what is said of one does not depend on the others beyond
        float32 rounding, and on `jobs` not at all.
        """
        yield from self.results(decoded(recordings, self.sample_rate, jobs))

    def results(self, clips):
        """Yield the Result of each of `clips` (decoding.Decoded), in order, as soon as it is known."""
        queue = _Queue()
        for clip in clips:
            self._add(clip, queue)
            if len(queue.windows) >= BATCHES_AT_ONCE * self.config.evaluation.batch_size:
                self._classify(queue)
            yield from map(self._result, queue.finished())
        self._classify(queue)
        yield from map(self._result, queue.finished())

    def _add(self, clip, queue):
        entry = _Open(clip.file, clip.error)
        queue.files.append(entry)
        if clip.error:
            return
        entry.seconds = len(clip.samples) / self.sample_rate
        entry.silent = is_silent(clip.samples, self.sample_rate, self.silence_db)
        if entry.silent:
            return
        pieces = windows(clip.samples, self.config.data.max_seconds, self.sample_rate)
        entry.windows = entry.waiting = len(pieces)
        queue.windows += [(entry, piece) for piece in pieces]

    def _classify(self, queue):
        """All windows that wait, in batches of like lengths."""
        size, waiting = self.config.evaluation.batch_size, sorted(queue.windows, key=lambda window: len(window[1]))
        queue.windows = []
        for start in range(0, len(waiting), size):
            batch = waiting[start:start + size]
            values = self._columns([piece for _, piece in batch], self._heads)
            for (entry, _), row in zip(batch, values, strict=True):
                entry.sums = entry.sums + row
                entry.waiting -= 1

    def _result(self, entry):
        if entry.error:
            return Result(entry.file, error=entry.error)
        if entry.silent:
            return Result(entry.file, silent=True, short=is_short(entry.seconds), seconds=entry.seconds)
        edges = np.cumsum([len(head.names) for head in self._heads])[:-1]
        values, *others = np.split(entry.sums / entry.windows, edges)
        auxiliary = {head.target: dict(zip(head.names, column.tolist(), strict=True))
                     for head, column in zip(self._heads[1:], others, strict=True)}
        said = {'auxiliary': auxiliary, 'short': is_short(entry.seconds), 'seconds': entry.seconds,
                'windows': entry.windows}
        if not self.classifies:
            return Result(entry.file, values, **said)
        values = self.calibration.apply(values)
        emotion, _ = self.calibration.answer(values, self.names)
        return Result(entry.file, values, emotion=emotion, **said)

    def values(self, clips):
        """float64 (B, C) uncalibrated probabilities or (B, D) dimensions of B clips, int16 (n,) at `sample_rate`."""
        return self._columns(clips, [self._head])

    @torch.inference_mode()
    def _columns(self, clips, heads):
        """float64 (B, K), the values of these heads side by side."""
        lengths = torch.tensor([len(clip) for clip in clips])
        waveforms = torch.zeros(len(clips), padded_length(int(lengths.max()), self.sample_rate), dtype=torch.int16)
        for row, clip in zip(waveforms, clips, strict=True):
            row[:len(clip)] = torch.from_numpy(clip)
        views = self.model.views(waveforms.to(self.device), lengths.to(self.device))
        with autocast(self.device, self.dtype):
            output = self.model.classify(views)
        logits = [head.read(output).float().cpu() for head in heads]
        if not all(part.isfinite().all() for part in logits):
            raise SerError('the model answers with numbers that are not finite. Did its training diverge?')
        return torch.cat([head.values(part) for head, part in zip(heads, logits, strict=True)], dim=1).numpy()


def is_short(seconds):
    """Whether so much sound is less than any syllable."""
    return seconds < SHORTEST_SECONDS


def trained_on_synthetic_speech(run):
    """Whether data.json says that the run's clips were synthesised; False where there is no such file."""
    try:
        return json.loads((Path(run) / 'data.json').read_text(encoding='utf-8')).get('synthetic') is True
    except (OSError, ValueError, AttributeError):
        return False
