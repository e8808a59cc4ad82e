"""Waveform augmentation: what each clip gets is drawn by key on the host, then applied on the device.

A clip's draws are keyed by (seed, epoch, its id, the transform), so it sounds the same in any batch, rank or world.
Further copies of a clip within an epoch come with ids of their own (Batch.draw_ids).
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ser.features import augment_background, augment_codec, augment_filter, augment_level, augment_noise, augment_time
from ser.features.drawn import drawn_values, fitted, inside
from ser.randomness import hashed, key_of, uniform


class Transform(NamedTuple):
    """A kind of step: draw(step, uniform draws (n, 3)) -> name to (n,); apply(samples (n, T), lengths (n,), Drawn,
    rate in Hz) -> samples (n, T'), lengths (n,), where what lies beyond a clip may hold anything.

    group: the value that clips share which are computed together.
    """

    draw: callable
    apply: callable
    group: str | None = None


TRANSFORMS = {
    'gain': Transform(augment_level.draw_gain, augment_level.gain),
    'polarity': Transform(augment_level.draw_polarity, augment_level.polarity),
    'shift': Transform(augment_level.draw_shift, augment_level.shift),
    'noise': Transform(augment_noise.draw_noise, augment_noise.noise),
    'noise_level': Transform(augment_noise.draw_noise_level, augment_noise.noise_level),
    'background': Transform(augment_background.draw_background, augment_background.background),
    'speed': Transform(augment_time.draw_speed, augment_time.speed, 'percent'),
    'stretch': Transform(augment_time.draw_stretch, augment_time.stretch),
    'pitch': Transform(augment_time.draw_pitch, augment_time.pitch, 'factor'),
    'band_limit': Transform(augment_filter.draw_band_limit, augment_filter.band_limit),
    'codec': Transform(augment_codec.draw_codec, augment_codec.codec),
}


@dataclass(frozen=True)
class AudioDraw:
    """What the clips of a batch get: a Drawn for each transform that any of them gets, in order.

    How long the batch becomes, and which clips are computed together, the host decides: no CUDA graph can replay it.
    """

    steps: tuple

    def to(self, device, non_blocking=False):
        """The same draw on `device`."""
        return AudioDraw(tuple(step.each(lambda x: x.to(device, non_blocking=non_blocking)) for step in self.steps))

    def pin_memory(self):
        """The same draw in page-locked memory, for copies that do not block."""
        return AudioDraw(tuple(step.each(lambda x: x.pin_memory()) for step in self.steps))


def draw_audio(steps, seed, epoch, ids):
    """The AudioDraw of a batch for the steps of augment.waveform, or None where there are none. ids int64 (B,)."""
    if not steps:
        return None
    ids = np.asarray(ids, dtype=np.int64)
    met, drawn = Counter(), []

    def key(kind):
        # The first noise draws alike whatever stands before it; a second one draws on its own.
        met[kind] += 1
        return 'waveform', seed, epoch, kind, met[kind]

    for step in steps:
        if step.kind == 'one_of':
            chosen = _chosen(step, uniform(ids, 2, *key('one_of')))
            drawn += [_drawn(inner, ids, chosen == number, key(inner.kind)) for number, inner in enumerate(step.steps)]
        else:
            drawn.append(_drawn(step, ids, np.ones(len(ids), dtype=bool), key(step.kind)))
    return AudioDraw(tuple(one for one in drawn if len(one.rows)))


def _chosen(step, draws):
    """Which alternative each clip gets, int64 (B,), -1 for none, of uniform draws (B, 2)."""
    heights = np.cumsum(step.weights or (1.0,) * len(step.steps))
    last = np.flatnonzero(np.diff(heights, prepend=0.0))[-1]
    found = np.minimum(np.searchsorted(heights, draws[:, 1] * heights[-1], side='right'), last)
    return np.where(draws[:, 0] < step.probability, found, -1)


def _drawn(step, ids, candidates, key):
    """The Drawn of a step for those of the candidates, bool (B,), that its probability picks."""
    transform, draws = TRANSFORMS[step.kind], uniform(ids, 4, *key)
    rows = np.flatnonzero(candidates & (draws[:, 0] < step.probability))
    host = transform.draw(step, draws[rows, 1:])
    if transform.group is not None:
        order = np.argsort(host[transform.group], kind='stable')
        rows, host = rows[order], {name: value[order] for name, value in host.items()}
    return drawn_values(step, rows, host, hashed(key_of(*key, 'samples'), ids[rows]))


def augmented(samples, lengths, audio, rate):
    """Clips after every step of `audio`, an AudioDraw: float32 (B, T'), zero beyond each clip, and int64 (B,).

    samples float32 (B, T), zero from lengths int64 (B,) on, at `rate` Hz. T' fits what the host drew for clips of T.
    """
    for drawn in audio.steps:
        rows = drawn.rows
        part, own = TRANSFORMS[drawn.step.kind].apply(samples[rows], lengths[rows], drawn, rate)
        part = part.masked_fill(~inside(own, part.shape[1]), 0.0)
        lengths = lengths.index_copy(0, rows, own)
        if len(rows) == len(samples):
            total = part.shape[1]
        else:
            total = max(part.shape[1], samples.shape[1])
        samples = fitted(samples, total).index_copy(0, rows, fitted(part, total))
    return samples, lengths


def longest_of(samples, lengths):
    """How many samples the longest clip of a batch (B, T) holds: on a CPU as it is, elsewhere T, without a wait."""
    return max(1, int(lengths.max())) if samples.device.type == 'cpu' else samples.shape[1]
