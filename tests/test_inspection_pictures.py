"""The picture of a clip's features."""

import io

import matplotlib.image
import numpy as np

from ser.config.load import load_config
from ser.inference.inspection import Inspector
from ser.inference.inspection_axes import new_figure
from ser.inference.inspection_pictures import draw_levels
from tests.shard_factory import tone

SMALL = ('data.sample_rate=16000', 'features.sample_rate=16000', 'features.image.size=32', 'features.mel.n_fft=1024',
         'features.cqt.bins=72')


def picture(inspect, samples):
    drawn = inspect.draw(inspect.arrays(samples), 'a $title$ with _marks_')
    return matplotlib.image.imread(io.BytesIO(drawn), format='png')


def test_the_picture_shows_the_clip_and_grows_with_the_features():
    sounding = picture(Inspector(load_config(('base',), SMALL)), tone(3))
    crnn = 'model={kind: crnn, features: [mel, chroma]}'
    more = Inspector(load_config(('base',), (*SMALL, crnn, 'features.chroma.scale=power',
                                             'features.sequence={reference: mean, normalise: []}')))
    silent = picture(more, np.zeros(9000, np.int16))
    assert silent.shape[0] > sounding.shape[0] and silent.shape[1] == sounding.shape[1]


def scale(name, values):
    """(limits of the colours, label of their bar) of a feature's values."""
    figure = new_figure(2, '')
    draw_levels(figure, figure.subplots(), values, name, load_config(('base',)).features)
    axes, bar = figure.axes
    return axes.images[0].get_clim(), bar.get_ylabel()


def test_colours_say_what_the_numbers_are():
    assert scale('mel', np.linspace(-60, 0, 128 * 3).reshape(128, 3)) == ((-80, 0), 'dB, 0 is the loudest')
    assert scale('mel', np.linspace(-60, 20, 128 * 3).reshape(128, 3)) == ((-60, 20), 'dB, 0 is the mean power')
    assert scale('chroma', np.linspace(0, 5, 36).reshape(12, 3)) == ((0, 5), 'power')
    limits, label = scale('mfcc', np.r_[np.full((1, 4), -900.0), np.linspace(-9, 9, 156).reshape(39, 4)])
    assert -9.1 < limits[0] == -limits[1] < -7 and label == 'coefficient'
