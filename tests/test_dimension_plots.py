"""The pictures of dimensions: readable sizes, ink where it belongs, inputs left alone."""

import numpy as np
import pytest

from ser.evaluation.dimension_plots import MOST_POINTS, plot_scatter
from ser.evaluation.dimensions import DimensionPredictions
from tests.test_plots import LONG, picture


def made(n, names, skill=1.0, noise=0.1):
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 7, (n, len(names)))
    return DimensionPredictions(range(n), [None] * n, truth,
                                4 + skill * (truth - 4) + noise * rng.normal(size=truth.shape), names)


def scores_of(names):
    return {name: {'ccc': 0.5, 'ccc_interval': [0.4, 0.6]} for name in names}


@pytest.mark.parametrize(('names', 'n'), [
    (('arousal',), 1), (('arousal', 'valence', 'dominance'), MOST_POINTS + 1),
    (tuple(f'{LONG} {i}' for i in range(5)), 40)])
def test_scatter_of_any_size(tmp_path, names, n):
    predictions = made(n, names)
    before = predictions.truth.copy()
    plot_scatter(predictions, scores_of(names), tmp_path / 's.png', 'Test: 6 speakers\nmean CCC 0.5')
    height, width, _ = picture(tmp_path / 's.png').shape
    assert min(height, width) > 300 and max(height, width) < 2500
    assert np.array_equal(predictions.truth, before)


@pytest.mark.parametrize(('skill', 'correlated'), [(1.0, True), (0.0, False)])
def test_points_lie_on_the_diagonal_where_predictions_are_right(tmp_path, skill, correlated):
    plot_scatter(made(300, ('a',), skill), scores_of(('a',)), tmp_path / 's.png')
    pixels = picture(tmp_path / 's.png')
    rows, columns = np.nonzero(pixels[:, :, 2] > pixels[:, :, 0] + 0.2)
    assert len(rows) > 1000
    assert (np.corrcoef(-rows, columns)[0, 1] > 0.9) is np.bool_(correlated)


def test_many_clips_are_drawn_as_density(tmp_path):
    for n, dense in ((MOST_POINTS, False), (MOST_POINTS + 1, True)):
        plot_scatter(made(n, ('a',)), scores_of(('a',)), tmp_path / 's.png')
        pixels = picture(tmp_path / 's.png')
        darkest = np.abs(pixels - np.array([8, 48, 107]) / 255).max(axis=2) < 0.02
        assert (darkest.sum() > 100) is np.bool_(dense)
