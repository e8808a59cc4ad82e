"""Pictures of explanations of every kind."""

import io

import matplotlib.image
import numpy as np
import pytest

from ser.config.load import load_config
from ser.inference.attribution_pictures import draw_explanation
from ser.inference.attributions import Explanation
from ser.inference.inspection_axes import DPI, WIDTH
from ser.models.front_ends import build_front_end

SMALL = ('data.sample_rate=16000', 'features.sample_rate=16000', 'features.image.size=32',
         'features.mel={n_fft: 512, hop_length: 160, bins: 20}')
EDGES = np.arange(33) / 32


def explanation(views, **facts):
    """One of a clip of a second, of random numbers."""
    random = np.random.default_rng(0)
    arrays = {'clip': random.standard_normal(16000).astype(np.float32), 'sample_rate': np.int64(16000)}
    for view in views:
        shape = {'waveform': (32,), 'cqt': (3, 32, 32)}.get(view, (3, 32, 32) if 'cqt' in views else (20, 32))
        arrays |= {view: random.random(shape), f'{view}_saliency': random.random(shape[-2:]), f'{view}_edges': EDGES,
                   f'{view}_course': np.full(20, 0.05)}
    usual = {'seconds': 1.0, 'heard': {'start': 0.1, 'end': 0.9}, 'probabilities': {'calm': 0.4, 'angry': 0.6},
             'dimensions': None, 'explained': 'angry', 'attention': [], 'gates': {}, 'layer_weights': [],
             'branches': dict.fromkeys(views, -0.5)}
    return Explanation({**usual, **facts}, arrays, tuple(views))


def drawn(found, *assignments):
    config = load_config(('base',), (*SMALL, *assignments))
    made = draw_explanation(found, 'a $title$', config, build_front_end(config))
    return matplotlib.image.imread(io.BytesIO(made), format='png')


def test_a_mixture_of_experts():
    spans = [{'of': of, 'start': start, 'end': start + 0.2, 'weight': 0.25}
             for of in ('ssl', 'mel') for start in (0.1, 0.3, 0.5, 0.7)]
    found = explanation(('mel', 'waveform'), attention=spans, gates={'ssl': 0.7, 'mel': 0.3},
                        layer_weights=[0.2, 0.8])
    # Attention, the waveform's saliency, a view, the charts.
    height = round(DPI * (0.8 + 1.7 + 1.5 + 2.4 + 2.2))
    assert drawn(found, 'model={kind: crnn, features: [mel]}').shape[0] == pytest.approx(height, abs=1)


def test_images_with_a_map_and_without():
    found = explanation(('cqt', 'mel'))
    found.arrays['cqt_gradcam'] = np.zeros((32, 32))
    picture = drawn(found)
    found.arrays['cqt_gradcam'] = np.random.default_rng(1).random((32, 32))
    assert not np.array_equal(drawn(found), picture)


def test_dimensions_and_no_view():
    found = explanation((), probabilities=None, dimensions={'arousal': 3.2, 'valence': -1.0}, explained='valence')
    assert drawn(found, 'model={kind: majority}').shape[1] == DPI * WIDTH
