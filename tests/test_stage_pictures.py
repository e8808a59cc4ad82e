"""Pictures of stages, spectra, draws and layers."""

import io

import matplotlib.image
import numpy as np
import pytest

from ser.config.load import load_config
from ser.inference.inspection import Inspector
from ser.inference.inspection_axes import DPI, WIDTH
from ser.inference.layers import Layers
from ser.inference.stage_pictures import draw_augmented, draw_layers, draw_spectra, draw_stages
from ser.inference.stages import show_stages
from tests.shard_factory import tone

SMALL = ('data.sample_rate=16000', 'features.sample_rate=16000', 'features.image.size=32', 'features.min_samples=1600',
         'features.mel={n_fft: 512, hop_length: 160, bins: 20}', 'features.cqt.bins=48')


def size(drawn):
    """(height, width) in inches of a PNG."""
    return np.array(matplotlib.image.imread(io.BytesIO(drawn), format='png').shape[:2]) / DPI


def shown_by(system, samples):
    config = load_config(('base',), (*SMALL, system, 'features.waveform.trim={kind: level}'))
    made = Inspector(config)
    return show_stages(made, samples, previews=1), config, made.front_end


def test_pictures_grow_with_what_they_show():
    shown, config, front_end = shown_by('model.views.cqt=null', tone(3))
    assert size(draw_stages(shown, 'a $b$')) == pytest.approx([0.9 + 1.55 * 3, WIDTH], abs=0.01)
    assert size(draw_spectra(shown, 'x', config, front_end)) == pytest.approx([0.9 + 2.75, WIDTH], abs=0.01)


def test_silence_and_a_model_that_sees_nothing():
    shown, config, front_end = shown_by('model={kind: majority}', np.zeros(3000, np.int16))
    assert size(draw_augmented(shown, 'x', config, front_end)) == pytest.approx([1.0 + 1.75 * 2, WIDTH], abs=0.01)


def test_layers_are_rows():
    layers = Layers(np.ones((25, 5)), np.random.default_rng(0).random((25, 5)), np.arange(6) / 10)
    assert size(draw_layers(layers, 'x')) == pytest.approx([1.6 + 0.28 * 25, WIDTH], abs=0.01)
