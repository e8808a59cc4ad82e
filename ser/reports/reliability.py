"""Reliability as a chart: the share of right answers by confidence, beside what the confidence promises."""

import numpy as np

from ser.evaluation.calibration_metrics import reliability_rows
from ser.reports.charts import Axis, Series, line_chart


def styles(count):
    """The styles of the lines of so many kinds of probabilities: what people are shown is solid and comes last."""
    return (2, 1)[-count:]


def reliability_chart(title, described, sides, places=(0, 0.25, 0.5, 0.75, 1)):
    """A figure with a line for each of `sides`, at most two: name -> calibration_metrics.Confidences.

    Bins without clips are passed over. places: what to mark on both axes.
    """
    axes = tuple(Axis(words, 0.0, 1.0, percent=True, places=places) for words in ('confidence', 'right'))
    series = [Series('what is promised', np.array([0, 1]), np.array([0, 1]), 0)]
    for style, (name, one) in zip(styles(len(sides)), sides.items(), strict=True):
        filled = [row for row in reliability_rows(one) if row[2]]
        series.append(Series(name, np.array([row[3] for row in filled]), np.array([row[4] for row in filled]), style,
                             dots=True))
    return line_chart(title, described, series, axes, square=True)
