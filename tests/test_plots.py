"""The pictures: readable sizes, ink where it belongs, inputs left alone, no global state."""

import csv
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from ser.evaluation.plots import (
    plot_class_distribution,
    plot_confusion,
    plot_curves,
    row_shares,
    shortened,
    write_confusion_csv,
)
from ser.evaluation.run_files import History, Member

LONG = 'an emotion with a very long name that costs $5 and $6'


def picture(path):
    """The PNG as float (H, W, 3), checked to be no blank page and to have a white margin: nothing is cut."""
    pixels = matplotlib.image.imread(path)[:, :, :3]
    assert pixels.std() > 0.02
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edge == 1).all()
    return pixels


def history(epochs, lr=1e-3):
    epoch = np.arange(1.0, epochs + 1)
    return History({'epoch': epoch, 'train_loss': 2 / epoch, 'valid_loss': 2.2 / epoch, 'valid_ua': 1 - 0.8 / epoch,
                    'lr': np.full(epochs, lr), 'best': np.ones(epochs)}, epochs)


@pytest.mark.parametrize('size', [2, 20])
def test_confusion_matrix_of_any_size(tmp_path, size):
    counts = np.random.default_rng(0).integers(0, 2000, (size, size))
    before = counts.copy()
    plot_confusion(counts, [f'{LONG} {i}' for i in range(size)], tmp_path / 'c.png')
    height, width, _ = picture(tmp_path / 'c.png').shape
    assert min(height, width) > 300 and max(height, width) < 3000
    assert np.array_equal(counts, before)


def test_a_right_classifier_has_a_dark_diagonal_and_an_absent_class_no_colour(tmp_path):
    plot_confusion([[9, 0, 0], [0, 4, 0], [0, 0, 0]], ('a', 'b', 'c'), tmp_path / 'c.png')
    pixels = picture(tmp_path / 'c.png')
    dark_blue = (pixels[:, :, 2] > 0.35) & (pixels[:, :, 0] < 0.1) & (pixels[:, :, 1] < 0.25)
    matrix = dark_blue[:, :int(dark_blue.shape[1] * 0.75)]      # the colour bar is further right
    assert matrix.sum() > 10000
    rows, columns = np.nonzero(matrix)
    assert np.corrcoef(rows, columns)[0, 1] > 0.5


def test_row_shares_leave_the_counts_alone():
    counts = np.array([[3, 1], [0, 0]])
    shares = row_shares(counts)
    assert shares[0].tolist() == [0.75, 0.25] and np.isnan(shares[1]).all()
    assert counts.tolist() == [[3, 1], [0, 0]]


def test_confusion_csv(tmp_path):
    write_confusion_csv([[3, 1], [0, 2]], ('a', 'b,c'), tmp_path / 'c.csv')
    with (tmp_path / 'c.csv').open(newline='') as file:
        assert list(csv.reader(file)) == [['label', 'a', 'b,c'], ['a', '3', '1'], ['b,c', '0', '2']]


@pytest.mark.parametrize(('epochs', 'lr'), [(1, 1e-3), (2, 0.0), (60, 1e-3)])
def test_curves_of_any_length(tmp_path, epochs, lr):
    plot_curves(history(epochs, lr), tmp_path / 'k.png')
    assert picture(tmp_path / 'k.png').shape[0] > 800


def test_curves_of_dimensions_show_the_mean_ccc(tmp_path):
    given = history(4)
    given.columns['valid_ccc'] = given.columns.pop('valid_ua')
    plot_curves(given, tmp_path / 'k.png')
    assert picture(tmp_path / 'k.png').shape[0] > 800


def test_curves_with_gaps_leave_the_history_alone(tmp_path):
    given = history(3)
    given.columns['valid_loss'][1] = np.nan
    before = {name: values.copy() for name, values in given.columns.items()}
    plot_curves(given, tmp_path / 'k.png')
    picture(tmp_path / 'k.png')
    assert all(np.array_equal(before[name], given.columns[name], equal_nan=True) for name in before)


@pytest.mark.parametrize('names', [('a', 'b'), tuple(f'{LONG} {i}' for i in range(20))])
def test_class_distribution(tmp_path, names):
    members = [Member(f'{part}{name}{i}', 's', name, part) for part, n in (('train', 30), ('test', 7), ('', 3))
               for name in names[1:] for i in range(n)]
    plot_class_distribution(members, names, tmp_path / 'd.png')
    pixels = picture(tmp_path / 'd.png')
    blue = (np.abs(pixels - [0, 0x72 / 255, 0xB2 / 255]).max(axis=2) < 0.01).sum()
    green = (np.abs(pixels - [0, 0x9E / 255, 0x73 / 255]).max(axis=2) < 0.01).sum()
    assert blue / green == pytest.approx(30 / 7, rel=0.2)


def test_one_clip_and_one_speaker_are_one(monkeypatch):
    drawn = []
    monkeypatch.setattr('ser.evaluation.plots.save', lambda figure, path: drawn.append(figure))
    members = [Member('k', 's', 'a', 'train'), *(Member(f'k{i}', f's{i}', 'a', 'valid') for i in range(2))]
    plot_class_distribution(members, ('a', 'b'), None)
    legend, = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        'train: 1 clip, 1 speaker', 'valid: 2 clips, 2 speakers', 'test: 0 clips']


def test_names_are_shortened_in_the_middle():
    assert shortened('happy') == 'happy' and shortened('two\nlines') == 'two lines'
    assert shortened('abcdefghij', 5) == 'ab…ij' and shortened('abcdefghij', 6) == 'abc…ij'
    assert len(shortened(LONG)) == 26


def test_no_global_state(tmp_path):
    code = ('import sys; from ser.evaluation.plots import plot_confusion; '
            f"plot_confusion([[1, 2], [3, 4]], ('a', 'b'), {str(tmp_path / 'c.png')!r}); "
            "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules")
    subprocess.run([sys.executable, '-c', code], check=True)
    picture(tmp_path / 'c.png')
