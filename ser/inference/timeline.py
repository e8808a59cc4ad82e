"""Time in what a model sees, as seconds of the clip that was given: what trimming and cropping took off is counted."""

from dataclasses import dataclass

import numpy as np
import torch

from ser.features.frontend import FrontEnd
from ser.features.sequences import SequenceFrontEnd

SPANS = 20
"""Equal spans that a course over time is summed up in."""


@dataclass(frozen=True)
class Stage:
    """A clip after one step of the waveform's way to the features."""

    name: str
    """raw, trimmed, resampled, fixed or prepared."""
    samples: np.ndarray
    """float32 (n,), the clip's own samples; of `prepared` also the zeros that a short clip is padded with."""
    sample_rate: int
    """Hz."""
    start_seconds: float
    """Where in the given clip its first sample lies."""

    @property
    def seconds(self):
        """How long it is."""
        return len(self.samples) / self.sample_rate


def stages_of(waveform, samples):
    """The Stages of int16 (n,) samples at waveform.data_rate through a features.waveform.Waveform, outside training."""
    clip, length = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
    stages, start = [], 0.0
    before, lengths_before = None, None
    for name, values, lengths in waveform.stages(clip, length):
        rate = waveform.data_rate if name in ('raw', 'trimmed') else waveform.sample_rate
        if name == 'trimmed':
            first, _ = waveform.trim.bounds(before, lengths_before)
            start += int(first[0]) / rate
        elif name == 'fixed':
            # Outside training the centre is kept (features.trim.cut_to).
            start += int(lengths_before[0] - lengths[0]) // 2 / rate
        stages.append(Stage(name, values[0, :int(lengths[0])].numpy(), rate, start))
        before, lengths_before = values, lengths
    return stages


def views_over_time(front_end):
    """Names of a front end's views whose columns are moments of the clip, in order: images, sequences, waveforms."""
    if isinstance(front_end, FrontEnd):
        return tuple(front_end.views)
    if isinstance(front_end, SequenceFrontEnd):
        return (*front_end.wanted, *(['waveform'] if front_end.audio is not None else []))
    return ()


def column_edges(front_end, view, columns, prepared):
    """Where the columns of a view lie: float64 (columns + 1,) seconds from the first sample of the prepared clip.

    columns: how many there are: of an image, frames of a sequence, samples of a waveform. prepared: samples of the
    clip at the features' rate. Frames are centred on every hop_length-th sample and reach half a hop either way.
    """
    rate = front_end.waveform.sample_rate
    places = np.arange(columns + 1, dtype=np.float64)
    if not isinstance(front_end, FrontEnd):
        return places / rate if view == 'waveform' else (places - 0.5) * front_end.hop_length / rate
    feature = front_end.views[view]
    hop, fixed = front_end.hops[feature], front_end.imagers[feature].fixed_frames
    frames = 1 + prepared // hop
    first, extent = (0, frames) if fixed is None else (max(frames - fixed, 0) // 2, fixed)
    return (first + places * extent / columns - 0.5) * hop / rate


def equal_spans(weights, edges, start, stop, count=SPANS):
    """The course of weights >= 0 (N,), one per column between `edges` (N + 1,), over `count` equal spans from start to
    stop: float64 (count,) that sum to 1, or to 0 where nothing weighs anything there.

    A column that lies in two spans is divided by how much of it lies in either.
    """
    total = np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])
    inside = np.diff(np.interp(np.linspace(start, stop, count + 1), edges, total))
    whole = inside.sum()
    return inside / whole if whole > 0 else inside


def as_spans(weights, edges, start=0.0, **named):
    """Weights (N,) between edges (N + 1,) as dicts of `named`, start, end (seconds, `start` added) and weight."""
    return [{**named, 'start': round(start + float(low), 4), 'end': round(start + float(high), 4),
             'weight': float(weight)}
            for weight, low, high in zip(weights, edges[:-1], edges[1:], strict=True)]
