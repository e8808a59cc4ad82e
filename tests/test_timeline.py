"""Seconds of the clip: where stages begin, where columns lie, weights over equal spans."""

import numpy as np
import pytest

from ser.config.load import load_config
from ser.inference.timeline import as_spans, column_edges, equal_spans, stages_of, views_over_time
from ser.models.front_ends import build_front_end

RATE = 16000
SMALL = ('data.sample_rate=16000', 'features.sample_rate=8000', 'features.mel={n_fft: 512, hop_length: 100, bins: 20}',
         'features.image.size=32', 'features.mfcc.coefficients=8', 'features.cqt.bins=48', 'features.min_samples=400')
TRIM = 'features.waveform.trim={kind: level, below_db: 30, margin_seconds: 0.05, window_seconds: 0.02}'
FIXED = 'features.waveform.length={kind: fixed, seconds: 0.2, evaluate: centre}'


def front_end(*assignments, kind='model={kind: crnn, features: [mel]}'):
    return build_front_end(load_config(('base',), (*SMALL, kind, *assignments)))


def burst(start, stop, seconds=1.0):
    """Silence with a sine from start to stop, in seconds."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.round(16000 * np.sin(2 * np.pi * 440 * time) * ((time >= start) & (time < stop))).astype(np.int16)


def test_stages_begin_where_their_samples_were():
    waveform = front_end(TRIM, FIXED).waveform
    stages = stages_of(waveform, burst(0.3, 0.8))
    assert [stage.name for stage in stages] == ['raw', 'trimmed', 'resampled', 'fixed', 'prepared']
    raw, trimmed, resampled, fixed, prepared = stages
    assert (raw.start_seconds, raw.seconds, raw.sample_rate) == (0, 1, RATE)
    # Found within the margin and a window, and what is there is what was there.
    assert 0.2 < trimmed.start_seconds < 0.3 and 0.8 < trimmed.start_seconds + trimmed.seconds < 0.9
    first = round(trimmed.start_seconds * RATE)
    assert np.array_equal(trimmed.samples, raw.samples[first:first + len(trimmed.samples)])
    assert resampled.sample_rate == fixed.sample_rate == 8000 and resampled.start_seconds == trimmed.start_seconds
    assert resampled.seconds == pytest.approx(trimmed.seconds, abs=1 / 8000)
    # The centre is kept.
    assert fixed.seconds == 0.2 and len(prepared.samples) == 1600
    assert fixed.start_seconds + 0.1 == pytest.approx(trimmed.start_seconds + trimmed.seconds / 2, abs=2 / 8000)
    offset = round((fixed.start_seconds - resampled.start_seconds) * 8000)
    assert np.array_equal(fixed.samples, resampled.samples[offset:offset + 1600])


def test_a_short_clip_keeps_its_start_and_gets_zeros():
    *_, prepared = stages_of(front_end().waveform, burst(0, 0.01, 0.01))
    assert len(prepared.samples) == 400 and prepared.start_seconds == 0 and not prepared.samples[80:].any()


def test_columns_of_sequences_are_centred_on_their_frames():
    edges = column_edges(front_end(), 'mel', 81, 8000)
    assert len(edges) == 82 and edges[:2] == pytest.approx([-50 / 8000, 50 / 8000])
    assert column_edges(front_end(), 'waveform', 3, 3) == pytest.approx([0, 1 / 8000, 2 / 8000, 3 / 8000])


def test_columns_of_images_share_the_time_that_they_show():
    images = 'model={kind: maxmvit, views: {cqt: null, mel: {backbone: {kind: mvitv2}}}}'
    stretched = column_edges(front_end(kind=images), 'mel', 32, 8000)
    # 81 frames fill the width.
    assert stretched[[0, -1]] == pytest.approx([-0.5 * 100 / 8000, 80.5 * 100 / 8000])
    assert np.diff(stretched) == pytest.approx(81 / 32 * 100 / 8000)
    fixed = front_end('features.image.time={kind: fixed, seconds: 0.5}', kind=images)
    # 41 of 81 frames, from the 20th: the centre; of a short clip the width goes on beyond its end.
    assert column_edges(fixed, 'mel', 32, 8000)[[0, -1]] == pytest.approx([19.5 * 100 / 8000, 60.5 * 100 / 8000])
    assert column_edges(fixed, 'mel', 32, 800)[[0, -1]] == pytest.approx([-0.5 * 100 / 8000, 40.5 * 100 / 8000])


def test_which_views_lie_in_time():
    assert views_over_time(front_end(kind='model={kind: crnn, features: [mfcc, mel]}')) == ('mfcc', 'mel')
    assert views_over_time(front_end(kind='model.views.mel=null')) == ('cqt',)
    assert views_over_time(front_end(kind='model={kind: majority}')) == ()


def test_weights_over_equal_spans_are_divided_by_overlap():
    # 2 on [0, 1), 6 on [1, 3): four spans of [0, 4) get 2, 3, 3 and nothing.
    spans = equal_spans(np.array([2.0, 6.0]), np.array([0.0, 1.0, 3.0]), 0, 4, count=4)
    assert spans == pytest.approx(np.array([2, 3, 3, 0]) / 8)
    # What lies before the start does not count.
    assert equal_spans(np.array([2.0, 6.0]), np.array([0.0, 1.0, 3.0]), 1, 3, count=2) == pytest.approx([0.5, 0.5])
    assert equal_spans(np.zeros(2), np.array([0.0, 1.0, 3.0]), 0, 3, count=2).tolist() == [0, 0]


def test_spans_as_dicts():
    assert as_spans(np.array([0.25, 0.75]), np.array([0.0, 0.5, 1.0]), 0.1, of='mel') == [
        {'of': 'mel', 'start': 0.1, 'end': 0.6, 'weight': 0.25},
        {'of': 'mel', 'start': 0.6, 'end': 1.1, 'weight': 0.75}]
