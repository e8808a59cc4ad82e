"""The Python interface: a trained run as a function of audio. `ser.load` is `load` here."""

import io
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch

from ser.errors import SerError
from ser.inference.decoding import Decoded
from ser.inference.emotion_segments import SILENCE
from ser.inference.emotion_windows import SILENCE_DB
from ser.inference.predictor import Predictor
from ser.inference.recordings import BadRecording, read_recording
from ser.inference.run_words import score_of, system_of
from ser.shards.audio_encode import MAX_CHANNELS, RATES_HZ
from ser.shards.decode import MAX_SAMPLES, decode

LOUDEST = 8.0
"""Peak above which floating point samples are no overshoot any more but another scale."""

_SUBTYPES = {'int16': 'PCM_16', 'float32': 'FLOAT', 'float64': 'DOUBLE'}
_WANTED = 'float32 or float64 in [-1, 1], or int16'


@dataclass(frozen=True)
class Answer:
    """What a model says of one clip; the same as a line of `ser predict --format jsonl`."""

    emotion: str
    """A class, 'unknown' where the confidence lies under the run's threshold, or 'silence' where nobody speaks."""
    likeliest: str | None
    """A class; None of silence."""
    confidence: float | None
    """The likeliest class's probability; None of silence."""
    probabilities: dict
    """Class -> probability, in index order; they sum to 1, calibrated where the run is. None at all of silence."""
    auxiliary: dict = field(default_factory=dict)
    """Target of a further head -> {value: probability}, uncalibrated."""
    silent: bool = False
    """Whether the clip was silence, which the model is not asked about; a class may be called 'silence' too."""
    short: bool = False
    """Whether it has less sound than any syllable, 0.1 s: whatever is said of it says little."""


@dataclass(frozen=True)
class DimensionsAnswer:
    """What a regression run says of one clip."""

    dimensions: dict
    """Dimension -> number in the units of the corpus it learnt from; none of silence."""
    silent: bool = False
    """Whether the clip was silence, which the model is not asked about."""
    short: bool = False
    """Whether it has less sound than any syllable, 0.1 s: whatever is said of it says little."""


class LoadedModel:
    """A trained run as a function: `model('clip.wav')`, `model(waveform, sample_rate)`.

    names: classes in index order, or dimensions. sample_rate: Hz that everything is resampled to. calibration: the
    run's Calibration, or one that changes nothing; `calibration.fitted` tells them apart.
    """

    def __init__(self, predictor):
        """predictor: a Predictor."""
        self._predictor = predictor
        self.names, self.sample_rate = predictor.names, predictor.sample_rate
        self.calibration = predictor.calibration

    def __repr__(self):
        """One line: the run, its system, classes, rate, device and test score."""
        predictor = self._predictor
        score, notes = score_of(predictor.run)
        return (f'<model of {predictor.run}: {system_of(predictor.run, predictor.config.model.kind)}; '
                f'{len(self.names)} {"classes" if predictor.classifies else "dimensions"} ({", ".join(self.names)}); '
                f'{self.sample_rate} Hz; {predictor.device}; {score or notes[0]}>')

    def __call__(self, audio, sample_rate=None):
        """The Answer (or DimensionsAnswer) of one clip.

        audio: path of an audio file (wav, flac, ogg, mp3, any rate and channels), or a waveform, numpy or torch: (n,)
        or (channels, n), float32 or float64 in [-1, 1] or int16. sample_rate: Hz of a waveform. Channels are averaged;
        a clip over data.max_seconds is cut into windows whose values are averaged.
        Raises SerError for audio that is empty, damaged, not finite or of another shape, type or scale.
        """
        return self._answers([('the waveform', audio, sample_rate)])[0]

    def batch(self, clips, sample_rate=None):
        """A list with the Answer of each of `clips`, classified in batches.

        clips: paths, waveforms at `sample_rate` Hz, or (waveform, Hz) pairs, in any mixture.
        Raises SerError as for one clip, saying which, and for a single path.
        """
        if _is_path(clips):
            raise SerError(f'batch({str(clips)!r}): a list of clips is wanted. Of one, call the model itself')
        named = ((f'clip {number}', *(clip if _is_pair(clip) else (clip, None if _is_path(clip) else sample_rate)))
                 for number, clip in enumerate(clips, 1))
        return self._answers(named)

    def _answers(self, named):
        """Answers of (what the clip is called, path or waveform, Hz or None)."""
        return [self._answer(result) for result in self._predictor.results(self._read(*clip) for clip in named)]

    def _read(self, name, audio, sample_rate):
        name = str(audio) if _is_path(audio) else name
        try:
            if _is_path(audio) and sample_rate is None:
                return Decoded(name, read_recording(Path(audio), self.sample_rate))
            return Decoded(name, as_samples(audio, sample_rate, self.sample_rate))
        except (BadRecording, SerError) as bad:
            raise SerError(f'{name}: {bad}') from None

    def _answer(self, result):
        if result.silent:
            return (Answer(SILENCE, None, None, {}, silent=True, short=result.short) if self._predictor.classifies else
                    DimensionsAnswer({}, silent=True, short=result.short))
        values = dict(zip(self.names, result.values.tolist(), strict=True))
        if not self._predictor.classifies:
            return DimensionsAnswer(values, short=result.short)
        likeliest = max(values, key=values.get)
        return Answer(result.emotion, likeliest, values[likeliest], values, result.auxiliary, short=result.short)


