"""Masked layers against torch's own on packed or cut sequences."""

import pytest
import torch

from ser.models.masked import MaskedBatchNorm, MaskedBiGru, frame_mask, turned

FRAMES = torch.tensor([9, 3, 1, 6])


def ragged(*shape, seed=0):
    """Normal numbers (4, *shape, 9), 0 beyond FRAMES."""
    values = torch.randn(4, *shape, 9, generator=torch.Generator().manual_seed(seed))
    return values * frame_mask(FRAMES, 9).view(4, *[1] * len(shape), 9)


def packed(x):
    """(positions, channels) of the valid frames of (4, C, ..., 9)."""
    valid = x.movedim(-1, 1)[frame_mask(FRAMES, 9)]
    return valid.movedim(1, -1).reshape(-1, x.shape[1])


def test_a_mask_is_true_for_the_clips_own_frames():
    assert frame_mask(torch.tensor([2, 0, 3]), 3).tolist() == [[True, True, False], [False] * 3, [True] * 3]


@pytest.mark.parametrize('shape', [(5,), (5, 6)], ids=['rows', 'images'])
def test_batch_norm_is_torchs_over_the_valid_positions_alone(shape):
    x = ragged(*shape).requires_grad_()
    own, other = MaskedBatchNorm(5), torch.nn.BatchNorm1d(5).double()
    with torch.no_grad():
        own.weight.uniform_(0.5, 2.0)
        own.bias.normal_()
        other.weight.copy_(own.weight)
        other.bias.copy_(own.bias)
    y = own(x, frame_mask(FRAMES, 9))
    seeds = torch.randn(y.shape, generator=torch.Generator().manual_seed(3))
    y.backward(seeds)
    twin = x.detach().double().requires_grad_()
    expected = other(packed(twin))
    (expected * packed(seeds.double())).sum().backward()
    torch.testing.assert_close(packed(y).double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(packed(x.grad).double(), packed(twin.grad), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own.weight.grad.double(), other.weight.grad, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(own.bias.grad.double(), other.bias.grad, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(own.running_mean.double(), other.running_mean, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(own.running_var.double(), other.running_var, atol=1e-6, rtol=1e-5)
    outside = ~frame_mask(FRAMES, 9).view(4, *[1] * len(shape), 9)
    assert not (y * outside).any() and not (x.grad * outside).any()
    own.eval(), other.eval()
    evaluated = own(x, frame_mask(FRAMES, 9))
    torch.testing.assert_close(packed(evaluated).double(), other(packed(twin)), atol=1e-5, rtol=1e-5)


def test_what_a_convolution_wrote_beyond_the_end_reaches_no_statistic_and_no_gradient():
    clean, outside = ragged(5, 6), ~frame_mask(FRAMES, 9).view(4, 1, 1, 9)
    found = []
    for beyond in (0.0, 7.0):
        norm, x = MaskedBatchNorm(5), (clean + beyond * outside).requires_grad_()
        y = norm(x, frame_mask(FRAMES, 9))
        y.square().sum().backward()
        found.append((y, x.grad, norm.running_mean, norm.running_var, norm.weight.grad))
    for without, beside in zip(*found, strict=True):
        assert torch.equal(without, beside)


def test_batch_norm_without_scale_has_nothing_to_learn_and_keeps_the_type():
    norm = MaskedBatchNorm(5, affine=False)
    assert not list(norm.parameters()) and set(norm.state_dict()) == {'running_mean', 'running_var'}
    assert norm(ragged(5).bfloat16(), frame_mask(FRAMES, 9)).dtype == torch.bfloat16


def test_batch_norm_of_one_position_and_of_silence_stays_finite():
    norm = MaskedBatchNorm(2)
    x = torch.zeros(1, 2, 4, requires_grad=True)
    norm(x, frame_mask(torch.tensor([1]), 4)).sum().backward()
    assert torch.isfinite(x.grad).all() and torch.isfinite(norm.running_var).all()


def test_turning_reverses_only_the_clips_own_frames_and_undoes_itself():
    x = torch.arange(8.0).view(2, 4, 1)
    frames = torch.tensor([4, 2])
    assert turned(x, frames)[..., 0].tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]
    assert torch.equal(turned(turned(x, frames), frames), x)


def test_the_recurrence_is_that_of_a_packed_sequence():
    torch.manual_seed(0)
    own = MaskedBiGru(6, 4, layers=2)
    other = torch.nn.GRU(6, 4, num_layers=2, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for layer in range(2):
            for kind in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'):
                getattr(other, f'{kind}_l{layer}').copy_(getattr(own.ahead[layer], f'{kind}_l0'))
                getattr(other, f'{kind}_l{layer}_reverse').copy_(getattr(own.back[layer], f'{kind}_l0'))
    x = ragged(6).transpose(1, 2)
    sequence = torch.nn.utils.rnn.pack_padded_sequence(x, FRAMES, batch_first=True, enforce_sorted=False)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(other(sequence)[0], batch_first=True, total_length=9)
    torch.testing.assert_close(own(x, FRAMES), expected, atol=1e-6, rtol=1e-5)
    assert own.width == 8
