"""One picture: ms per clip of each stage and implementation on a logarithmic axis; below it how things scale.

Drawn with matplotlib's object-oriented interface, so no global state is touched and no display is needed.
"""

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ser.benchmarks.names import RIVALS, STAGES
from ser.benchmarks.table import short, slower_than_ser
from ser.errors import SerError
from ser.files import write_whole

DPI = 150
SUFFIXES = ('.png', '.pdf', '.svg')
# Okabe and Ito 2008, and two that keep their distance from them.
COLOURS = dict(zip(('ser', *RIVALS), ('#0072B2', '#D55E00', '#E69F00', '#CC79A7', '#7B3FA0', '#009E73', '#56B4E9',
                                      '#B8A800', '#6E6E6E'), strict=True))
BAR_INCHES, GAP = 0.2, 0.6


def check_plot(path):
    """Raises SerError for a picture of a kind that is not drawn."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise SerError(f'--plot {path}: a name that ends in {", ".join(SUFFIXES)} is wanted')


def write_picture(path, rows, title, draw_scale=None):
    """Write the picture of Rows (those with errors are left out), a panel per batch.

    draw_scale: draws on a figure of its own below, given that figure; None draws nothing.
    """
    good = [row for row in rows if row.error is None and row.ms_per_clip]
    panels = [[row for row in good if row.batch == batch] for batch in dict.fromkeys(row.batch for row in good)]
    bars = max((_height(panel) for panel in panels), default=0) * BAR_INCHES + 1.0 if panels else 0.0
    below = 7.0 if draw_scale is not None else 0.0
    width = max(6.4 * max(len(panels), 1), 11.0 if below else 0.0)
    figure = Figure(figsize=(width, bars + below + 0.9), dpi=DPI, layout='constrained')
    FigureCanvasAgg(figure)
    parts = figure.subfigures((bars > 0) + (below > 0) or 1, 1, squeeze=False,
                              height_ratios=[size for size in (bars, below) if size] or None).ravel()
    if panels:
        _draw_bars(parts[0], panels)
    if draw_scale is not None:
        draw_scale(parts[-1])
    figure.suptitle(title, fontsize=10, parse_math=False)
    image = io.BytesIO()
    figure.savefig(image, format=Path(path).suffix[1:].lower(), bbox_inches='tight', pad_inches=0.15,
                   facecolor='white')
    write_whole(path, image.getvalue())


def _height(panel):
    """Bars and the gaps between stages."""
    return len(panel) + GAP * len({row.stage for row in panel})


def _draw_bars(figure, panels):
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        place, ticks, most = 0.0, [], max(row.ms_per_clip for row in panel)
        least = min(row.ms_per_clip for row in panel)
        for stage in [stage for stage in STAGES if any(row.stage == stage for row in panel)]:
            members = [row for row in panel if row.stage == stage]
            ticks.append((place + (len(members) - 1) / 2, stage))
            for row in members:
                _bar(axes, place, row, slower_than_ser(row, panel))
                place += 1
            place += GAP
        axes.set_xscale('log')
        # Room on the right for what is written beside the longest bar.
        axes.set_xlim(least / 3, most * (most / least) ** 0.25 * 3)
        axes.set_yticks([at for at, _ in ticks], [stage for _, stage in ticks])
        axes.set_ylim(place - 0.2, -0.9)
        axes.tick_params(axis='y', length=0)
        axes.set_xlabel('ms per clip (bar: median, line: quartiles)')
        axes.set_title(f'batch {panel[0].batch}', fontsize=10)
        axes.spines[['top', 'right']].set_visible(False)
        axes.grid(axis='x', color='#DDDDDD', linewidth=0.7)
        axes.set_axisbelow(True)
    met = {row.implementation for panel in panels for row in panel}
    handles = [figure.axes[0].barh(0, 0, color=colour, label=name) for name, colour in COLOURS.items() if name in met]
    figure.legend(handles=handles, loc='outside lower center', ncols=5, frameon=False, fontsize=9)


def _bar(axes, place, row, slower):
    low, high = row.spread
    axes.barh(place, row.ms_per_clip, height=0.86, color=COLOURS.get(row.implementation, '#6E6E6E'))
    axes.plot([low, high], [place, place], color='black', linewidth=1.2, solid_capstyle='butt')
    times = '' if slower is None else f'  ({short(slower)}x)'
    axes.annotate(f'{short(row.ms_per_clip)}{times}', (max(row.ms_per_clip, high), place), xytext=(4, 0),
                  textcoords='offset points', va='center', fontsize=7.5, color='#1A1A1A')
