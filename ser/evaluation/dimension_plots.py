"""The picture of predicted dimensions: predictions against the truth."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from ser.evaluation.dimension_words import with_interval
from ser.evaluation.plots import BLUE, new_figure, plain, save, shortened

MOST_POINTS = 2000
_COLUMNS = 3
# Without the palest blues, which would be lost on white.
_DENSITY = ListedColormap(colormaps['Blues'](np.linspace(0.3, 1, 256)))


def plot_scatter(predictions, per_dimension, path, title='Predictions'):
    """Write predictions against the truth as a PNG, a panel per dimension: points, or their density above 2000 clips.

    predictions: DimensionPredictions. per_dimension: as in test_metrics.json, for the CCC over each panel. Both axes
    of a panel have one range, so that a right prediction lies on the diagonal.
    """
    size, dense = len(predictions.names), len(predictions) > MOST_POINTS
    across = min(size, _COLUMNS)
    down = -(-size // across)
    # Panels are square to the eye by the size of the figure; a fixed aspect would make the layout overlap.
    figure = new_figure(3.5 * across + (0.9 if dense else 0), 3.6 * down + 0.9)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for panel in panels[size:]:
        panel.remove()
    densities = []
    for i, (panel, name) in enumerate(zip(panels, predictions.names, strict=False)):
        densities += _panel(panel, predictions.truth[:, i], predictions.predicted[:, i], dense)
        scores = per_dimension[name]
        panel.set_title(f"{shortened(name)}: CCC {with_interval(scores['ccc'], scores['ccc_interval'])}", fontsize=10,
                        parse_math=False)
    for panel in panels[:size:across]:
        panel.set_ylabel('predicted')
    if dense:
        _share_colours(figure, densities, panels[:size].tolist())
    line = Line2D([], [], color='black', linewidth=1, linestyle='--')
    figure.legend([line], ['predicted = truth'], loc='outside lower center', frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11, parse_math=False)
    save(figure, path)


def _panel(axes, truth, predicted, dense):
    """Draw one dimension; returns what shows its density, where it is dense."""
    low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
    margin = 0.05 * (high - low) or 1
    low, high = low - margin, high + margin
    densities = []
    if dense:
        densities.append(axes.hexbin(truth, predicted, gridsize=36, extent=(low, high, low, high), mincnt=1,
                                     cmap=_DENSITY, linewidths=0.1))
    else:
        few = len(truth) < 500
        axes.scatter(truth, predicted, s=16 if few else 8, color=BLUE, linewidths=0, alpha=0.55 if few else 0.35)
    halo = [withStroke(linewidth=2.5, foreground='white')] if dense else []
    axes.plot([low, high], [low, high], color='black', linewidth=1, linestyle='--', path_effects=halo)
    axes.set(xlim=(low, high), ylim=(low, high), xlabel='truth')
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    plain(axes)
    axes.grid(color='#DDDDDD', linewidth=0.7)
    return densities


def _share_colours(figure, densities, panels):
    """One logarithmic scale of clips for all panels, and its bar."""
    scale = LogNorm(1, max(2, *(cells.get_array().max() for cells in densities)))
    for cells in densities:
        cells.set_norm(scale)
    bar = figure.colorbar(densities[0], ax=panels, aspect=30, pad=0.01, format='{x:g}')
    bar.set_label('clips')
    bar.outline.set_visible(False)
