"""Supervised contrastive term: clips of one emotion lie together, others apart, within each micro-batch."""

import torch
from torch import nn
from torch.nn import functional

from ser.errors import SerError


class ContrastiveTerm(nn.Module):
    """L_out of Khosla et al. (2020), "Supervised contrastive learning", on Output.embedding brought to length 1.

    Of clip i with z_i: -mean over its positives p of log(exp(z_i z_p / t) / sum over all others a of exp(z_i z_a / t)),
    t the temperature. Each row is seen once, so its positives are the others of its class in the micro-batch, a
    further copy of its clip like any other; one without any counts nothing, nor do rows of weight 0 and of unknown
    class, on either side. A mixed batch has no classes of its own: it counts nothing.
    """

    def __init__(self, temperature, target):
        """target: name of the class numbers among a batch's targets."""
        super().__init__()
        self.temperature, self.target = temperature, target

    def _pairs(self, targets, weights):
        """bool (B, B) twice: who is compared with whom, and who of them are positives."""
        classes = targets[self.target]
        known = (weights > 0) & (classes >= 0)
        compared = known[:, None] & known & ~torch.eye(len(classes), dtype=torch.bool, device=classes.device)
        return compared, compared & (classes[:, None] == classes)

    def weight(self, targets, weights, mix=None):
        """The sum of the weights of clips that have positives, a scalar; known before the forward pass."""
        if mix is not None:
            return torch.zeros_like(weights.sum())
        return (weights * self._pairs(targets, weights)[1].any(1)).sum()

    def total(self, output, targets, weights, mix=None):
        """The weighted sum of those clips' terms, a scalar."""
        if mix is not None:
            return torch.zeros_like(weights.sum())
        compared, positive = self._pairs(targets, weights)
        z = functional.normalize(output.embedding.float(), dim=1)
        similarity = z @ z.T / self.temperature
        # A row that is compared with nobody would be all -inf, whose gradient is not a number.
        others = similarity.masked_fill(~compared, -torch.inf).masked_fill(~compared.any(1, keepdim=True), 0.0)
        log_share = similarity - others.logsumexp(1, keepdim=True)
        count = positive.sum(1)
        terms = -(log_share * positive).sum(1) / count.clamp(min=1)
        return (terms * weights * (count > 0)).sum()


@torch.no_grad()
def check_contrastive(config, model, device):
    """Raise SerError where training.loss.contrastive of a Config could never count, or `model` gives no embedding.

    Asks the model with a second of silence; its mode and state stay.
    """
    if getattr(config.training.loss, 'contrastive', None) is None:
        return
    mixup = config.augment.mixup
    if mixup.alpha > 0 and mixup.probability == 1:
        raise SerError('training.loss.contrastive: mixed batches count nothing in it, and augment.mixup mixes every '
                       'batch. Set augment.mixup.probability below 1, augment.mixup.alpha to 0, or contrastive to null')
    rate = config.data.sample_rate
    network, training = model.network, model.network.training
    silence = torch.zeros(2, rate, dtype=torch.int16, device=device)
    output = network.eval()(model.views(silence, torch.full((2,), rate, device=device)))
    network.train(training)
    if output.embedding is None:
        raise SerError(f"training.loss.contrastive: model.kind '{config.model.kind}' gives no embedding to compare "
                       'clips by. Set it to null, or take another model.kind')
