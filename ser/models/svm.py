"""A support vector machine on functionals: fitted by scikit-learn, kept as plain tensors, evaluated in torch."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch

from ser.features.functionals import FunctionalsFrontEnd
from ser.models.contract import Output, SpeechModel
from ser.models.fitted import FittedNetwork, check_fitted

# Deviation of a functional over the training clips under which it says nothing.
CONSTANT = 1e-6
# Standardised functionals are held within this, so that no single one decides how far two clips are apart.
FURTHEST = 5.0
# The scale from decisions to logits is looked for between these.
SCALES = (0.05, 20.0)
# Buffers whose first dimension is the number of support vectors.
_GROWING = ('support', 'coefficients')


class Choice(NamedTuple):
    """One setting and what validation says of it."""

    ua: float
    log_loss: float
    penalty: float
    width: float
    scale: float
    machine: object


class SvmNetwork(FittedNetwork):
    """Functionals -> logits, by a kernel machine between every pair of classes.

    Buffers: mean, scale (D,); support (S, D), standardised; coefficients (S, P), the dual coefficients of the P pairs
    of classes; intercepts (P,); width, the kernel's gamma; temperature, from decisions to logits. S is known once the
    machine is fitted or loaded.
    """

    view = 'functionals'

    def __init__(self, config, names, functionals):
        """config: SvmConfig. names: classes in index order. functionals: how many there are."""
        super().__init__(names)
        self.config = config
        pairs = list(itertools.combinations(range(len(names)), 2))
        self.register_buffer('mean', torch.zeros(functionals))
        self.register_buffer('scale', torch.ones(functionals))
        self.register_buffer('support', torch.zeros(0, functionals))
        self.register_buffer('coefficients', torch.zeros(0, len(pairs)))
        self.register_buffer('intercepts', torch.zeros(len(pairs)))
        self.register_buffer('width', torch.ones(()))
        self.register_buffer('temperature', torch.ones(()))
        signs = torch.zeros(len(pairs), len(names))
        for pair, (first, second) in enumerate(pairs):
            signs[pair, first], signs[pair, second] = 1, -1
        self.register_buffer('signs', signs, persistent=False)

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        # The file says how many support vectors there are.
        for name in _GROWING:
            found, own = state_dict.get(prefix + name), getattr(self, name)
            if found is not None and found.ndim == 2 and found.shape[1:] == own.shape[1:]:
                setattr(self, name, own.new_zeros(found.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, views, mix=None) -> Output:
        values = views[self.view].to(self.mean.dtype)
        with torch.autocast(values.device.type, enabled=False):
            return Output(self.decisions(values) * self.temperature, {}, {})

    def standardised(self, values):
        """Functionals (B, D) by the training clips' mean and deviation, within FURTHEST."""
        return ((values - self.mean) / self.scale).clamp(-FURTHEST, FURTHEST)

    def decisions(self, values):
        """(B, C) of functionals (B, D): votes of the pairs, and within a third of a vote how clear they were.

        scikit-learn's SVC.decision_function(decision_function_shape='ovr'); of two classes its one column, halved,
        for the second class and with the other sign for the first.
        """
        x = self.standardised(values)
        squares = x.square().sum(dim=1)[:, None] + self.support.square().sum(dim=1) - 2 * x @ self.support.T
        kernel = (-self.width * squares.clamp(min=0)).exp()
        pairs = kernel @ self.coefficients + self.intercepts
        if len(self.names) == 2:
            return pairs @ self.signs / 2
        votes = torch.where(pairs[..., None] > 0, self.signs.clamp(min=0), (-self.signs).clamp(min=0)).sum(dim=1)
        sums = pairs @ self.signs
        return votes + sums / (3 * (sums.abs() + 1))

    def learn(self, train, valid):
        """Fit a machine for each setting of the config and keep the one that validation prefers; says which."""
        self.mean.copy_(train.values.double().mean(dim=0))
        deviation = train.values.double().std(dim=0, correction=0)
        self.scale.copy_(torch.where(deviation > CONSTANT, deviation, torch.inf))
        heard, judged = (self.standardised(part.values).double().numpy() for part in (train, valid))
        settings = itertools.product(self.config.penalties, self.config.widths)
        best = min((self._tried((heard, train), (judged, valid), *setting) for setting in settings),
                   key=lambda choice: (-choice.ua, choice.log_loss))
        self._keep(best)
        return (f'C {best.penalty:g}, gamma {best.width:g} / {len(self.mean)}, validation UA {100 * best.ua:.1f} %; '
                f'{len(self.support)} support vectors')

    def _tried(self, learnt, chosen_by, penalty, width):
        """The Choice of a setting; learnt, chosen_by: (standardised values, Clips) of training and validation."""
        from scipy.special import log_softmax
        from sklearn.svm import SVC

        (heard, train), (judged, valid) = learnt, chosen_by
        machine = SVC(C=penalty, gamma=width / heard.shape[1], class_weight=balanced(train.labels), break_ties=True)
        machine.fit(heard, train.classes.numpy(), sample_weight=train.shares)
        decisions = machine.decision_function(judged)
        if decisions.ndim == 1:
            decisions = np.stack([-decisions, decisions], axis=1) / 2
        scale, log_loss = fitted_scale(decisions, valid)
        wanted, said = valid.labels.numpy(), valid.joined(log_softmax(scale * decisions, axis=1)).argmax(axis=1)
        recalls = [np.mean(said[wanted == number] == number) for number in np.unique(wanted)]
        return Choice(float(np.mean(recalls)), log_loss, penalty, width, scale, machine)

    def _keep(self, choice):
        machine = choice.machine
        for name, value in (('support', machine.support_vectors_), ('coefficients', pair_coefficients(machine))):
            setattr(self, name, torch.as_tensor(value).to(self.mean))
        flip = -1 if len(self.names) == 2 else 1
        self.intercepts.copy_(torch.as_tensor(flip * machine.intercept_))
        self.width.fill_(choice.width / len(self.mean))
        self.temperature.fill_(choice.scale)


