import math

import pytest
import torch
from torch import nn

from ser.config.load import load_config
from ser.errors import SerError
from ser.features.mixup import Mix
from ser.models.contract import Output, SpeechModel
from ser.training.contrastive import ContrastiveTerm, check_contrastive

CPU = torch.device('cpu')


def by_hand(embedding, classes, weights, temperature):
    """(sum, weight) of L_out by loops, in Python's float64."""
    z = [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in embedding.double().tolist()]
    rows = [i for i in range(len(z)) if weights[i] > 0 and classes[i] >= 0]
    total = weighed = 0.0
    for i in rows:
        others = [a for a in rows if a != i]
        positives = [p for p in others if classes[p] == classes[i]]
        if not positives:
            continue
        like = {a: math.exp(sum(x * y for x, y in zip(z[i], z[a], strict=True)) / temperature) for a in others}
        term = -sum(math.log(like[p] / sum(like.values())) for p in positives) / len(positives)
        total, weighed = total + weights[i] * term, weighed + weights[i]
    return total, weighed


def output(embedding):
    return Output(embedding[:, :2], {}, {}, embedding)


@pytest.mark.parametrize(('classes', 'weights'), [
    ([0, 0, 1, 1, 2, 0, 1], [1.0] * 7),
    ([0, 0, 1, 1, 2, 0, 1], [1.0, 0.0, 1.0, 0.5, 1.0, 1.0, 0.0]),
    ([0, -1, 1, -1, 2, 0, 3], [1.0] * 7)])
def test_the_definition_by_loops(classes, weights):
    torch.manual_seed(0)
    embedding, targets = torch.randn(7, 5), {'emotion': torch.tensor(classes)}
    term = ContrastiveTerm(0.2, 'emotion')
    total, weighed = by_hand(embedding, classes, weights, 0.2)
    assert weighed > 0
    assert term.total(output(embedding), targets, torch.tensor(weights)).item() == pytest.approx(total, rel=1e-5)
    assert term.weight(targets, torch.tensor(weights)).item() == pytest.approx(weighed)
    # Only the direction of a vector matters.
    longer = embedding * torch.rand(7, 1).add(0.5)
    assert term.total(output(longer), targets, torch.tensor(weights)).item() == pytest.approx(total, rel=1e-5)


def test_clips_of_one_class_are_pulled_together_and_others_apart():
    torch.manual_seed(0)
    embedding = torch.randn(8, 3, requires_grad=True)
    targets, weights, term = {'emotion': torch.arange(8) % 2}, torch.ones(8), ContrastiveTerm(0.1, 'emotion')
    for _ in range(40):
        gradient, = torch.autograd.grad(term.total(output(embedding), targets, weights), embedding)
        embedding = (embedding - 0.3 * gradient).detach().requires_grad_()
    z = nn.functional.normalize(embedding, dim=1)
    alike = (targets['emotion'][:, None] == targets['emotion']) & ~torch.eye(8, dtype=torch.bool)
    near = z @ z.T
    assert near[alike].min() > 0.9 > 0 > near[~alike & ~torch.eye(8, dtype=torch.bool)].max()


@pytest.mark.parametrize(('classes', 'weights'), [([0, 1, 2], [1.0] * 3), ([0, 0, 0], [1.0, 0.0, 0.0]),
                                                  ([-1, -1, 0], [1.0] * 3)])
def test_where_nobody_has_a_positive_it_is_nothing_and_its_gradient_finite(classes, weights):
    embedding = torch.randn(3, 4, requires_grad=True)
    term, targets = ContrastiveTerm(0.1, 'emotion'), {'emotion': torch.tensor(classes)}
    total = term.total(output(embedding), targets, torch.tensor(weights))
    total.backward()
    assert total == 0 == term.weight(targets, torch.tensor(weights)) and (embedding.grad == 0).all()


def test_a_mixed_batch_counts_nothing():
    term, targets = ContrastiveTerm(0.1, 'emotion'), {'emotion': torch.zeros(4, dtype=torch.int64)}
    weights = torch.ones(4)
    mix = Mix(torch.arange(4).flip(0), 0.3)
    assert term.weight(targets, weights) == 4 and term.total(output(torch.randn(4, 3)), targets, weights) > 0
    assert term.weight(targets, weights, mix) == 0 == term.total(output(torch.randn(4, 3)), targets, weights, mix)


class Silent(nn.Module):
    def forward(self, waveforms, lengths, draw=None):
        return {'x': waveforms.float()[:, :2]}


class Network(nn.Module):
    def __init__(self, embeds):
        super().__init__()
        self.embeds, self.norm = embeds, nn.BatchNorm1d(2)

    def forward(self, views, mix=None):
        x = self.norm(views['x'])
        return Output(x, {}, {}, x if self.embeds else None)


def config(*assignments):
    return load_config(('base',), ['training.loss.contrastive={}', *assignments])


def test_a_system_without_an_embedding_is_refused_before_training():
    model = SpeechModel(Silent(), Network(False))
    with pytest.raises(SerError, match=r"training.loss.contrastive: model.kind 'maxmvit' gives no embedding.*null"):
        check_contrastive(config(), model, CPU)
    check_contrastive(load_config(('base',)), model, CPU)
    check_contrastive(load_config(('base',), ['task.kind=dimensions']), model, CPU)
    model = SpeechModel(Silent(), Network(True))
    check_contrastive(config(), model, CPU)
    assert model.network.training and model.network.norm.num_batches_tracked == 0


def test_a_term_that_could_never_count_is_refused():
    model = SpeechModel(Silent(), Network(True))
    with pytest.raises(SerError, match='augment.mixup mixes every batch. Set augment.mixup.probability below 1'):
        check_contrastive(config('augment.mixup.alpha=0.3'), model, CPU)
    check_contrastive(config('augment.mixup={alpha: 0.3, probability: 0.5}'), model, CPU)
