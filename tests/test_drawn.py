import numpy as np
import pytest
import torch

from ser.config.waveform_augment import GainStep
from ser.features.drawn import at_least_one, between, drawn_values, fitted, inside, runs, whole_between


def test_draws_spread_over_the_bounds():
    assert between((-2.0, 6.0), np.array([0.0, 0.25, 0.5])).tolist() == [-2.0, 0.0, 2.0]


def test_whole_numbers_are_equally_likely_and_include_both_bounds():
    found = whole_between(3, 5, np.linspace(0, 1, 300, endpoint=False))
    assert found.dtype == np.int64 and np.bincount(found).tolist() == [0, 0, 0, 100, 100, 100]
    assert whole_between(7, 7, np.array([0.0, 1 - 2**-53])).tolist() == [7, 7]


def test_runs_are_slices_of_equal_neighbours():
    assert runs(np.array([4, 4, 7, 9, 9])) == [slice(0, 2), slice(2, 3), slice(3, 5)]
    assert runs(np.array([1])) == [slice(0, 1)]


def test_inside_and_fitted_by_hand():
    assert inside(torch.tensor([0, 2]), 3).tolist() == [[False] * 3, [True, True, False]]
    clips = torch.tensor([[1.0, 2.0, 3.0]])
    assert fitted(clips, 2).tolist() == [[1.0, 2.0]] and fitted(clips, 5).tolist() == [[1.0, 2.0, 3.0, 0.0, 0.0]]


def test_a_clip_that_holds_a_sample_keeps_one():
    assert at_least_one(torch.tensor([0, 0, 4]), torch.tensor([0, 1, 8])).tolist() == [0, 1, 4]


def test_numbers_become_tensors_that_move_and_the_hosts_stay():
    host = {'factor': np.array([0.5, 2.0]), 'bits': np.array([3, 4])}
    drawn = drawn_values(GainStep(), np.array([5, 1]), host, np.array([2**64 - 1, 7], dtype=np.uint64))
    assert {name: value.dtype for name, value in drawn.values.items()} == {
        'factor': torch.float32, 'bits': torch.int64, 'key': torch.int64}
    assert drawn.values['key'].tolist() == [-1, 7] and drawn.rows.tolist() == [5, 1]
    moved = drawn.each(lambda x: x + 1)
    assert moved.rows.tolist() == [6, 2] and moved.values['bits'].tolist() == [4, 5]
    assert moved.host is host and moved.values['factor'].tolist() == pytest.approx([1.5, 3.0])
