"""A matrix of corpora as a picture: a heat map of UA, in each cell its interval and the clips behind it.

Drawn with matplotlib's object-oriented interface, so no global state is touched and no display is needed.
"""

import numpy as np
from matplotlib.patches import Rectangle

from ser.evaluation.plots import new_figure, save, shortened
from ser.evaluation.tables import CLIPS_ONLY, percent

CELL_INCHES = (1.08, 0.82)
_LONGEST = 22


def plot_matrix(plan, cells, path):
    """Write matrix.png: a row per training, a column per tested set; plan and cells as in matrix_table.matrix_card.

    White is chance or below. Cells in the domain of the training are outlined, failed ones hatched, those that are
    not made yet empty.
    """
    rows, columns = [row.name for row in plan.rows], list(plan.sets)
    by_place = {(cell.train, cell.test): cell for cell in cells}
    placed = {(i, j): by_place[row, column] for i, row in enumerate(rows) for j, column in enumerate(columns)}
    shares = np.full((len(rows), len(columns)), np.nan)
    for place, cell in placed.items():
        if cell.metrics:
            shares[place] = cell.metrics['ua']
    chance = 1 / len(plan.names)
    labels = [shortened(name, _LONGEST) for name in rows], [shortened(name, _LONGEST) for name in columns]
    width = max(len(columns) * CELL_INCHES[0] + 0.085 * max(map(len, labels[0])) + 1.6, 5.2)
    figure = new_figure(width, len(rows) * CELL_INCHES[1] + 1.7)
    axes = figure.subplots()
    axes.set_facecolor('#F4F4F4')
    image = axes.imshow(shares, cmap='Blues', vmin=chance, vmax=1, aspect=CELL_INCHES[1] / CELL_INCHES[0])
    for (i, j), cell in placed.items():
        _draw_cell(axes, i, j, cell, chance)
    _label(axes, *labels)
    _bar(figure, axes, image, chance, len(columns))
    figure.suptitle(f'UA across corpora: {len(plan.names)} classes, chance {percent(chance)}\n'
                    f'outlined: own held-out speakers{_legend(cells)}', fontsize=10, parse_math=False)
    save(figure, path)


def _draw_cell(axes, i, j, cell, chance):
    if cell.metrics:
        low, high = cell.metrics['ua_interval']
        colour = 'white' if (cell.metrics['ua'] - chance) / (1 - chance) > 0.55 else '#1A1A1A'
        mark = '' if cell.metrics['covers_new_speakers'] else CLIPS_ONLY
        interval = f'[{100 * low:.1f}, {100 * high:.1f}]{mark}'
        lines = ((-0.2, percent(cell.metrics['ua']), 9.5, 'bold'), (0.1, interval, 7.5, 'normal'),
                 (0.34, _clips(cell.metrics), 6.5, 'normal'))
        for shift, text, size, weight in lines:
            axes.text(j, i + shift, text, ha='center', va='center', color=colour, fontsize=size, fontweight=weight)
    else:
        failed = cell.status == 'failed'
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor='none', edgecolor='#C8C8C8', linewidth=0,
                                 hatch='////' if failed else None))
        axes.text(j, i, 'failed' if failed else 'not yet', ha='center', va='center', color='#5A5A5A', fontsize=8,
                  bbox={'facecolor': '#F4F4F4', 'edgecolor': 'none', 'pad': 2})
    if cell.in_domain:
        axes.add_patch(Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor='#D55E00', linewidth=2))


def _legend(cells):
    alone = any(cell.metrics and not cell.metrics['covers_new_speakers'] for cell in cells)
    return f'; {CLIPS_ONLY} does not cover new speakers' if alone else ''


def _clips(metrics):
    # The mark that matrix.md explains.
    return f"n {metrics['n']}" if metrics['speaker_disjoint'] else f"n {metrics['n']} (!)"


def _bar(figure, axes, image, chance, columns):
    ticks = [chance, *(share for share in (0.25, 0.5, 0.75, 1) if share > chance + 0.06)]
    # An inset is exactly as tall as the matrix.
    bar = figure.colorbar(image, cax=axes.inset_axes([1 + 0.15 / columns, 0, 0.16 / columns, 1]), ticks=ticks)
    bar.ax.set_yticklabels([f'{percent(chance)} (chance)', *(f'{100 * share:.0f} %' for share in ticks[1:])],
                           fontsize=8)
    bar.ax.set_title('UA', fontsize=9)
    bar.outline.set_visible(False)


def _label(axes, rows, columns):
    upright = max(map(len, columns)) * 0.09 < CELL_INCHES[0]
    turned = {} if upright else {'rotation': 35, 'ha': 'left', 'rotation_mode': 'anchor'}
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position('top')
    # parse_math off: a '$' in a name is a dollar sign.
    axes.set_xticks(range(len(columns)), columns, parse_math=False, **turned)
    axes.set_yticks(range(len(rows)), rows, parse_math=False)
    axes.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    axes.grid(which='minor', color='white', linewidth=1.5)
    axes.tick_params(which='both', length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel('tested on', labelpad=8)
    axes.set_ylabel('trained on')
