import math

import numpy as np
import pytest
import torch

from ser.config.waveform_augment import BandLimitStep
from ser.features.augment_filter import band_limit, draw_band_limit, filtered, low_pass
from ser.features.drawn import drawn_values

RATE = 16000


def drawn(step, draws=((0.0, 0.0, 0.0),)):
    return drawn_values(step, np.arange(len(draws)), draw_band_limit(step, np.array(draws)),
                        np.zeros(len(draws), dtype=np.uint64))


def level_db(step, hz):
    """How much of a tone the step leaves, in dB, away from the clip's ends."""
    tone = torch.sin(2 * math.pi * hz * torch.arange(16000) / RATE)[None]
    found, _ = band_limit(tone, torch.tensor([16000]), drawn(step), RATE)
    return 20 * math.log10(float(found[0, 2000:-2000].square().mean().sqrt() * math.sqrt(2)))


def test_convolution_by_hand_has_no_delay():
    found = filtered(torch.tensor([[0.0, 1.0, 0.0, 0.0, 2.0]]), torch.tensor([[1.0, 2.0, 3.0]]))
    assert found[0].tolist() == pytest.approx([1, 2, 3, 2, 4], abs=1e-6)


def test_filters_have_sum_1_and_the_highest_edge_passes_everything():
    taps = low_pass(torch.tensor([0.1, 0.5, math.inf]), 64)
    assert taps.sum(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-6)
    assert torch.allclose(taps[1:], torch.eye(129)[64].expand(2, -1), atol=1e-6)
    assert torch.allclose(taps, taps.flip(1), atol=1e-7)


def test_the_telephone_band_keeps_speech_and_drops_the_rest():
    step = BandLimitStep()
    for hz in (400, 1000, 2000, 3300):
        assert level_db(step, hz) == pytest.approx(0.0, abs=0.1)
    assert level_db(step, 300) == pytest.approx(-6.0, abs=0.3) and level_db(step, 3400) == pytest.approx(-6.0, abs=0.3)
    for hz in (50, 150, 220, 3500, 5000, 7900):
        assert level_db(step, hz) < -45


def test_one_edge_alone():
    low_cut = BandLimitStep(low_hz=(1000, 1000), high_hz=None)
    high_cut = BandLimitStep(low_hz=None, high_hz=(1000, 1000))
    assert level_db(low_cut, 500) < -45 and level_db(low_cut, 7000) == pytest.approx(0, abs=0.1)
    assert level_db(high_cut, 2000) < -45 and level_db(high_cut, 20) == pytest.approx(0, abs=0.1)
    assert level_db(BandLimitStep(low_hz=None, high_hz=(9000, 9000)), 7900) == pytest.approx(0, abs=0.1)


def test_edges_are_drawn_for_each_clip():
    host = draw_band_limit(BandLimitStep(low_hz=(100, 300), high_hz=(2000, 4000)), np.array([[0, 0, 0], [0.5, 1, 0]]))
    assert host['low_hz'].tolist() == [100, 200] and host['high_hz'].tolist() == [2000, 4000]
    host = draw_band_limit(BandLimitStep(low_hz=None), np.zeros((1, 3)))
    assert host['low_hz'].tolist() == [0] and host['high_hz'].tolist() == [3400]


def test_an_offset_does_not_pass_the_high_pass():
    found, _ = band_limit(torch.ones(1, 8000), torch.tensor([8000]), drawn(BandLimitStep()), RATE)
    assert found[0, 1000:-1000].abs().max() < 1e-5