def load(run, device='auto', calibrated=True, silence_db=SILENCE_DB):
    """A LoadedModel of a run directory.

    device: 'auto', 'cpu', 'cuda' or 'mps'. calibrated: whether to apply the run's calibration, where it has one.
    silence_db: a clip no tenth of a second of which reaches this level (dBFS, -200 to 0) is silence; -200 takes nothing
    for silence. Raises SerError for a run that cannot be loaded, a device that is not there and another level.
    """
    return LoadedModel(Predictor(run, device, calibrated, silence_db))


def as_samples(waveform, sample_rate, wanted_hz):
    """int16 (n,) mono samples at `wanted_hz` of a waveform at `sample_rate` Hz, those of a file that holds it.

    waveform: numpy or torch, (n,) or (channels, n), float32 or float64 in [-1, 1] or int16. What lies beyond 1 is cut
    off. Raises SerError, in one line, for anything else.
    """
    waveform, rate = _checked(waveform), _rate(sample_rate)
    if waveform.size > MAX_SAMPLES:
        raise SerError(f'shape {waveform.shape} is too long (allowed: {MAX_SAMPLES} samples). Cut it into pieces')
    # The array becomes a file and is read as one: its channels, rate and rounding are those of a file by construction.
    file = io.BytesIO()
    soundfile.write(file, waveform.T, rate, format='WAV', subtype=_SUBTYPES[waveform.dtype.name])
    return decode(file.getvalue(), '.wav', wanted_hz).samples


def _is_path(audio):
    return isinstance(audio, (str, os.PathLike))


def _is_pair(clip):
    return isinstance(clip, tuple) and len(clip) == 2


def _checked(waveform):
    """The waveform as a numpy array of one of _SUBTYPES, its shape and peak checked."""
    if _is_path(waveform):
        raise SerError('a file says its own sample rate: give the path alone')
    if isinstance(waveform, torch.Tensor):
        kind = str(waveform.dtype).removeprefix('torch.')
        waveform = waveform.detach().cpu().numpy() if kind in _SUBTYPES else np.empty(0, np.bool_)
    elif isinstance(waveform, np.ndarray):
        kind = waveform.dtype.name
    else:
        raise SerError(f'{type(waveform).__name__} is no audio: give a path, or a numpy array or torch tensor of '
                       f'{_WANTED}')
    if kind not in _SUBTYPES:
        raise SerError(f'samples of type {kind} cannot be used: {_WANTED} is wanted')
    shape = waveform.shape
    if waveform.ndim not in (1, 2) or (waveform.ndim == 2 and not 1 <= shape[0] <= min(MAX_CHANNELS, max(shape[1], 1))):
        raise SerError(f'shape {shape} cannot be used: (n,) or (channels, n) is wanted, with at most '
                       f'{MAX_CHANNELS} channels. Transpose it if its channels come last')
    peak = float(np.abs(waveform).max()) if waveform.dtype.kind == 'f' and waveform.size else 0.0
    if math.isfinite(peak) and peak > LOUDEST:
        raise SerError(f'a peak of {peak:g} cannot be used: {_WANTED} is wanted. Divide by the full scale of the '
                       'source, such as 32768')
    return waveform.astype(waveform.dtype.newbyteorder('='), copy=False)


def _rate(sample_rate):
    if sample_rate is None:
        raise SerError('a waveform needs its sample rate: model(waveform, sample_rate)')
    low, high = RATES_HZ
    try:
        whole = int(sample_rate)
    except (TypeError, ValueError, OverflowError):
        whole = 0
    if not low <= whole <= high or whole != sample_rate:
        raise SerError(f'sample_rate {sample_rate!r}: a whole number of Hz from {low} to {high} is wanted')
    return whole
