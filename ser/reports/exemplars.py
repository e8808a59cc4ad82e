"""Test clips to listen to: those the run got most wrong, those it mixes up, those it is surest of and right."""

import base64
import io
from collections import Counter
from dataclasses import dataclass, field

import matplotlib
import numpy as np
import soundfile
import soxr
from PIL import Image

from ser.errors import SerError
from ser.evaluation.calibration import Calibration, read_calibration
from ser.inference.inspection import ALWAYS, trained_inspector
from ser.reports.tested import Scorer, open_tested
from ser.shards.reader import windows

KINDS = ('hardest', 'confused', 'clearest')
MOST_SECONDS = 10.0
"""Longer clips are cut off for listening."""
LISTENING_HZ = 24000
"""Audio of a higher rate is resampled: a page with all of them stays below 5 MB."""
VIEW_SIZE = (320, 160)
"""Most pixels of a view, width and height."""


@dataclass(frozen=True)
class Exemplar:
    """A test clip and what the run said of it, ready for a page. Probabilities are calibrated where the run is."""

    key: str
    speaker: str | None
    label: str
    predicted: str
    confidence: float
    """Probability of `predicted`."""
    true_probability: float
    """Probability of `label`."""
    kind: str
    """One of KINDS: 'hardest', 'confused' or 'clearest'."""
    audio: str
    """A data URI of Ogg Vorbis, mono, at most MOST_SECONDS."""
    views: dict = field(default_factory=dict)
    """Name of a feature, such as 'mel', to a data URI of a PNG: the image that the model sees, else its levels."""
    seconds: float = 0.0
    """Length of the clip."""


def exemplars_of(run, shards=None, count=6, device='auto'):
    """Up to `count` Exemplars of each of KINDS, in that order, no clip twice.

    hardest: the wrong answers with the lowest probabilities of the true class. confused: of each of the most frequent
    confusions of one class with another, its surest clip. clearest: the surest right answers, of as many classes as
    there are.
    shards: patterns as data.shards, in place of those of the run's config. device: where the model is asked whether
    these clips are those of predictions.csv. Raises SerError as `open_tested`, and where they are not.
    """
    if count < 1:
        raise SerError(f'count {count}: at least one clip of each kind is wanted')
    part = open_tested(run, shards)
    calibration = read_calibration(part.run) or Calibration()
    probabilities = calibration.apply(part.predictions.probabilities)
    chosen = choose(part.predictions, probabilities, count)
    places = [place for _, place in chosen]
    clips = list(part.clips(places))
    part.check_same(places, Scorer(part.run, device).probabilities(clips))
    inspector, _ = trained_inspector(part.run)
    return tuple(_exemplar(part, place, kind, samples, probabilities[place], inspector)
                 for (kind, place), samples in zip(chosen, clips, strict=True))


def choose(predictions, probabilities, count):
    """[(kind, place)] of up to `count` clips of each of KINDS. probabilities: (N, C), of the same clips.

    Of equals the one that comes first; the order of a kind is that of `exemplars_of`.
    """
    labels, answers = predictions.label_ids, predictions.predicted_ids
    everyone = np.arange(len(labels))
    true, sure = probabilities[everyone, labels], probabilities[everyone, answers]
    # A right answer may be less likely than a wrong one of another clip: it is not among the hardest.
    wrong = np.flatnonzero(answers != labels)
    chosen = [('hardest', int(place)) for place in wrong[np.argsort(true[wrong], kind='stable')][:count]]
    taken = {place for _, place in chosen}
    for kind, groups in (('confused', _confusions(labels, answers)), ('clearest', _right(labels, answers, sure))):
        found = []
        # Round about, the best of each group first, so that one class does not fill the page.
        queues = [[int(place) for place in members[np.argsort(-sure[members], kind='stable')]
                   if int(place) not in taken] for members in groups[:count]]
        while len(found) < count and any(queues):
            found += [queue.pop(0) for queue in queues if queue][:count - len(found)]
        chosen += [(kind, place) for place in found]
        taken |= set(found)
    return chosen


def _confusions(labels, answers):
    """Arrays of the clips of each confusion (label, answer), the most frequent first."""
    wrong = Counter(pair for pair in zip(labels.tolist(), answers.tolist(), strict=True) if pair[0] != pair[1])
    return [np.flatnonzero((labels == label) & (answers == answer))
            for (label, answer), _ in sorted(wrong.items(), key=lambda item: (-item[1], item[0]))]


def _right(labels, answers, sure):
    """Arrays of the right clips of each class, that with the surest clip first."""
    groups = [np.flatnonzero((labels == number) & (answers == number)) for number in np.unique(labels)]
    return sorted((group for group in groups if len(group)), key=lambda group: -sure[group].max())


def _exemplar(part, place, kind, samples, probabilities, inspector):
    said, rate = part.predictions, part.config.data.sample_rate
    answer, label = said.predicted_ids[place], said.label_ids[place]
    return Exemplar(said.keys[place], said.speakers[place], said.labels[place], said.predicted[place],
                    float(probabilities[answer]), float(probabilities[label]), kind, audio_uri(samples, rate),
                    _views(inspector, samples), len(samples) / rate)


def audio_uri(samples, rate):
    """A data URI of int16 (n,) samples at `rate` Hz as Ogg Vorbis, at most MOST_SECONDS and LISTENING_HZ."""
    samples = samples[:round(MOST_SECONDS * rate)]
    if rate > LISTENING_HZ:
        samples, rate = soxr.resample(samples, rate, LISTENING_HZ), LISTENING_HZ
    held = io.BytesIO()
    soundfile.write(held, samples, rate, format='OGG', subtype='VORBIS')
    return _uri('audio/ogg', held.getvalue())


def _views(inspector, samples):
    """Pictures of the first window, as the model hears it: CQT and Mel where they can be had, and what else it sees."""
    data = inspector.config.data
    arrays = inspector.arrays(windows(samples, data.max_seconds, data.sample_rate)[0])
    names = [name for name in inspector.features if name in (inspector.seen if inspector.images else ALWAYS)]
    return {name: picture_uri(arrays.get(f'{name}_image', arrays[f'{name}_db'])) for name in names}


def picture_uri(values):
    """A data URI of a PNG of values (bands, frames), lowest band first, from their least to their greatest; of
    (3, bands, frames), the channels of a colour image in [0, 1]."""
    if values.ndim == 3:
        image = Image.fromarray(np.rint(255 * np.clip(values.transpose(1, 2, 0), 0, 1)).astype(np.uint8)[::-1])
    else:
        low, high = float(values.min()), float(values.max())
        levels = (values - low) / (high - low) if high > low else np.zeros(values.shape)
        image = Image.fromarray(np.rint(255 * levels).astype(np.uint8)[::-1])
    size = tuple(min(have, most) for have, most in zip(image.size, VIEW_SIZE, strict=True))
    image = image.resize(size, Image.Resampling.BOX)
    if values.ndim == 2:
        # A palette: a third of the bytes of full colour.
        image.putpalette((matplotlib.colormaps['magma'](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes())
    held = io.BytesIO()
    image.save(held, 'PNG', optimize=True)
    return _uri('image/png', held.getvalue())


def _uri(kind, data):
    return f'data:{kind};base64,{base64.b64encode(data).decode()}'
