"""Pictures of a calibration: reliability before and after, and risk over coverage.

Drawn with matplotlib's object-oriented interface, so no global state is touched and no display is needed.
"""

import numpy as np

from ser.evaluation.calibration_metrics import BINS, EDGES, reliability_rows, risk_rows
from ser.evaluation.plots import BLUE, GREY, ORANGE, new_figure, plain, save
from ser.evaluation.tables import percent


def plot_reliability(before, after, facts, path):
    """Write the reliability diagram of the test part as a PNG: share of right answers by bin of confidence, and counts.

    before, after: calibration_metrics.Confidences. facts: the content of calibration.json.
    """
    figure = new_figure(8.4, 5.2)
    figure.get_layout_engine().set(wspace=0.04)
    grid = figure.subplots(2, 2, sharex=True, sharey='row', height_ratios=(3, 1))
    titles = 'uncalibrated', f"calibrated, temperature {facts['temperature']:.3f}"
    for column, (confidences, name, title) in enumerate(zip((before, after), ('before', 'after'), titles, strict=True)):
        _draw_bins(*grid[:, column], list(reliability_rows(confidences)))
        ece, (low, high) = facts['test'][name]['ece'], facts['test'][name]['ece_interval']
        grid[0, column].set_title(f'{title}\nECE {percent(ece)} [{100 * low:.1f}, {100 * high:.1f}]', fontsize=10)
        grid[1, column].set_xlabel('confidence (%)')
    grid[0, 0].set_ylabel('right answers (%)')
    grid[1, 0].set_ylabel('clips')
    grid[0, 0].legend(frameon=False, fontsize=8, loc='upper left')
    figure.suptitle(f"Reliability on the test part, {len(before.confidence)} clips, {BINS} bins", fontsize=11)
    save(figure, path)


def _draw_bins(shares, counts, rows):
    low, high, clips, confidence, right = (np.array([np.nan if row[i] is None else row[i] for row in rows])
                                           for i in range(5))
    centre, width = 50 * (low + high), 100 / BINS * 0.92
    shares.bar(centre, 100 * right, width, color=BLUE, label='right answers')
    # Where the bar should end: what the clips of the bin promise on average.
    shares.hlines(100 * confidence, centre - width / 2, centre + width / 2, color=ORANGE, linewidth=2.2,
                  label='mean confidence')
    shares.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle='--', label='as promised')
    shares.set_xlim(0, 100)
    shares.set_ylim(0, 100)
    counts.bar(centre, clips, width, color=GREY)
    counts.margins(y=0.25)
    for place, number in zip(centre, clips, strict=True):
        if number:
            counts.annotate(f'{number:.0f}', (place, number), (0, 2), textcoords='offset points', ha='center',
                            fontsize=6.5)
    for axes in (shares, counts):
        plain(axes)
        axes.set_xticks(100 * EDGES[::3])


def plot_risk(before, after, facts, path):
    """Write risk over coverage of the test part as a PNG, with the threshold that validation chose.

    before, after: calibration_metrics.Confidences. facts: the content of calibration.json.
    """
    figure, test = new_figure(6.6, 4.2), facts['test']
    axes = figure.subplots()
    for confidences, label, style in ((before, 'uncalibrated', {'color': GREY, 'linestyle': '--'}),
                                      (after, 'calibrated', {'color': BLUE})):
        rows = np.array(list(risk_rows(confidences)))
        axes.plot(100 * rows[:, 3], 100 * rows[:, 4], label=label, linewidth=1.6, **style)
    if facts['risk'] is not None:
        axes.axhline(100 * facts['risk'], color=ORANGE, linewidth=1.2, linestyle=':',
                     label=f"stated risk, {100 * facts['risk']:g} %")
    if facts['threshold'] is not None and test['risk'] is not None:
        axes.plot([100 * test['coverage']], [100 * test['risk']], marker='*', markersize=14, color='black',
                  linestyle='none', label=f"threshold {facts['threshold']:.3f}: {percent(test['coverage'])} named, "
                                          f"{percent(test['risk'])} of those wrong")
    elif facts['threshold'] is None:
        axes.plot([], [], linestyle='none', label='no threshold')
    axes.set_xlim(0, 101)
    axes.set_ylim(0, max(100 * test['risk_of_all'] * 1.25, 10, 100 * (facts['risk'] or 0) * 1.3))
    axes.set_xlabel('coverage: clips that are named (%)')
    axes.set_ylabel('risk: wrong among those (%)')
    plain(axes)
    figure.legend(loc='outside lower center', ncols=2, frameon=False, fontsize=8.5)
    figure.suptitle(f"Risk and coverage on the test part, {test['clips']} clips", fontsize=11)
    save(figure, path)
