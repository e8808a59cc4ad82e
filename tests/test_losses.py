from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from ser.config.training import CccLoss as CccConfig
from ser.config.training import CrossEntropyLoss, FocalLoss
from ser.errors import SerError
from ser.training.losses import CccLoss, Loss, class_weights

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


def test_a_clip_of_an_unknown_class_counts_nothing():
    logits, targets, weights = batch()
    loss = Loss(CrossEntropyLoss(class_weights='inverse', label_smoothing=0.1), NAMES, COUNTS)
    some = torch.where(torch.arange(12) % 3 == 0, -1, targets)
    known = some >= 0
    assert torch.allclose(loss.total(logits, some, weights), loss.total(logits[known], targets[known], weights[known]))
    assert loss.weight(some, weights) == loss.weight(targets[known], weights[known])
    assert loss.total(logits, torch.full((12,), -1), weights) == 0


@pytest.mark.parametrize('config', [CrossEntropyLoss(label_smoothing=0.1, class_weights='inverse'),
                                    FocalLoss(gamma=2.0, class_weights='inverse')])
def test_certain_votes_are_the_label(config):
    logits, targets, weights = batch()
    mix = SimpleNamespace(permutation=torch.arange(12).flip(0), share=torch.tensor(0.3))
    loss, votes = Loss(config, NAMES, COUNTS), functional.one_hot(targets, 3).float()
    assert torch.allclose(loss.total(logits, votes, weights, mix), loss.total(logits, targets, weights, mix))
    assert torch.allclose(loss.weight(votes, weights, mix), loss.weight(targets, weights, mix))


def test_votes_give_the_expected_loss_over_them():
    logits, _, weights = batch(n=2)
    votes = torch.tensor([[.5, .5, 0], [0, .25, .75]])
    log = logits.log_softmax(1)
    expected = (-(.5 * log[0, 0] + .5 * log[0, 1]) - (.25 * log[1, 1] + .75 * log[1, 2])) / 2
    assert torch.allclose(mean(Loss(CrossEntropyLoss(), NAMES, COUNTS), logits, votes, weights), expected)


def ccc(truth, predicted):
    """Lin's definition, one dimension."""
    covariance = ((truth - truth.mean()) * (predicted - predicted.mean())).mean()
    spread = truth.var(correction=0) + predicted.var(correction=0)
    return 2 * covariance / (spread + (truth.mean() - predicted.mean()) ** 2)


def test_ccc_is_the_definition_and_padding_counts_nothing():
    generator = torch.Generator().manual_seed(0)
    truth, predicted = torch.randn(9, 2, generator=generator), torch.randn(9, 2, generator=generator)
    weights = torch.tensor([1.0] * 8 + [0.0])
    loss = CccLoss(CccConfig())
    expected = 1 - torch.stack([ccc(truth[:8, i], predicted[:8, i]) for i in (0, 1)]).mean()
    assert torch.allclose(loss.total(predicted, truth, weights) / loss.weight(truth, weights), expected, atol=1e-6)
    # One scale for both sides changes nothing.
    assert torch.allclose(loss.total(3 * predicted + 5, 3 * truth + 5, weights), loss.total(predicted, truth, weights),
                          atol=1e-4)
    assert loss.total(truth, truth, weights).abs() < 1e-6
    both = CccLoss(CccConfig(mse_weight=0.5))
    squared = ((predicted - truth)[:8] ** 2).mean()
    assert torch.allclose(both.total(predicted, truth, weights) / 8, expected + 0.5 * squared, atol=1e-6)


def test_ccc_stays_finite_where_nothing_varies_and_mixes_targets_as_images():
    loss, weights = CccLoss(CccConfig()), torch.ones(4)
    constant = torch.zeros(4, 1, requires_grad=True)
    loss.total(constant, torch.zeros(4, 1), weights).backward()
    assert constant.grad.isfinite().all()
    truth = torch.tensor([[0.0], [1.0], [2.0], [4.0]])
    mix = SimpleNamespace(permutation=torch.tensor([3, 2, 1, 0]), share=torch.tensor(0.75))
    assert loss.total(0.75 * truth + 0.25 * truth.flip(0), truth, weights, mix).abs() < 1e-6
