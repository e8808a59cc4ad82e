"""Pictures of a run: confusion matrix, learning curves, class distribution.

Drawn with matplotlib's object-oriented interface, so no global state is touched and no display is needed.
"""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ser.evaluation.run_files import CLASS_SCORE, DIMENSION_SCORE
from ser.evaluation.tables import counted
from ser.files import write_rows, write_whole
from ser.shards.index import PARTS

DPI = 150
LONGEST_NAME = 26
# Okabe and Ito 2008: told apart with any common colour vision.
BLUE, ORANGE, GREEN, GREY = '#0072B2', '#E69F00', '#009E73', '#6E6E6E'


def shortened(name, longest=LONGEST_NAME):
    """`name` on one line, its middle replaced by an ellipsis when it has more than `longest` characters."""
    name = ' '.join(str(name).split())
    if len(name) <= longest:
        return name
    head = longest // 2
    return f'{name[:head]}…{name[head + 1 - longest:]}'


def new_figure(width, height):
    """An empty Figure of so many inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save(figure, path):
    """Write a Figure as a PNG, whole or not at all."""
    # 'tight' grows the canvas around labels that reach beyond it, so no text is ever cut.
    image = io.BytesIO()
    figure.savefig(image, format='png', bbox_inches='tight', pad_inches=0.15, facecolor='white')
    write_whole(path, image.getvalue())


def plain(axes):
    """Leave the axes only their left and lower lines and horizontal grid lines."""
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(axis='y', color='#DDDDDD', linewidth=0.7)
    axes.set_axisbelow(True)


def write_confusion_csv(confusion, names, path):
    """Write confusion_matrix.csv: counts, a row per label, a column per predicted class."""
    counts = np.asarray(confusion, dtype=np.int64).tolist()
    write_rows(path, [['label', *names], *([name, *row] for name, row in zip(names, counts, strict=True))])


def row_shares(confusion):
    """Each row of counts (C, C) divided by its sum, float64 (C, C); a row without clips is NaN."""
    counts = np.asarray(confusion, dtype=np.float64)
    clips = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, clips, out=np.full(counts.shape, np.nan), where=clips > 0)


def plot_confusion(confusion, names, path, title='Confusion matrix'):
    """Write the confusion matrix as a PNG: colour and upper figure are % of the label's clips, below it the count.

    confusion: counts (C, C), rows labels, never changed. A class without test clips has an empty, hatched row.
    """
    counts, shares = np.asarray(confusion, dtype=np.int64), row_shares(confusion)
    size, cell = len(names), 0.78 if len(names) <= 8 else 0.62
    figure = new_figure(size * cell + 2.6, size * cell + 1.6)
    axes = figure.subplots()
    axes.set_facecolor('#F4F4F4')
    image = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    for row, column in np.ndindex(size, size):
        if np.isnan(shares[row, column]):
            continue
        colour = 'white' if shares[row, column] > 0.55 else '#1A1A1A'
        weight = 'bold' if row == column else 'normal'
        axes.text(column, row - 0.14, f'{100 * shares[row, column]:.0f} %', ha='center', va='center', color=colour,
                  fontsize=9 if size <= 12 else 8, fontweight=weight)
        axes.text(column, row + 0.24, f'{counts[row, column]}', ha='center', va='center', color=colour, fontsize=7)
    for row in np.flatnonzero(np.isnan(shares).any(axis=1)):
        axes.axhspan(row - 0.5, row + 0.5, facecolor='none', edgecolor='#C8C8C8', hatch='///', linewidth=0)
    labels = [shortened(name) for name in names]
    upright = max(len(label) for label in labels) * 0.075 < cell
    turned = {} if upright else {'rotation': 45, 'ha': 'right', 'rotation_mode': 'anchor'}
    # parse_math off: a '$' in a class name is a dollar sign.
    axes.set_xticks(range(size), labels, parse_math=False, **turned)
    axes.set_yticks(range(size), [f'{label} ({n})' for label, n in zip(labels, counts.sum(axis=1), strict=True)],
                    parse_math=False)
    axes.set_xticks(np.arange(size - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(size - 1) + 0.5, minor=True)
    axes.grid(which='minor', color='white', linewidth=1.2)
    axes.tick_params(which='both', length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel('predicted')
    axes.set_ylabel('label (clips)')
    figure.suptitle(title, fontsize=11, parse_math=False)
    # An inset is exactly as tall as the matrix; anchored at the top, the matrix leaves no gap below the title.
    axes.set_anchor('N')
    bar = figure.colorbar(image, cax=axes.inset_axes([1 + 0.2 / size, 0, 0.3 / size, 1]), ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(['0 %', '25 %', '50 %', '75 %', '100 %'])
    bar.set_label("share of the label's clips")
    bar.outline.set_visible(False)
    save(figure, path)


def plot_curves(history, path, title='Learning curves'):
    """Write learning curves as a PNG: losses, validation UA or mean CCC, the best epoch marked, learning rate.

    history: a run_files.History of at least one epoch; NaN leaves a gap.
    """
    columns, epochs = history.columns, history.columns['epoch']
    style = {'marker': 'o', 'markersize': 5 if len(epochs) < 4 else 3, 'linewidth': 1.6}
    figure = new_figure(7.2, 7.4)
    loss, score, rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.6))
    loss.plot(epochs, columns['train_loss'], color=BLUE, label='training', **style)
    loss.plot(epochs, columns['valid_loss'], color=ORANGE, linestyle='--', label='validation', **style)
    loss.set_ylabel('loss')
    loss.legend(frameon=False)
    of_classes = CLASS_SCORE in columns
    values = 100 * columns[CLASS_SCORE] if of_classes else columns[DIMENSION_SCORE]
    score.plot(epochs, values, color=GREEN, **style)
    score.set_ylabel('validation UA (%)' if of_classes else 'validation mean CCC')
    value = values[np.flatnonzero(epochs == history.best_epoch)[-1]]
    score.plot([history.best_epoch], [value], marker='*', markersize=13, color='black', linestyle='none',
               label=f'kept: epoch {history.best_epoch}, ' + (f'{value:.1f} %' if of_classes else f'{value:z.2f}'))
    score.legend(frameon=False, loc='lower right')
    rate.plot(epochs, columns['lr'], color=GREY, **style)
    rate.set_ylabel('learning rate')
    if np.nanmin(columns['lr'], initial=np.inf) > 0:
        rate.set_yscale('log')
    rate.set_xlabel('epoch')
    rate.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(epochs) == 1:
        rate.set_xlim(epochs[0] - 1, epochs[0] + 1)
    for axes in (loss, score, rate):
        axes.axvline(history.best_epoch, color='black', linewidth=0.8, linestyle=':')
        plain(axes)
    figure.align_ylabels()
    figure.suptitle(title, fontsize=11, parse_math=False)
    save(figure, path)


def plot_class_distribution(members, names, path, title='Clips per class and part'):
    """Write clips per class and part as a PNG of grouped bars, the counts beside them.

    members: run_files.Member rows of split.csv; those in no part are not drawn.
    """
    counts = {part: dict.fromkeys(names, 0) for part in PARTS}
    speakers = {part: set() for part in PARTS}
    for member in members:
        if member.part:
            counts[member.part][member.label] += 1
            speakers[member.part].add(member.speaker)
    thickness, places = 0.27, np.arange(len(names))
    figure = new_figure(7.6, max(2.6, 0.62 * len(names) + 1.2))
    axes = figure.subplots()
    for i, (part, colour) in enumerate(zip(PARTS, (BLUE, ORANGE, GREEN), strict=True)):
        values = [counts[part][name] for name in names]
        known = f', {counted(len(speakers[part]), "speaker")}' if speakers[part] and None not in speakers[part] else ''
        bars = axes.barh(places + (i - 1) * thickness, values, height=thickness * 0.92, color=colour,
                         label=f'{part}: {counted(sum(values), "clip")}{known}')
        axes.bar_label(bars, padding=3, fontsize=8, color='#1A1A1A')
    axes.set_yticks(places, [shortened(name) for name in names], parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.margins(x=0.09)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.set_xlabel('clips')
    axes.tick_params(axis='y', length=0)
    plain(axes)
    axes.grid(visible=False, axis='y')
    axes.grid(axis='x', color='#DDDDDD', linewidth=0.7)
    figure.legend(loc='outside lower center', ncols=3, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11, parse_math=False)
    save(figure, path)
