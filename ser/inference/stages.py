"""How a clip comes to a network: its waveform stage by stage, spectra before and after normalisation, augmented draws.

The facts, as `<stem>-stages.json` holds them; times are seconds of the file, from its first sample:

    file, window         as in attributions
    stages               [{stage, start, end, seconds, samples, sample_rate, peak_db, rms_db}]: raw, trimmed, resampled,
                         fixed, prepared, those that the config takes; levels in dB of full scale, null for silence
    trim                 {start, end}, what trimming left; null where nothing trims
    network              {view: {shape, least, greatest, mean, deviation}} of what the network gets
    clip_id              the row number that the draws are keyed by
    augmented            [{epoch, drawn, audio, seconds, peak_db, rms_db}]: `drawn` names what chance decided, `audio`
                         is [{kind, ...}], the steps of augment.waveform that the clip got, with what was drawn
    pictures             names of the pictures beside this file
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ser.features.draw import draw_views
from ser.inference.timeline import stages_of, views_over_time

CLIP_ID = 0
"""Augmentation is keyed by a clip's row in its shards; a file on its own counts as the first."""


@dataclass(frozen=True)
class Preview:
    """A clip as one epoch of training would hear and see it."""

    epoch: int
    drawn: tuple
    """Names of what was drawn (draw.Draw)."""
    audio: tuple
    """What happened to the audio itself, in order: dicts of `kind` and the numbers that were drawn."""
    waveform: np.ndarray
    """float32 (m,) at the features' rate."""
    views: dict
    """view -> float32 (C, S, S) or (rows, N)."""


@dataclass(frozen=True)
class Shown:
    """All of a clip's way to the network.

    before: feature -> float32 (rows, frames), in dB mostly. after: view -> what the network gets, float32 (C, S, S) or
    (rows, N). audio: what its encoder gets, float32 (m,), or None. feature_of: view -> feature. facts: for JSON.
    """

    stages: tuple
    before: dict
    after: dict
    audio: np.ndarray | None
    previews: tuple
    feature_of: dict
    facts: dict

    @property
    def arrays(self):
        """Name -> array: `<stage>` and `<stage>_rate`, `<feature>_before`, `<view>_after`, `audio`,
        `epoch_<n>_waveform`, `epoch_<n>_<view>`."""
        arrays = {}
        for stage in self.stages:
            arrays |= {stage.name: stage.samples, f'{stage.name}_rate': np.int64(stage.sample_rate)}
        arrays |= {f'{name}_before': values for name, values in self.before.items()}
        arrays |= {f'{name}_after': values for name, values in self.after.items()}
        if self.audio is not None:
            arrays['audio'] = self.audio
        for preview in self.previews:
            arrays[f'epoch_{preview.epoch}_waveform'] = preview.waveform
            arrays |= {f'epoch_{preview.epoch}_{name}': values for name, values in preview.views.items()}
        return arrays


@torch.no_grad()
def show_stages(inspector, samples, previews=0):
    """The Shown of int16 (n,) samples at data.sample_rate for an Inspector, with `previews` of epochs 0, 1, ...

    The draws are those of training (draw_views, keyed by run.seed, the epoch and CLIP_ID), but for mixup, which needs
    a partner.
    """
    front_end, waveform = inspector.front_end, inspector.waveform
    stages = tuple(stages_of(waveform, samples))
    clip, length = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
    after = _own(front_end, inspector.views(clip, length))
    audio = after.pop('waveform', None)
    before = {}
    if inspector.seen:
        before = {name: values[0, :, :frames[0]].numpy()
                  for name, (values, frames) in inspector.before(clip, length).items()}
    drawn = tuple(_preview(inspector, clip, length, epoch) for epoch in range(previews))
    trimmed = next((stage for stage in stages if stage.name == 'trimmed'), None)
    facts = {'stages': [_stage_facts(stage) for stage in stages],
             'trim': None if trimmed is None else {'start': trimmed.start_seconds,
                                                   'end': trimmed.start_seconds + trimmed.seconds},
             'network': {name: _numbers(values) for name, values in
                         {**after, **({} if audio is None else {'waveform': audio})}.items()},
             'clip_id': CLIP_ID,
             'augmented': [{'epoch': preview.epoch, 'drawn': list(preview.drawn), 'audio': list(preview.audio),
                            'seconds': len(preview.waveform) / waveform.sample_rate,
                            **levels(preview.waveform)} for preview in drawn]}
    return Shown(stages, before, after, audio, drawn,
                 dict(front_end.views) if inspector.images else {name: name for name in inspector.seen}, facts)


def levels(samples):
    """{'peak_db', 'rms_db'} of float32 (n,) in dB of full scale; None for silence."""
    peak, rms = float(np.abs(samples).max()), float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return {'peak_db': 20 * math.log10(peak) if peak > 0 else None, 'rms_db': 20 * math.log10(rms) if rms > 0 else None}


def as_picture(front_end, view, image):
    """A view's image (C, S, S) without its normalisation, in [0, 1]: (S, S), or (S, S, 3) with slopes as colours."""
    imager = front_end.imagers[front_end.views[view]]
    plain = image * imager.std.numpy()[:, None, None] + imager.mean.numpy()[:, None, None]
    return np.clip(plain.transpose(1, 2, 0) if front_end.delta else plain[0], 0.0, 1.0)


def _preview(inspector, clip, length, epoch):
    front_end = inspector.front_end
    draw = draw_views(inspector.config, tuple(front_end.views), epoch, np.array([CLIP_ID]))
    steps = () if draw.audio is None else draw.audio.steps
    audio = tuple({'kind': drawn.step.kind, **{name: float(values[0]) for name, values in drawn.host.items()}}
                  for drawn in steps)
    waveform, lengths = inspector.waveform(clip, length, draw)
    views = _own(front_end, inspector.views(clip, length, draw))
    views.pop('waveform', None)
    return Preview(epoch, draw.parts, audio, waveform[0, :lengths[0]].numpy(), views)


def _own(front_end, views):
    """The views of one clip over time as arrays, its own columns only."""
    found = {}
    for name in views_over_time(front_end):
        x = views[name]
        counts = None if x.ndim == 4 else views['samples' if x.ndim == 2 else 'frames']
        found[name] = x[0, ..., :x.shape[-1] if counts is None else int(counts[0])].numpy()
    return found


def _stage_facts(stage):
    return {'stage': stage.name, 'start': stage.start_seconds, 'end': stage.start_seconds + stage.seconds,
            'seconds': stage.seconds, 'samples': len(stage.samples), 'sample_rate': stage.sample_rate,
            **levels(stage.samples)}


def _numbers(values):
    return {'shape': list(values.shape), 'least': float(values.min()), 'greatest': float(values.max()),
            'mean': float(values.mean()), 'deviation': float(values.std())}
