"""Pooling over time against the same on clips cut to their own frames."""

import pytest
import torch

from ser.models.masked import frame_mask
from ser.models.pooling import AttentionPooling, build_pooling, masked_mean

FRAMES = torch.tensor([7, 1, 4])
MASK = frame_mask(FRAMES, 7)


def sequences():
    return torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(1))


def test_the_masked_mean_is_that_of_the_cut_clip():
    x = sequences()
    for clip, frames, mean in zip(x, FRAMES, masked_mean(x, MASK), strict=True):
        torch.testing.assert_close(mean, clip[:frames].mean(0))


@pytest.mark.parametrize('kind', ['mean', 'attention', 'statistics'])
@pytest.mark.parametrize('hidden', [0, 5])
def test_what_lies_beyond_the_end_changes_nothing(kind, hidden):
    torch.manual_seed(0)
    pooling, x = build_pooling(kind, 6, hidden), sequences()
    pooled, weights = pooling(x, MASK)
    poisoned, _ = pooling(torch.where(MASK[..., None], x, 1e6), MASK)
    assert torch.equal(pooled, poisoned) and pooled.shape == (3, pooling.width)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert not weights[~MASK].any() and weights.dtype == torch.float32
    for i, frames in enumerate(FRAMES):
        alone, _ = pooling(x[i:i + 1, :frames], MASK[i:i + 1, :frames])
        torch.testing.assert_close(alone[0], pooled[i], atol=1e-6, rtol=1e-5)


def test_statistics_are_the_weighted_mean_and_deviation():
    torch.manual_seed(0)
    pooling, x = AttentionPooling(6, statistics=True), sequences()
    pooled, weights = pooling(x, MASK)
    share = weights[..., None].double()
    mean = (share * x).sum(1)
    deviation = ((share * x.double() ** 2).sum(1) - mean ** 2).clamp(min=0).add(1e-5).sqrt()
    torch.testing.assert_close(pooled.double(), torch.cat([mean, deviation], 1), atol=1e-4, rtol=1e-4)


def test_equal_scores_weigh_all_frames_alike():
    pooling = AttentionPooling(6)
    torch.nn.init.zeros_(pooling.score[0].weight)
    x = sequences()
    pooled, weights = pooling(x, MASK)
    torch.testing.assert_close(pooled, masked_mean(x, MASK))
    torch.testing.assert_close(weights[2, :4], torch.full((4,), 0.25))


def test_a_constant_sequence_has_a_finite_gradient():
    pooling = AttentionPooling(6, statistics=True)
    x = torch.ones(1, 3, 6, requires_grad=True)
    pooling(x, torch.ones(1, 3, dtype=torch.bool))[0].sum().backward()
    assert torch.isfinite(x.grad).all()
