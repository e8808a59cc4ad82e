"""An explanation as a page shows it: hand-computed peaks, colours and weights."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ser.serving.pictures import attention, coloured, data_uri, draw_wave, overlay, peaks


def test_peaks_cover_every_sample_once():
    samples = np.arange(1200, dtype=np.float32) / 2000
    found = np.array(peaks(samples))
    assert found.shape == (600, 2)
    np.testing.assert_allclose(found, np.round(samples.reshape(600, 2), 4), atol=1e-9)
    assert peaks(np.array([0.5, -0.25], np.float32)) == [[0.5, 0.5], [-0.25, -0.25]]
    assert '-0.0,' not in str(peaks(np.full(3, -1e-6, np.float32)))


def test_low_frequencies_lie_at_the_bottom():
    values = np.array([[0.0, 0.0], [0.0, 1.0]])
    picture = coloured(values, 0.0, 1.0)
    assert picture.shape == (2, 2, 3) and picture.dtype == np.uint8
    assert picture[0, 1].sum() > 600 and picture[1].sum() < 30
    colours = np.zeros((2, 1, 3))
    colours[1] = (1.0, 0.5, 2.0)
    assert coloured(colours, 0, 1)[0, 0].tolist() == [255, 128, 255]
    over = overlay(np.array([[0.0, 0.0], [0.0, 4.0]]))
    assert over.shape == (2, 2, 4) and over[0, 1, 3] == round(0.85 * 255) and over[1].sum(axis=0)[3] == 0
    assert overlay(np.zeros((2, 2)))[..., 3].sum() == 0


def test_a_waveform_is_drawn_over_the_whole_width():
    picture = draw_wave(np.sin(np.arange(5000) / 7).astype(np.float32), 60, 21)
    assert picture.shape == (21, 60, 3) and (picture[10] == [0, 114, 178]).all()
    assert draw_wave(np.zeros(10, np.float32), 60, 21).shape == (21, 60, 3)


def test_data_uris_are_png():
    kind, _, data = data_uri(np.arange(24, dtype=np.uint8).reshape(2, 4, 3)).partition(',')
    assert kind == 'data:image/png;base64'
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(picture, np.arange(24).reshape(2, 4, 3))


def spans(weights, start, step, of=None):
    return [{'of': of, 'start': start + i * step, 'end': start + (i + 1) * step, 'weight': weight}
            for i, weight in enumerate(weights)]


def test_attention_is_over_equal_stretches():
    assert attention({'attention': []}) is None
    found = attention({'attention': spans([0.2, 0.5, 0.3], 0.5, 0.1)}, 10.0)
    assert found['start'] == 10.5 and found['end'] == pytest.approx(10.8)
    assert found['weights'] == pytest.approx([0.2, 0.5, 0.3])
    cut = [{'of': None, 'start': 0.0, 'end': 1.0, 'weight': 0.5}, {'of': None, 'start': 1.0, 'end': 4.0, 'weight': 0.5}]
    assert attention({'attention': cut})['weights'] == pytest.approx([2 / 3, 1 / 3], abs=1e-6)


def test_experts_count_alike():
    found = attention({'attention': [*spans([1.0, 0.0], 0.0, 1.0, 'a'), *spans([0.0, 0.0, 0.5, 0.5], 0.0, 0.5, 'b')]})
    assert found['weights'] == pytest.approx([0.25, 0.25, 0.25, 0.25]) and found['end'] == 2.0