def pair_coefficients(machine):
    """float64 (S, P): the dual coefficient of each support vector in the decision of each pair (i, j), i < j.

    machine: a fitted SVC. Positive decisions are for class i (scikit-learn turns the sign where there are two classes).
    """
    counts = machine.n_support_
    classes = len(counts)
    of_class = np.repeat(np.arange(classes), counts)
    columns = []
    for first, second in itertools.combinations(range(classes), 2):
        column = np.where(of_class == first, machine.dual_coef_[second - 1], 0.0)
        columns.append(np.where(of_class == second, machine.dual_coef_[first], column))
    return np.stack(columns, axis=1) * (-1 if classes == 2 else 1)


def balanced(labels):
    """Class number -> weight by which all classes of clips, int64 (M,), count alike; of rows SVC would take it itself.
    """
    from sklearn.utils.class_weight import compute_class_weight

    present = np.unique(labels)
    return dict(zip(present.tolist(), compute_class_weight('balanced', classes=present, y=labels.numpy()), strict=True))


def fitted_scale(decisions, clips):
    """(scale, mean negative log probability): what decisions (N, C) of Clips are multiplied by so that their softmax,
    averaged over the rows of a clip, fits the clips' classes best."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    wanted = clips.labels.numpy()

    def loss(log_scale):
        logs = clips.joined(log_softmax(math.exp(log_scale) * decisions, axis=1))
        return -logs[np.arange(len(wanted)), wanted].mean()

    found = minimize_scalar(loss, bounds=[math.log(limit) for limit in SCALES], method='bounded')
    return math.exp(found.x), float(found.fun)


def build_svm(config, names, load_pretrained: bool = True, auxiliary=None) -> SpeechModel:
    """The whole system for the classes `names`. Raises SerError for what it cannot do (see check_fitted)."""
    check_fitted(config, auxiliary)
    front_end = FunctionalsFrontEnd(config.features, config.model.functionals, config.data.sample_rate)
    return SpeechModel(front_end, SvmNetwork(config.model, names, len(front_end.names)))
