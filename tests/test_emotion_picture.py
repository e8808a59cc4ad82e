"""Pictures of timelines: colours where they belong, names as they are, any length."""

import io

import matplotlib.image
import numpy as np
import pytest

from ser.evaluation.calibration import Calibration
from ser.inference.emotion_picture import COLOURS, HATCHES, QUIET, _columns, draw_timeline
from ser.inference.emotion_segments import Segment
from ser.inference.emotion_timeline import Timeline


def made(seconds, names=('calm', 'angry'), steps=None, silent=()):
    steps = steps or max(1, round(seconds))
    generator = np.random.default_rng(0)
    values = generator.dirichlet(np.ones(len(names)), steps)
    values[list(silent)] = np.nan
    times = np.linspace(0, seconds, steps + 1)
    segments = tuple(Segment(start, end, *(('silence', None) if np.isnan(row[0]) else (names[int(row.argmax())], 0.5)))
                     for start, end, row in zip(times, times[1:], values, strict=False))
    low = -generator.integers(0, 9000, 500).astype(np.int16)
    return Timeline('talk.wav', seconds, 3.0, 1.0, names, Calibration(), False, np.zeros((1, 2)), values[:1], times,
                    values, segments, (low, -low, seconds / 500))


def pixels(data):
    return np.round(matplotlib.image.imread(io.BytesIO(data))[..., :3] * 255).astype(int)


def has(image, colour):
    wanted = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(image - wanted).max(axis=2) <= 2).sum() > 200


def test_every_class_and_silence_has_its_colour():
    image = pixels(draw_timeline(made(10.0, silent=(3, 4))))
    assert image.shape[1] == 1800 and image.shape[0] > 800
    assert all(has(image, colour) for colour in (COLOURS[0], COLOURS[1], QUIET))
    assert not has(image, COLOURS[4])


@pytest.mark.parametrize('seconds', [0.0001, 3600.0])
def test_any_length_is_drawn(seconds):
    assert draw_timeline(made(seconds)).startswith(b'\x89PNG')


def test_names_are_no_formulas_and_more_classes_than_colours_are_told_apart():
    names = tuple(f'$\\frac{{{i}' for i in range(20))
    assert draw_timeline(made(30.0, names)).startswith(b'\x89PNG')
    looks = {(COLOURS[i % len(COLOURS)], HATCHES[i // len(COLOURS) % len(HATCHES)]) for i in range(32)}
    assert len(looks) == 32


def test_columns_of_a_long_recording_are_means_of_the_steps_with_sound():
    timeline = made(2000.0, silent=(1, *range(14, 21)))
    edges, values = _columns(timeline)
    assert len(values) == 286 and edges[0] == 0 and edges[-1] == 2000 and (np.diff(edges)[:-1] == 7).all()
    assert values[0] == pytest.approx(timeline.step_values[[0, 2, 3, 4, 5, 6]].mean(0))
    assert values[2].tolist() == [0, 0]
    assert len(_columns(made(602.0))[1]) == 602
