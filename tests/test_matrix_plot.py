"""The heat map: what is written in it, whatever its size, and nothing over anything else."""

import itertools
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from ser.evaluation import matrix_plot
from ser.evaluation.matrix_plot import plot_matrix
from ser.inference.matrix_cells import DONE, FAILED, Cell

METRICS = {'ua': 0.5, 'ua_interval': [0.4, 0.6], 'n': 12345, 'speaker_disjoint': True,
           'covers_new_speakers': True}


def plan(columns, rows=None, names='abcd'):
    sets = dict.fromkeys(columns)
    return SimpleNamespace(sets=sets, names=tuple(names), rows=[SimpleNamespace(name=name) for name in rows or columns])


def filled(of, ua=0.5):
    return [Cell(row.name, column, row.name == column, DONE, {**METRICS, 'ua': ua}) for row in of.rows
            for column in of.sets]


def drawn(monkeypatch, tmp_path, of, cells):
    """(the figure drawn, its texts as strings)."""
    kept = []
    monkeypatch.setattr(matrix_plot, 'save', lambda figure, path: kept.append(figure))
    plot_matrix(of, cells, tmp_path / 'matrix.png')
    figure, = kept
    figure.canvas.draw()
    return figure, [text.get_text() for text in figure.axes[0].texts]


def test_a_png_is_written(tmp_path):
    of = plan(['one', 'two'])
    plot_matrix(of, filled(of), tmp_path / 'matrix.png')
    assert (tmp_path / 'matrix.png').read_bytes().startswith(b'\x89PNG')


def test_each_cell_says_its_score_interval_and_clips(monkeypatch, tmp_path):
    of = plan(['one', 'two'])
    cells = filled(of)
    cells[1] = Cell('one', 'two', False, FAILED, reason='x')
    cells[3] = Cell('two', 'two', True)
    cells[2].metrics['speaker_disjoint'] = False
    figure, texts = drawn(monkeypatch, tmp_path, of, cells)
    assert texts == ['50.0 %', '[40.0, 60.0]', 'n 12345', 'failed', '50.0 %', '[40.0, 60.0]', 'n 12345 (!)', 'not yet']
    assert 'chance 25.0 %' in figure.get_suptitle()
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    outlined = [patch for patch in figure.axes[0].patches if patch.get_linewidth() == 2]
    assert len(hatched) == 1 and hatched[0].get_xy() == (0.5, -0.5) and len(outlined) == 2


@pytest.mark.parametrize(('size', 'classes'), [(2, 2), (3, 4), (7, 8), (12, 4)])
def test_no_text_covers_another(monkeypatch, tmp_path, size, classes):
    of = plan([f'corpus-of-name-{number}' for number in range(size)], names='abcdefgh'[:classes])
    figure, _ = drawn(monkeypatch, tmp_path, of, filled(of, ua=1.0))
    axes = figure.axes[0]
    inside = [text.get_window_extent() for text in axes.texts]
    for one, other in itertools.combinations(inside, 2):
        assert not one.overlaps(other)
    cell_width = axes.get_window_extent().width / size
    assert max(box.width for box in inside) < 0.95 * cell_width
    ticks = [label.get_window_extent() for label in figure.axes[0].child_axes[0].get_yticklabels()]
    for one, other in itertools.combinations(ticks, 2):
        assert not one.overlaps(other)


def test_long_names_and_many_rows_fit(monkeypatch, tmp_path):
    rows = ['+'.join(names) for names in itertools.combinations(['ravdess', 'emodb', 'crema-d', 'savee'], 3)]
    of = plan(['ravdess', 'emodb', 'crema-d', 'savee'], rows)
    figure, _ = drawn(monkeypatch, tmp_path, of, filled(of))
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert isinstance(figure, Figure) and all(len(text) <= 22 for text in shown) and len(set(shown)) == 4


def test_an_interval_that_does_not_cover_new_speakers_is_marked(monkeypatch, tmp_path):
    of = plan(['one', 'two'])
    cells = filled(of)
    cells[1].metrics['covers_new_speakers'] = False
    figure, texts = drawn(monkeypatch, tmp_path, of, cells)
    assert texts.count('[40.0, 60.0]*') == 1 and texts.count('[40.0, 60.0]') == 3
    assert figure.get_suptitle().endswith('own held-out speakers; * does not cover new speakers')
