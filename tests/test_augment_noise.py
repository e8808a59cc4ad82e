import math

import numpy as np
import pytest
import torch
from scipy import stats

from ser.config.waveform_augment import NoiseLevelStep, NoiseStep
from ser.features.augment_noise import (
    draw_noise,
    draw_noise_level,
    hashes,
    mixed_at,
    noise,
    noise_level,
    normals,
)
from ser.features.drawn import drawn_values
from ser.randomness import hashed, key_of, uniform


def keys(ids, *key):
    return torch.from_numpy(hashed(key_of(*key), ids).view(np.int64))


def drawn(step, ids=(3, 9), **host):
    host = {name: np.array(value) for name, value in host.items()}
    return drawn_values(step, np.arange(len(ids)), host, hashed(key_of('noise'), np.array(ids)))


def test_hashes_are_those_of_the_host():
    found = hashes(keys([3, 9], 'a', 1), 50).numpy().view(np.uint64)
    assert np.array_equal((found >> np.uint64(11)) * 2.0**-53, uniform([3, 9], 50, 'a', 1))


def test_normals_by_hand():
    pair = uniform([4], 1, 'b')[0, 0]
    found = hashes(keys([4], 'b'), 1).numpy().view(np.uint64)[0, 0]
    radius, angle = math.sqrt(-2 * math.log(pair)), 2 * math.pi * int(found & np.uint64(2**32 - 1)) / 2**32
    expected = [radius * math.cos(angle), radius * math.sin(angle)]
    assert normals(keys([4], 'b'), 2)[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_normals_are_standard_normal_white_and_unlike_each_other():
    found = normals(keys(range(4), 'c'), 40001).numpy()
    assert found.dtype == np.float32 and found.shape == (4, 40001)
    for row in found:
        assert stats.kstest(row, 'norm').pvalue > 1e-3
        assert np.abs([np.corrcoef(row[:-lag], row[lag:])[0, 1] for lag in (1, 2, 3, 100)]).max() < 0.02
    assert np.abs(np.corrcoef(found) - np.eye(4)).max() < 0.02


def test_a_clips_noise_depends_on_neither_its_batch_nor_how_long_that_is():
    many = normals(keys([1, 2, 3], 'd'), 1000)
    assert torch.equal(normals(keys([2], 'd'), 333)[0], many[1, :333])
    assert not torch.equal(many[0], many[1])


def test_the_ratio_is_of_powers_over_the_clips_own_samples():
    clips = torch.tensor([[3.0, -3.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5]])
    added = torch.tensor([[1.0, 1.0, 99.0, 99.0], [2.0, -2.0, 2.0, -2.0]])
    mixed = mixed_at(clips, torch.tensor([2, 4]), added, torch.tensor([20.0, 0.0]))
    assert mixed[0].tolist() == pytest.approx([3.3, -2.7, 0.0, 0.0])
    assert mixed[1].tolist() == pytest.approx([1.0, 0.0, 1.0, 0.0])


def test_silence_stays_silent_and_silent_noise_changes_nothing():
    clips = torch.stack([torch.zeros(8), torch.ones(8)])
    mixed = mixed_at(clips, torch.tensor([8, 8]), torch.stack([torch.ones(8), torch.zeros(8)]), torch.zeros(2))
    assert torch.equal(mixed, clips)


def test_noise_has_the_drawn_ratio():
    assert draw_noise(NoiseStep(snr_db=(10, 30)), np.array([[0.5]]))['snr_db'].tolist() == [20.0]
    clips, lengths = torch.randn(2, 9000, generator=torch.Generator().manual_seed(0)), torch.tensor([9000, 5000])
    clips[1, 5000:] = 0
    noisy, same = noise(clips, lengths, drawn(NoiseStep(), snr_db=[15.0, 3.0]), 16000)
    ratio = 10 * torch.log10(clips.square().sum(1) / (noisy - clips).square().sum(1))
    assert ratio.tolist() == pytest.approx([15.0, 3.0], abs=0.01) and same is lengths
    assert noisy[1, 5000:].abs().max() == 0


def test_noise_of_a_level_has_the_drawn_deviation_on_silence_too():
    found = draw_noise_level(NoiseLevelStep(deviation=(0.0, 0.02)), np.array([[0.25]]))
    assert found['deviation'].tolist() == pytest.approx([0.005])
    noisy, _ = noise_level(torch.zeros(2, 20000), torch.tensor([20000, 20000]),
                           drawn(NoiseLevelStep(), deviation=[0.01, 0.002]), 16000)
    assert noisy.std(dim=1).tolist() == pytest.approx([0.01, 0.002], rel=0.02)
