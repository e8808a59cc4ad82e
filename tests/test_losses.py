from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from ser.config.training import CrossEntropyLoss, FocalLoss
from ser.errors import SerError
from ser.training.losses import Loss, class_weights

NAMES = ('neutral', 'happy', 'sad')
COUNTS = [10, 30, 20]


def batch(seed=0, n=12):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=generator), torch.randint(0, 3, (n,), generator=generator), torch.ones(n)


def mean(loss, logits, targets, weights, mix=None):
    return loss.total(logits, targets, weights, mix) / loss.weight(targets, weights, mix)


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_cross_entropy_is_torchs(smoothing):
    logits, targets, weights = batch()
    loss = Loss(CrossEntropyLoss(label_smoothing=smoothing), NAMES, COUNTS)
    assert torch.allclose(mean(loss, logits, targets, weights),
                          functional.cross_entropy(logits, targets, label_smoothing=smoothing))


def test_class_weights_are_torchs_convention():
    logits, targets, weights = batch()
    loss = Loss(CrossEntropyLoss(class_weights='inverse'), NAMES, COUNTS)
    expected = functional.cross_entropy(logits, targets, weight=torch.tensor([2.0, 60 / 90, 1.0]))
    assert torch.allclose(mean(loss, logits, targets, weights), expected)


def test_weights_by_name_square_root_and_absent_class():
    assert class_weights({'happy': 2.5}, NAMES, COUNTS).tolist() == [1.0, 2.5, 1.0]
    assert torch.allclose(class_weights('sqrt_inverse', NAMES, COUNTS) ** 2, class_weights('inverse', NAMES, COUNTS))
    assert class_weights('inverse', NAMES, [0, 30, 30])[0] == 1.0


def test_a_weight_of_an_unknown_class_names_the_nearest():
    with pytest.raises(SerError, match="no class 'hapy'.*Did you mean 'happy'"):
        class_weights({'hapy': 2.0}, NAMES, COUNTS)


def test_focal_is_the_definition_and_gamma_zero_is_cross_entropy():
    logits, targets, weights = batch()
    p = logits.softmax(1)[torch.arange(12), targets]
    expected = ((1 - p) ** 2 * -p.log()).mean()
    assert torch.allclose(mean(Loss(FocalLoss(gamma=2.0), NAMES, COUNTS), logits, targets, weights), expected)
    assert torch.allclose(mean(Loss(FocalLoss(gamma=0.0), NAMES, COUNTS), logits, targets, weights),
                          functional.cross_entropy(logits, targets))


def test_focal_gradient_is_finite_for_a_certain_clip():
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    loss = Loss(FocalLoss(gamma=0.5), NAMES, COUNTS)
    loss.total(logits, torch.tensor([0]), torch.ones(1)).backward()
    assert torch.isfinite(logits.grad).all()


def test_mixup_is_the_mixture_of_both_losses():
    logits, targets, weights = batch()
    mix = SimpleNamespace(permutation=torch.arange(11, -1, -1), share=0.3)
    loss = Loss(CrossEntropyLoss(), NAMES, COUNTS)
    expected = (0.3 * functional.cross_entropy(logits, targets)
                + 0.7 * functional.cross_entropy(logits, targets.flip(0)))
    assert torch.allclose(mean(loss, logits, targets, weights, mix), expected)


def test_a_clip_of_weight_zero_does_not_count():
    logits, targets, weights = batch()
    weights[3] = 0
    kept = torch.arange(12) != 3
    assert torch.allclose(mean(Loss(CrossEntropyLoss(), NAMES, COUNTS), logits, targets, weights),
                          functional.cross_entropy(logits[kept], targets[kept]))


def test_sums_over_pieces_equal_the_whole():
    logits, targets, weights = batch()
    loss = Loss(FocalLoss(gamma=1.0, class_weights='inverse', label_smoothing=0.05), NAMES, COUNTS)
    pieces = [slice(0, 5), slice(5, 12)]
    total = sum(loss.total(logits[s], targets[s], weights[s]) for s in pieces)
    weight = sum(loss.weight(targets[s], weights[s]) for s in pieces)
    assert torch.allclose(total / weight, mean(loss, logits, targets, weights))
