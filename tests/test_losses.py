import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from ser.config.data import DataConfig
from ser.config.losses import CccLoss as CccConfig
from ser.config.losses import CrossEntropyLoss, FocalLoss
from ser.errors import SerError
from ser.shards.balance import balance_groups
from ser.shards.plan import TrainPlan
from ser.training.job import Job
from ser.training.losses import CccLoss, Loss, class_weights
from tests.made_index import clips, index_of

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


def test_effective_weights_are_the_definition_with_mean_one():
    beta, counts = 59 / 60, np.array(COUNTS)
    exact = (1 - beta) / (1 - beta ** counts)
    np.testing.assert_allclose(class_weights('effective', NAMES, COUNTS), exact / exact.mean(), rtol=1e-6)
    # A class without clips weighs 1 and takes no part in the mean; one clip of all is the whole of its class.
    weights = class_weights('effective', NAMES, [0, 1, 0])
    assert weights.tolist() == [1.0, 1.0, 1.0]
    some = class_weights('effective', NAMES, [0, 30, 10])
    assert some[0] == 1.0 and some[1:].mean().item() == pytest.approx(1.0) and some[1] < some[2]
    assert class_weights('effective', NAMES, [0, 0, 0]).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize('wanted', ['inverse', 'sqrt_inverse', 'effective'])
def test_what_the_plan_samples_is_not_weighed_again(wanted):
    def weights(balance):
        index = index_of(*(clips(emotion, 1, (emotion,), each) for emotion, each in zip(NAMES, COUNTS, strict=True)))
        rows = np.arange(len(index.rows))
        plan = TrainPlan(rows, np.zeros(len(rows), np.int64), 'all', 0, 4, 1,
                         groups=balance_groups(index, rows, DataConfig(balance=balance)))
        job = SimpleNamespace(plan=plan, index=index, task=SimpleNamespace(labels=NAMES))
        return class_weights(wanted, NAMES, Job.class_counts.fget(job))

    np.testing.assert_allclose(weights('none'), class_weights(wanted, NAMES, COUNTS), rtol=1e-6)
    np.testing.assert_allclose(weights('class'), 1.0, rtol=1e-6)


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


# Probabilities of three clips and their classes: a hard one, an easy one, one in between.
TABLE = [((0.2, 0.5, 0.3), 0), ((0.1, 0.1, 0.8), 2), ((0.25, 0.5, 0.25), 1)]


@pytest.mark.parametrize('weights', ['none', {'neutral': 3.0, 'happy': 0.5}])
@pytest.mark.parametrize('smoothing', [0.0, 0.05])
@pytest.mark.parametrize('gamma', [0.0, 1.0, 2.0])
def test_focal_by_hand(gamma, smoothing, weights):
    of_class = (1.0, 1.0, 1.0) if weights == 'none' else (3.0, 0.5, 1.0)
    summed = weighed = 0.0
    for probabilities, true in TABLE:
        smoothed = [smoothing / 3 + (1 - smoothing) * (place == true) for place in range(3)]
        entropy = -sum(share * math.log(p) for share, p in zip(smoothed, probabilities, strict=True))
        # The factor knows neither the smoothing nor the weight.
        summed += of_class[true] * (1 - probabilities[true]) ** gamma * entropy
        weighed += of_class[true]
    loss = Loss(FocalLoss(gamma=gamma, label_smoothing=smoothing, class_weights=weights), NAMES, COUNTS)
    logits = torch.tensor([probabilities for probabilities, _ in TABLE]).log() + 5
    found = mean(loss, logits, torch.tensor([true for _, true in TABLE]), torch.ones(3))
    assert found.item() == pytest.approx(summed / weighed, rel=1e-5)


def test_focal_numbers_that_anyone_can_check():
    found = Loss(FocalLoss(gamma=2.0), NAMES, COUNTS).per_clip(
        torch.tensor([probabilities for probabilities, _ in TABLE]).log(), torch.tensor([0, 2, 1]))
    # 0.8^2 x 1.60944, 0.2^2 x 0.22314, 0.5^2 x 0.69315
    np.testing.assert_allclose(found, [1.03004, 0.00893, 0.17329], atol=1e-5)


def test_focal_of_votes_uses_the_probability_that_the_votes_expect():
    votes, probabilities = (0.75, 0.25, 0.0), (0.5, 0.3, 0.2)
    expected = (1 - (0.75 * 0.5 + 0.25 * 0.3)) ** 2 * -(0.75 * math.log(0.5) + 0.25 * math.log(0.3))
    loss = Loss(FocalLoss(gamma=2.0, class_weights={'neutral': 2.0}), NAMES, COUNTS)
    logits, targets = torch.tensor([probabilities]).log(), torch.tensor([votes])
    assert loss.total(logits, targets, torch.ones(1)).item() == pytest.approx(1.75 * expected, rel=1e-5)
    assert loss.weight(targets, torch.ones(1)).item() == pytest.approx(1.75)


def test_focal_under_mixup_is_the_mixture_of_two_focal_losses():
    config = FocalLoss(gamma=2.0, label_smoothing=0.05, class_weights={'sad': 2.0})
    loss, (logits, targets, weights) = Loss(config, NAMES, COUNTS), batch()
    mix = SimpleNamespace(permutation=torch.arange(11, -1, -1), share=torch.tensor(0.3))
    own, partner = (loss.per_clip(logits, wanted) * (1 + (wanted == 2)) for wanted in (targets, targets.flip(0)))
    assert torch.allclose(loss.total(logits, targets, weights, mix), (0.3 * own + 0.7 * partner).sum())
    # Of a permutation both sides weigh the same in all.
    assert torch.allclose(loss.weight(targets, weights, mix), loss.weight(targets, weights))


def test_focal_gradient_is_that_of_the_definition():
    logits = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64, requires_grad=True)
    p = logits.softmax(1)[0, 1]
    expected, = torch.autograd.grad(-(1 - p) ** 2 * p.log(), logits)
    found, = torch.autograd.grad(Loss(FocalLoss(gamma=2.0), NAMES, COUNTS).total(
        logits, torch.tensor([1]), torch.ones(1)), logits)
    assert torch.allclose(found, expected, atol=1e-6)


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
