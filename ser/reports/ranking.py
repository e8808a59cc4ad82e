"""How well the probability of each class ranks its clips above the others: ROC, precision-recall, by scikit-learn."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve


@dataclass(frozen=True, eq=False)
class Ranking:
    """One class against the rest. auc: area under the ROC curve, 0.5 for any guess. ap: average precision, `share` for
    any guess. roc: (false positive rate, true positive rate), float64 (K,) each. pr: (recall, precision), float64 (L,)
    each, steps: a precision holds up to the next recall, so that the area below is `ap`."""

    name: str
    clips: int
    share: float
    auc: float
    ap: float
    roc: tuple
    pr: tuple


def rankings(predictions):
    """(Rankings of the classes that have test clips and others beside them, names of those that have not)."""
    found, without = [], []
    for number, name in enumerate(predictions.names):
        positive = predictions.label_ids == number
        if positive.all() or not positive.any():
            without.append(name)
            continue
        scores = predictions.probabilities[:, number]
        false_rate, true_rate, _ = roc_curve(positive, scores, drop_intermediate=False)
        found.append(Ranking(name, int(positive.sum()), float(positive.mean()), float(auc(false_rate, true_rate)),
                             float(average_precision_score(positive, scores)), (false_rate, true_rate),
                             _pr_steps(positive, scores)))
    return tuple(found), tuple(without)


def _pr_steps(positive, scores):
    """(recall, precision) where recall grows, as the average precision adds them up; a point at 1 ends the last step.

    scikit-learn's curve has more: the point (0, 1), which no cut gives, and the precision of every cut that wins no
    recall. Drawn, they are strokes up and down.
    """
    precision, recall, _ = precision_recall_curve(positive, scores)
    # From the highest cut, which takes the fewest clips, to the lowest: the first of each recall is where it is won.
    recall, first = np.unique(recall[-2::-1], return_index=True)
    precision = precision[-2::-1][first]
    reached = recall > 0
    recall, precision = recall[reached], precision[reached]
    return np.concatenate([[0.0], recall]), np.concatenate([precision, precision[-1:]])


def mean_auc(found):
    """The plain mean of the classes' areas, of at least one Ranking."""
    return float(np.mean([one.auc for one in found]))


def mean_ap(found):
    """The plain mean of the classes' average precisions, of at least one Ranking."""
    return float(np.mean([one.ap for one in found]))
