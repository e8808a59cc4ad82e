import numpy as np
import pytest
import torch
from oracles import decibels as numpy_decibels
from oracles import unit

from ser.features.level import decibels, frame_counts, frames_at, unit_range, valid_frames


def test_frames_and_their_mask_by_hand():
    frames = frame_counts(torch.tensor([0, 511, 512, 1024]), 512)
    assert frames.tolist() == [1, 1, 2, 3]
    assert valid_frames(frames, 3).int().tolist() == [[[1, 0, 0]], [[1, 0, 0]], [[1, 1, 0]], [[1, 1, 1]]]


def test_decibels_by_hand():
    power = torch.tensor([[[1e4, 1e2, 1e-9, 1e9]]])
    db = decibels(power, valid_frames(torch.tensor([3]), 4), -80.0)
    assert db.flatten().tolist() == pytest.approx([0.0, -20.0, -80.0, -80.0], abs=1e-4)


def test_levels_equal_those_of_the_cut_clip_whatever_lies_beyond():
    power = np.random.default_rng(3).exponential(1.0, (2, 7, 30)) ** 8
    frames = torch.tensor([30, 19])
    power[1, :, 19:] = 1e12
    valid = valid_frames(frames, 30)
    db = decibels(torch.from_numpy(power).float(), valid, -80.0)
    levels = unit_range(db, valid)
    for row, count in enumerate(frames.tolist()):
        expected = numpy_decibels(power[row, :, :count])
        np.testing.assert_allclose(db[row, :, :count], expected, atol=1e-4)
        np.testing.assert_allclose(levels[row, :, :count], unit(expected), atol=1e-5)
    assert (levels[1, :, 19:] == 0).all() and levels.min() == 0 and levels.max() == pytest.approx(1.0, abs=1e-6)


def test_the_floor_is_the_one_asked_for():
    assert decibels(torch.tensor([[[1.0, 0.0]]]), None, -40.0).tolist() == [[[0.0, -40.0]]]


def test_loudness_does_not_matter():
    power = torch.rand(1, 5, 9)
    torch.testing.assert_close(decibels(power * 1e-6, None, -80.0), decibels(power, None, -80.0), atol=1e-4, rtol=0)


def test_silence_is_finite_in_value_and_gradient():
    power = torch.zeros(1, 4, 6, requires_grad=True)
    valid = valid_frames(torch.tensor([5]), 6)
    levels = unit_range(decibels(power, valid, -80.0), valid)
    assert (levels == 0).all()
    levels.sum().backward()
    assert torch.isfinite(power.grad).all()


def test_a_constant_clip_is_zero():
    assert (unit_range(torch.full((1, 2, 3), -7.0), None) == 0).all()


def test_no_mask_means_that_every_frame_counts():
    power = torch.rand(2, 3, 8)
    valid = valid_frames(torch.tensor([8, 8]), 8)
    db = decibels(power, None, -80.0)
    assert torch.equal(db, decibels(power, valid, -80.0))
    assert torch.equal(unit_range(db, None), unit_range(db, valid))


def test_frames_are_picked_for_each_clip():
    values = torch.arange(12.0).view(2, 2, 3)
    assert frames_at(values, torch.tensor([[2, 2], [0, 1]])).tolist() == [[[2, 2], [5, 5]], [[6, 7], [9, 10]]]
    assert frames_at(values, None) is values
