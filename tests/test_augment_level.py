import numpy as np
import pytest
import torch

from ser.config.waveform_augment import GainStep, PolarityStep, ShiftStep
from ser.features.augment_level import draw_gain, draw_polarity, draw_shift, gain, polarity, shift
from ser.features.drawn import drawn_values

CLIPS = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 0.0, 0.0, 0.0]])
LENGTHS = torch.tensor([5, 2])


def drawn(step, **host):
    return drawn_values(step, np.arange(2), {name: np.array(value) for name, value in host.items()},
                        np.zeros(2, dtype=np.uint64))


def test_gain_by_hand():
    found = draw_gain(GainStep(db=(-20.0, 20.0)), np.array([[0.0], [0.5], [1.0]]))['factor']
    assert found.tolist() == pytest.approx([0.1, 1.0, 10.0])
    samples, lengths = gain(CLIPS, LENGTHS, drawn(GainStep(), factor=[0.1, 10.0]), 16000)
    assert torch.allclose(samples, CLIPS * torch.tensor([[0.1], [10.0]])) and lengths is LENGTHS


def test_polarity_by_hand():
    assert draw_polarity(PolarityStep(), np.zeros((2, 3))) == {}
    assert torch.equal(polarity(CLIPS, LENGTHS, drawn(PolarityStep()), 16000)[0], -CLIPS)


def test_a_shift_rolls_each_clip_within_itself():
    assert draw_shift(ShiftStep(share=(-0.5, 0.5)), np.array([[0.0], [1.0]]))['share'].tolist() == [-0.5, 0.5]
    samples, lengths = shift(CLIPS, LENGTHS, drawn(ShiftStep(), share=[0.4, -0.5]), 16000)
    assert samples[0].tolist() == [4, 5, 1, 2, 3] and samples[1, :2].tolist() == [7, 6] and lengths is LENGTHS
    back = shift(CLIPS, LENGTHS, drawn(ShiftStep(), share=[-0.4, 1.0]), 16000)[0]
    assert back[0].tolist() == [3, 4, 5, 1, 2] and back[1, :2].tolist() == [6, 7]


def test_a_shift_of_nothing_is_nothing():
    samples, _ = shift(torch.zeros(2, 4), torch.tensor([0, 1]), drawn(ShiftStep(), share=[0.3, 0.9]), 16000)
    assert samples.tolist() == [[0.0] * 4] * 2
