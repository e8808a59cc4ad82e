"""Areas under ROC and precision-recall curves, against pairs counted by hand and the definition of AP."""

import numpy as np
import pytest

from ser.evaluation.predictions import Predictions
from ser.reports.ranking import mean_ap, mean_auc, rankings

NAMES = ('a', 'b', 'c')


def predictions(labels, probabilities, names=NAMES):
    return Predictions.from_probabilities([f'k{i}' for i in range(len(labels))], ['s'] * len(labels), labels,
                                          probabilities, names)


def some(clips=60):
    rng = np.random.default_rng(3)
    # Coarse, so that there are ties.
    values = np.round(rng.dirichlet([1, 1, 1], clips), 1) + 0.05
    return predictions(rng.integers(0, 3, clips), values / values.sum(axis=1, keepdims=True))


def test_auc_is_the_share_of_pairs_in_the_right_order():
    said = some()
    for number, one in enumerate(rankings(said)[0]):
        scores, inside = said.probabilities[:, number], said.label_ids == number
        pairs = np.sign(scores[inside][:, None] - scores[~inside][None, :])
        assert one.auc == pytest.approx((pairs == 1).mean() + (pairs == 0).mean() / 2, abs=1e-12)
        assert (one.name, one.clips, one.share) == (NAMES[number], inside.sum(), inside.mean())


def test_ap_is_precision_averaged_over_gains_in_recall():
    said = some()
    for number, one in enumerate(rankings(said)[0]):
        scores, inside = said.probabilities[:, number], said.label_ids == number
        total, before = 0.0, 0.0
        for cut in np.unique(scores)[::-1]:
            taken = scores >= cut
            recall = (taken & inside).sum() / inside.sum()
            total, before = total + (recall - before) * (taken & inside).sum() / taken.sum(), recall
        assert one.ap == pytest.approx(total, abs=1e-12)


def test_curves_run_from_corner_to_corner():
    for one in rankings(some())[0]:
        assert (one.roc[0][[0, -1]].tolist(), one.roc[1][[0, -1]].tolist()) == ([0, 1], [0, 1])
        assert one.pr[0][[0, -1]].tolist() == [0, 1]


def test_the_area_below_the_steps_of_precision_is_ap_and_no_recall_stands_twice():
    for one in rankings(some())[0]:
        recall, precision = one.pr
        assert np.sum(np.diff(recall) * precision[:-1]) == pytest.approx(one.ap, abs=1e-12)
        assert (np.diff(recall) > 0).all() and (precision > 0).all()


def test_wrong_clips_at_the_top_draw_no_stroke_at_recall_0():
    # The two surest are of another class: of the three clips taken then, one is right.
    found, _ = rankings(predictions([1, 1, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8]], ('a', 'b')))
    assert [values.tolist() for values in found[0].pr] == [[0, 1], [1 / 3, 1 / 3]]


def test_a_class_alone_or_absent_has_none():
    found, without = rankings(predictions([0, 1], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]))
    assert [one.name for one in found] == ['a', 'b'] and without == ('c',)
    assert (mean_auc(found), mean_ap(found)) == (1, 1)
    assert rankings(predictions([0, 0], [[0.8, 0.1, 0.1]] * 2)) == ((), NAMES)
