"""What the pictures share: ticks where the frequencies are, scales, figures."""

import io

import matplotlib.image
import numpy as np
import pytest

from ser.config.load import load_config
from ser.inference.inspection_axes import (
    DPI,
    WIDTH,
    band_count,
    band_ticks,
    draw_values,
    draw_waveform,
    label_bands,
    level_words,
    new_figure,
    note_of,
    png,
    reach,
    slaney_mel,
    spread,
    titled,
)


def test_ticks_are_where_the_frequencies_are():
    librosa = pytest.importorskip('librosa')
    features = load_config(('base',)).features
    places, labels, _ = band_ticks('cqt', features)
    assert places.tolist() == [0, 12, 24, 36, 48, 60, 72]
    assert labels[0] == 'C1  33' and labels[3] == 'C4  262'
    places, labels, _ = band_ticks('mel', features)
    centres = librosa.mel_frequencies(130, fmin=0, fmax=22050)[1:-1]
    for place, label in zip(places, labels, strict=True):
        if int(label):
            assert np.interp(place, np.arange(128), centres) == pytest.approx(int(label), rel=0.01)
    assert {'500', '1000', '4000', '16000'} <= set(labels)
    assert slaney_mel(np.array([0, 440, 1000, 9000])) == pytest.approx(
        librosa.hz_to_mel(np.array([0, 440, 1000, 9000])))
    assert note_of(440) == 'A4' and note_of(261.6) == 'C4' and note_of(32.7032) == 'C1'
    assert band_ticks('chroma', features)[1][:2] == ['C', 'C♯']
    assert band_ticks('mfcc', features)[1][-1] == '35'
    low = band_ticks('mel', features, most=5)[1]
    assert len(low) < len(labels) and '16000' in low


def test_bands_of_an_image_are_named_where_they_lie():
    features = load_config(('base',), ('features.mel.bins=64',)).features
    axes = new_figure(2, 'x').subplots()
    draw_values(axes, np.zeros((32, 10)), np.arange(11.0))
    label_bands(axes, 'mel', features, 32)
    places, labels, _ = band_ticks('mel', features)
    # Two bands to a row: the edge between the 8th and the 9th is that between the 4th and the 5th row.
    assert axes.get_yticks() == pytest.approx((places + 0.5) / 2 - 0.5)
    assert [text.get_text() for text in axes.get_yticklabels()] == labels and axes.get_ylabel() == 'Hz'
    assert [band_count(name, features) for name in ('cqt', 'mel', 'mfcc', 'chroma')] == [84, 64, 40, 12]


def test_scales_leave_out_the_few_that_would_hide_the_rest():
    values = np.r_[np.linspace(-1, 2, 2001), 1000.0]
    low, high = reach(values)
    assert -1 < low < -0.9 and 1.9 < high < 2.1
    assert spread(values)[1] == -spread(values)[0] and 1.9 < spread(values)[1] < 2.1
    assert reach(np.full(5, 3.0)) == (2, 4) and spread(np.zeros(3)) == (-1, 1)


def test_levels_in_words():
    assert level_words({'peak_db': -0.0003, 'rms_db': -20.12}) == 'peak 0.0 dB, RMS -20.1 dB'
    assert level_words({'peak_db': -1.0, 'rms_db': -20.12}, ('rms_db',)) == 'RMS -20.1 dB'
    assert level_words({'peak_db': None, 'rms_db': None}) == 'silence'


def test_a_figure_is_as_wide_as_the_others_and_takes_any_title():
    figure = new_figure(2, 'a $title$ with _marks_')
    axes = figure.subplots()
    draw_waveform(axes, np.zeros(100, np.float32), 1000, start_seconds=0.5)
    titled(axes, 'costs $5 and $6')
    assert axes.lines[0].get_xdata()[[0, -1]] == pytest.approx([0.5, 0.599])
    assert matplotlib.image.imread(io.BytesIO(png(figure)), format='png').shape == (2 * DPI, WIDTH * DPI, 4)
