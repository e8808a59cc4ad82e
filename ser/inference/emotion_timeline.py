"""Emotion over time: a long recording by windows, smoothed into segments, in memory for its answers alone."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ser.errors import SerError
from ser.evaluation.calibration import Calibration
from ser.inference.emotion_segments import SILENCE, Segment, answers_of, segments_of, smoothed
from ser.inference.emotion_stream import MAX_SECONDS, blocks
from ser.inference.emotion_windows import MIN_SEGMENT_SECONDS, SILENCE_DB, Course, check_segments, grid_of


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a model hears over the course of a recording. W windows, S steps of a hop, C classes."""

    file: str
    seconds: float
    window_seconds: float
    hop_seconds: float
    """As used: the asked length in whole samples."""
    names: tuple
    calibration: Calibration = field(repr=False)
    calibrated: bool
    """Whether the run had a calibration of its own."""
    window_times: np.ndarray
    """float64 (W, 2): start and end in seconds."""
    window_values: np.ndarray
    """float64 (W, C): calibrated probabilities, NaN rows for windows of silence, which the model never saw."""
    step_times: np.ndarray
    """float64 (S + 1,): where the steps begin, in seconds, and the end of the recording."""
    step_values: np.ndarray
    """float64 (S, C): the windows' probabilities smoothed (emotion_segments.smoothed), NaN rows for silence."""
    segments: tuple[Segment, ...]
    envelope: tuple
    """(low, high, seconds per span): int16 (E,) lowest and highest sample of equal spans, a few thousand at most."""

    def windows(self):
        """Yield a dict per window: start, end, silent, emotion, confidence, probabilities {class: p}.

        Of a silent one the emotion is 'silence', the confidence None, and there are no probabilities.
        """
        answers = answers_of(self.window_values, self.names, self.calibration)
        for (start, end), row, (emotion, confidence) in zip(self.window_times.tolist(), self.window_values, answers,
                                                            strict=True):
            silent = confidence is None
            shares = {} if silent else dict(zip(self.names, row.tolist(), strict=True))
            yield {'start': start, 'end': end, 'silent': silent, 'emotion': SILENCE if silent else emotion,
                   'confidence': confidence, 'probabilities': shares}

    def facts(self):
        """All but the envelope as a dict for JSON; segments: dicts of start, end, emotion, confidence."""
        return {'file': self.file, 'seconds': self.seconds, 'window_seconds': self.window_seconds,
                'hop_seconds': self.hop_seconds, 'classes': list(self.names), 'calibrated': self.calibrated,
                'windows': list(self.windows()), 'segments': [dict(vars(segment)) for segment in self.segments]}


def timeline_of(predictor, source, window_seconds=None, hop_seconds=None, min_segment_seconds=MIN_SEGMENT_SECONDS,
                silence_db=SILENCE_DB, name=None, max_seconds=MAX_SECONDS, progress=None):
    """The Timeline of a recording by a Predictor.

    source: a path or a binary file object. window_seconds, hop_seconds: None is 3 s and 1 s, or less where the run's
    data.max_seconds is less. A window none of whose frames (0.1 s, about) reaches silence_db (dBFS) is silence and is
    not shown to the model; so is a step of a hop. Segments shorter than min_segment_seconds are merged
    (emotion_segments.merged). name: what to call the recording; else the path, or the file object's name. max_seconds:
    longest recording. progress: called with the seconds done after every batch of windows.
    Raises recordings.BadRecording for audio that cannot be used, SerError for a run that names no classes and for
    lengths that do not fit.
    """
    if not predictor.classifies:
        raise SerError(f'this run predicts dimensions ({", ".join(predictor.names)}); emotions over time are '
                       'of runs that learnt classes')
    grid = grid_of(predictor.sample_rate, predictor.config.data.max_seconds, window_seconds, hop_seconds)
    check_segments(min_segment_seconds, silence_db)
    course, calibration = Course(grid), predictor.calibration
    spans, values = _classified(predictor, course, blocks(source, grid.sample_rate, max_seconds), silence_db, progress)
    values = calibration.apply(values)
    edges = grid.edges(course.samples)
    steps = smoothed(spans, values, edges, grid.hop)
    quiet = [course.loudest(start, end) < silence_db for start, end in pairwise(edges.tolist())]
    steps[quiet] = np.nan
    answers = [answer for answer, _ in answers_of(steps, predictor.names, calibration)]
    segments = segments_of(edges, answers, steps, predictor.names, grid.sample_rate,
                           round(min_segment_seconds * grid.sample_rate))
    low, high, size = course.envelope.spans()
    rate = grid.sample_rate
    name = name or (getattr(source, 'name', 'recording') if hasattr(source, 'read') else source)
    return Timeline(str(name), course.samples / rate, grid.window / rate,
                    grid.hop / rate, tuple(predictor.names), calibration, calibration.fitted, spans / rate, values,
                    edges / rate, steps, segments, (low, high, size / rate))


def _classified(predictor, course, parts, silence_db, progress):
    """(int64 (W, 2) first sample and end of the windows, float64 (W, C) uncalibrated probabilities, NaN for silence).

    Windows with sound are gathered into full batches; silence in between costs nothing.
    """
    spans, rows, batch, places = [], [], [], []

    def classify():
        for place, row in zip(places, predictor.values(batch), strict=True):
            rows[place] = row
        batch.clear()
        places.clear()
        if progress:
            progress(spans[-1][1] / course.grid.sample_rate)

    nothing = np.full(len(predictor.names), np.nan)
    for start, samples in course.windows(parts):
        end = start + len(samples)
        spans.append((start, end))
        rows.append(nothing)
        if course.loudest(start, end) < silence_db:
            continue
        batch.append(samples)
        places.append(len(rows) - 1)
        if len(batch) == predictor.config.evaluation.batch_size:
            classify()
    if batch:
        classify()
    return np.array(spans), np.array(rows)
