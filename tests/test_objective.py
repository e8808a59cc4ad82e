"""Terms of the objective: what a network reports itself, and one exact mean over micro-batches."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from ser.config.losses import ContrastiveTerm, CrossEntropyLoss, FocalLoss
from ser.config.task import EmotionTask
from ser.features.mixup import Mix
from ser.models.contract import Output
from ser.training.objective import Objective
from ser.training.task import Head, Task

NAMES = ('happy', 'sad', 'calm')
NETWORK = SimpleNamespace(side_losses={'expert': 0.5, 'gate': 0.0}, penalties={'balance': 0.1})


def objective(loss=None, network=NETWORK, counts=(6, 3, 3)):
    task = Task(EmotionTask(), (Head('emotion', NAMES),), NAMES)
    return Objective(task, loss or CrossEntropyLoss(), counts, np.arange(12), network)


def output(rows, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def drawn(columns):
        return torch.randn(rows, columns, generator=generator, requires_grad=True)

    return Output(drawn(3), {}, {}, drawn(4), {'expert': drawn(3), 'gate': drawn(3)}, {'balance': torch.tensor(0.7)})


def cut(whole, part):
    return Output(whole.logits[part], {}, {}, whole.embedding[part],
                  {name: logits[part] for name, logits in whole.side_logits.items()}, whole.penalties)


def targets_of(rows):
    return {'emotion': torch.arange(rows) % 3}


def joined(made, out, targets, weights, mix=None):
    return made.joined(made.totals(out, targets, weights, mix), made.weights(targets, weights, mix))


def test_side_losses_and_penalties_count_as_much_as_the_network_says():
    out, targets, made = output(6), targets_of(6), objective()
    main, expert = (functional.cross_entropy(logits, targets['emotion'])
                    for logits in (out.logits, out.side_logits['expert']))
    found = joined(made, out, targets, torch.ones(6))
    assert torch.allclose(found, main + 0.5 * expert + 0.1 * 0.7)
    found.backward()
    assert out.side_logits['expert'].grad.abs().sum() > 0 == out.side_logits['gate'].grad.abs().sum()
    assert torch.allclose(joined(objective(network=None), out, targets, torch.ones(6)), main)


def test_side_losses_are_weighed_and_smoothed_as_the_main_one():
    loss = FocalLoss(gamma=2.0, label_smoothing=0.05, class_weights='inverse')
    out, targets, made = output(6), targets_of(6), objective(loss)
    same = out._replace(side_logits={'expert': out.logits, 'gate': out.logits})
    totals = made.totals(same, targets, torch.ones(6))
    assert torch.equal(totals[0], totals[1]) and torch.equal(totals[0], totals[2])


@pytest.mark.parametrize('loss', [CrossEntropyLoss(label_smoothing=0.1, class_weights='effective'),
                                  FocalLoss(gamma=1.5, class_weights='inverse')])
@pytest.mark.parametrize('mixed', [False, True])
def test_the_mean_over_micro_batches_is_that_of_the_whole_batch(loss, mixed):
    made, out, targets = objective(loss), output(8), targets_of(8)
    weights = torch.tensor([1.0, 1, 0, 1, 1, 1, 0, 1])
    # Partners within each micro-batch, as they are drawn.
    mix = Mix(torch.tensor([1, 0, 2, 5, 7, 3, 6, 4]), torch.tensor(0.3)) if mixed else None
    parts = [(slice(0, 3), torch.tensor([1, 0, 2])), (slice(3, 8), torch.tensor([2, 4, 0, 3, 1]))]
    pieces = [(cut(out, part), {'emotion': targets['emotion'][part]}, weights[part],
               Mix(partners, torch.tensor(0.3)) if mixed else None) for part, partners in parts]
    whole = sum(made.weights(*piece[1:]) for piece in pieces)
    assert torch.allclose(whole, made.weights(targets, weights, mix))
    found = sum(made.joined(made.totals(*piece), whole) for piece in pieces)
    assert torch.allclose(found, joined(made, out, targets, weights, mix))
    gradients = torch.autograd.grad(found, [out.logits, out.side_logits['expert']])
    expected = torch.autograd.grad(joined(made, out, targets, weights, mix), [out.logits, out.side_logits['expert']])
    for one, other in zip(gradients, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-7)


def test_a_penalty_is_averaged_over_micro_batches_by_their_clips():
    made, targets = objective(), targets_of(8)
    pieces = [(output(2)._replace(penalties={'balance': torch.tensor(1.0)}), torch.ones(2)),
              (output(6)._replace(penalties={'balance': torch.tensor(5.0)}), torch.ones(6))]
    weights = sum(made.weights({'emotion': targets['emotion'][:len(w)]}, w) for _, w in pieces)
    totals = sum(made.totals(out, {'emotion': targets['emotion'][:len(w)]}, w) for out, w in pieces)
    assert (totals[-1] / weights[-1]).item() == pytest.approx((2 * 1.0 + 6 * 5.0) / 8)


@pytest.mark.parametrize('kind', [CrossEntropyLoss, FocalLoss])
def test_the_contrastive_term_adds_its_share_and_is_nothing_where_nobody_has_a_positive(kind):
    out, targets, weights = output(6), targets_of(6), torch.ones(6)
    plain = objective(kind(), None)
    made = objective(kind(contrastive=ContrastiveTerm(weight=0.25, temperature=0.5)), None)
    totals, counted = made.totals(out, targets, weights), made.weights(targets, weights)
    assert counted.tolist() == [6.0, 6.0] and made.shares.tolist() == [1.0, 0.25]
    base = joined(plain, out, targets, weights)
    assert torch.allclose(made.joined(totals, counted), base + 0.25 * totals[1] / 6) and totals[1] > 0
    alone = cut(out, slice(0, 3)), {'emotion': torch.arange(3)}, weights[:3]
    assert torch.allclose(joined(made, *alone), joined(plain, *alone))
    mix = Mix(torch.arange(6).flip(0), torch.tensor(0.4))
    assert torch.allclose(joined(made, out, targets, weights, mix), joined(plain, out, targets, weights, mix))


def test_class_weights_of_every_head_count_what_an_epoch_draws():
    columns = {'emotion': np.array([0, 0, 0, 1, 1, 2]), 'again': np.array([0, 0, 0, 1, -1, -1])}
    config = EmotionTask(auxiliary={'again': {'class_weights': 'inverse'}})
    heads = (Head('emotion', NAMES), Head('again', ('a', 'b'), main=False))
    task = Task(config, heads, NAMES, columns=columns)
    times = np.array([1, 1, 1, 3, 3, 3], dtype=float)
    for given, wanted in ((None, [4 / 6, 4 / 2]), (times, [1.0, 1.0])):
        made = Objective(task, CrossEntropyLoss(), (3, 2, 1), np.arange(6), None, given)
        assert made.terms[1].loss.class_weights.tolist() == pytest.approx(wanted)
    assert Objective(task, CrossEntropyLoss(), (3, 2, 1), np.arange(1, 6), None, times[1:])\
        .terms[1].loss.class_weights.tolist() == pytest.approx([5 / 4, 5 / 6])
