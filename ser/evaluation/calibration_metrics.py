"""How far confidences are from what they promise: calibration error, Brier score, risk and coverage, with intervals.

The expected calibration error (ECE) is that of Guo et al. 2017, "On Calibration of Modern Neural Networks": over bins
of equal width of the confidence, the gap between mean confidence and share of right answers, averaged by clips. Brier
1950: the squared distance of the probabilities from the label, summed over classes, 0 to 2.

ECE adds up absolute gaps, so chance alone raises it, the more the fewer clips a bin has, and resampling raises it once
more: percentile intervals of ECE lean upwards. `ece_if_calibrated` says how much chance alone makes of it.
"""

from dataclasses import dataclass

import numpy as np

from ser.evaluation.calibration_fit import selections
from ser.evaluation.intervals import FEWEST_SPEAKERS, method_words
from ser.randomness import generator

BINS = 15
EDGES = np.arange(BINS + 1) / BINS
"""A bin holds confidences above its lower edge, up to and with its upper one."""
SCORES = ('ece', 'log_loss', 'brier')
# Weights of clips that are held at a time.
_MOST = 2_000_000


@dataclass(frozen=True, eq=False)
class Confidences:
    """What the probabilities of N clips say of themselves, float64 (N,) each.

    confidence: of the likeliest class. correct: bool, whether that is the label. log_loss: in nats, probabilities
    clipped at float64's epsilon. brier: 0 to 2.
    """

    confidence: np.ndarray
    correct: np.ndarray
    log_loss: np.ndarray
    brier: np.ndarray

    @classmethod
    def of(cls, labels, predicted, probabilities):
        """Of class indices, int (N,) each, and probabilities (N, C), whose rows are divided by their sums first."""
        probabilities = np.asarray(probabilities, dtype=np.float64)
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        labels, truth = np.asarray(labels), np.zeros(probabilities.shape)
        truth[np.arange(len(labels)), labels] = 1
        epsilon = np.finfo(np.float64).eps
        true = np.clip(probabilities[np.arange(len(labels)), labels], epsilon, 1 - epsilon)
        return cls(probabilities.max(axis=1), np.asarray(predicted) == labels, -np.log(true),
                   ((probabilities - truth) ** 2).sum(axis=1))

    def bins(self):
        """The bin of each clip, int64 (N,)."""
        return np.digitize(self.confidence, EDGES[1:-1], right=True)

    def columns(self, correct=None):
        """What `scores` adds up over clips, float64 (N, BINS + 2): the gap in the clip's bin, log loss, Brier score.

        correct: other outcomes (N,) than the clips' own.
        """
        gaps = np.zeros((len(self.confidence), BINS))
        gaps[np.arange(len(gaps)), self.bins()] = self.confidence - (self.correct if correct is None else correct)
        return np.column_stack([gaps, self.log_loss, self.brier])

    def ece_if_calibrated(self, draws, rng):
        """The mean ECE of N such confidences where each answer is right as often as it says: what chance alone does."""
        total, size = 0.0, max(1, _MOST // len(self.confidence))
        one_hot = (self.bins()[:, None] == np.arange(BINS)).astype(np.float64)
        for start in range(0, draws, size):
            right = rng.random((min(size, draws - start), len(one_hot))) < self.confidence
            total += np.abs((self.confidence - right) @ one_hot).sum()
        return total / draws / len(one_hot)


def scores(sums, clips):
    """ECE, mean log loss and mean Brier score, float64 (..., 3), of summed `Confidences.columns` (..., BINS + 2)."""
    sums, clips = np.asarray(sums), np.asarray(clips)[..., None]
    return np.concatenate([np.abs(sums[..., :BINS]).sum(axis=-1, keepdims=True), sums[..., BINS:]], axis=-1) / clips


def part_facts(predictions, calibrated, named, evaluation):
    """What calibration does to a part, as a dict ready for JSON.

    predictions: Predictions. calibrated: their calibrated probabilities, float64 (N, C). named: bool (N,), the clips
    that get a class. `before`, `after` and `change` (after less before) hold each of SCORES and its interval, the first
    two `ece_if_calibrated` as well. `coverage` is the share of clips that are named, `risk` that of wrong ones among
    them (None where none is named), `risk_of_all` that among all clips. The order of the clips does not matter.
    """
    order = np.argsort(np.array(predictions.keys, dtype=object), kind='stable')
    labels, predicted = predictions.label_ids[order], predictions.predicted_ids[order]
    before, after = (Confidences.of(labels, predicted, np.asarray(values)[order])
                     for values in (predictions.probabilities, calibrated))
    speakers = [predictions.speakers[i] for i in order]
    count = None if None in speakers else len(set(speakers))
    two_stage = count is not None and count >= FEWEST_SPEAKERS
    groups = np.unique(speakers, return_inverse=True)[1] if two_stage else None
    facts = {'clips': len(labels), 'speakers': count, **_measured(before, after, np.asarray(named)[order], groups,
                                                                  evaluation)}
    return facts | {'risk_of_all': float((~before.correct).mean()), 'covers_new_speakers': two_stage,
                    'interval_method': method_words(two_stage, count, evaluation.bootstrap, evaluation.confidence)}


def _measured(before, after, named, groups, evaluation):
    """The measures of `part_facts` with their intervals, and how many clips are named."""
    clips, wrong = np.ones(len(named)), ~before.correct
    table = np.column_stack([before.columns(), after.columns(), named, named & wrong, clips])
    drawn = [weights @ table for weights in clip_weights(len(named), groups, evaluation.bootstrap,
                                                         generator('calibration', evaluation.seed))]
    point, resampled = _measures(table.sum(axis=0)), _measures(np.concatenate(drawn))
    edges = (0.5 - evaluation.confidence / 2, 0.5 + evaluation.confidence / 2)
    facts = {name: {} for name in ('before', 'after', 'change')}
    for name, found in facts.items():
        for i, score in enumerate(SCORES):
            found |= {score: float(point[name][i]), f'{score}_interval': _interval(resampled[name][:, i], edges)}
    for name, confidences in (('before', before), ('after', after)):
        rng = generator('calibrated', evaluation.seed)
        facts[name]['ece_if_calibrated'] = float(confidences.ece_if_calibrated(evaluation.bootstrap, rng))
    facts['named'] = int(named.sum())
    for name in ('coverage', 'risk'):
        facts[name] = None if np.isnan(point[name]) else float(point[name])
        facts[f'{name}_interval'] = _interval(resampled[name], edges)
    return facts


def _measures(sums):
    """Name -> measures (..., 3) or (...,) of summed rows of the table in `part_facts`."""
    width = BINS + len(SCORES) - 1
    named, wrong, clips = np.moveaxis(sums[..., 2 * width:], -1, 0)
    before, after = scores(sums[..., :width], clips), scores(sums[..., width:2 * width], clips)
    risk = np.divide(wrong, named, out=np.full(np.shape(named), np.nan), where=named > 0)
    return {'before': before, 'after': after, 'change': after - before, 'coverage': named / clips, 'risk': risk}


def _interval(values, edges):
    """[low, high] of resampled values; resamples that have none are left out, None where none has one."""
    values = values[~np.isnan(values)]
    return [float(edge) for edge in np.quantile(values, edges)] if len(values) else None


def clip_weights(clips, groups, resamples, rng):
    """Yield how often each clip is in each resample, int64 (r, N), until `resamples` rows have come.

    groups: of each clip the number of its speaker, int (N,): speakers are drawn with replacement, and within each as
    many clips as it has (as `intervals.resampled_outcomes` draws). None: clips alone are drawn.
    """
    members = [np.arange(clips)] if groups is None else \
        [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    size = max(1, _MOST // clips)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        times = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=rows)
        weights = np.zeros((rows, clips), dtype=np.int64)
        for group, mine in enumerate(members):
            picked = np.flatnonzero(times[:, group])
            weights[np.ix_(picked, mine)] = rng.multinomial(times[picked, group] * len(mine),
                                                            np.full(len(mine), 1 / len(mine)))
        yield weights


def reliability_rows(confidences):
    """Of each bin (low edge, high edge, clips, mean confidence, share of right answers); the means None without clips.

    confidences: Confidences.
    """
    for number, place in enumerate(confidences.bins() == np.arange(BINS)[:, None]):
        means = [float(values[place].mean()) for values in (confidences.confidence, confidences.correct)] \
            if place.any() else [None, None]
        yield float(EDGES[number]), float(EDGES[number + 1]), int(place.sum()), *means


def risk_rows(confidences):
    """Of each possible threshold (confidence, clips named, of those wrong, coverage, risk), the surest first.

    confidences: Confidences.
    """
    for cut, named, wrong in zip(*selections(confidences.confidence, confidences.correct), strict=True):
        yield float(cut), int(named), int(wrong), float(named / len(confidences.confidence)), float(wrong / named)
