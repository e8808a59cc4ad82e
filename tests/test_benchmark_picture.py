"""The picture: bars where the numbers are, in every format, with and without a part for scale."""

import matplotlib.pyplot
import pytest
from matplotlib.figure import Figure

from ser.benchmarks import picture
from ser.benchmarks.names import RIVALS
from ser.benchmarks.picture import COLOURS, check_plot, write_picture
from ser.benchmarks.timing import Row
from ser.errors import SerError
from tests.test_benchmark_table import row


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, 'savefig', lambda self, *a, **k: figures.append(self) or save(self, *a, **k))
    return figures


def test_a_bar_for_each_row_on_a_logarithmic_axis(tmp_path, drawn):
    rows = [row(), row(implementation='librosa', ms=24.0), row('mel', ms=5.0),
            Row('front_end', 'ser', 16, 3.5, error='out of memory')]
    write_picture(tmp_path / 'f.png', rows, 'a $title')
    assert (tmp_path / 'f.png').read_bytes().startswith(b'\x89PNG')
    axes, = drawn[0].axes if drawn[0].axes else drawn[0].subfigs[0].axes
    widths = sorted(bar.get_width() for bar in axes.patches if bar.get_width())
    assert widths == [2.0, 5.0, 24.0] and axes.get_xscale() == 'log'
    assert [label.get_text() for label in axes.get_yticklabels()] == ['cqt', 'mel']
    low, high = axes.get_xlim()
    assert low < 2.0 and high > 24.0
    texts = [text.get_text() for text in axes.texts]
    assert texts == ['2.00', '24.0  (12.0x)', '5.00'] and drawn[0].get_suptitle() == 'a $title'
    assert not matplotlib.pyplot.get_fignums()


def test_a_panel_for_each_batch(tmp_path, drawn):
    write_picture(tmp_path / 'f.svg', [row(), row(batch=64)], 'title')
    axes = drawn[0].subfigs[0].axes
    assert [one.get_title() for one in axes] == ['batch 16', 'batch 64']


def test_scale_is_drawn_below_or_alone(tmp_path, drawn):
    given = []
    for rows in ([row()], []):
        write_picture(tmp_path / 'f.pdf', rows, 'title', lambda figure: given.append(figure.subplots()))
    assert len(given) == 2 and (tmp_path / 'f.pdf').read_bytes().startswith(b'%PDF')
    assert len(drawn[0].subfigs) == 2 and len(drawn[1].subfigs) == 1


def test_nothing_to_draw_is_a_picture_all_the_same(tmp_path):
    write_picture(tmp_path / 'f.png', [Row('cqt', 'ser', 16, 3.5, error='x')], 'title')
    assert (tmp_path / 'f.png').stat().st_size > 500


def test_every_implementation_has_a_colour_of_its_own():
    assert set(COLOURS) == {'ser', *RIVALS} and len(set(COLOURS.values())) == len(COLOURS)


def test_other_formats_are_refused():
    check_plot('F.PNG')
    with pytest.raises(SerError, match=r'^--plot f.bmp: a name that ends in .png, .pdf, .svg is wanted$'):
        check_plot('f.bmp')
    assert picture.SUFFIXES == ('.png', '.pdf', '.svg')
