"""`training.loss`: what of the main target is minimised."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import Fraction, NonNegative, Positive, Section

ClassWeights = Literal['none', 'inverse', 'sqrt_inverse', 'effective'] | dict[str, Positive]


class ContrastiveTerm(Section):
    """Supervised contrastive term (Khosla et al. 2020, L_out) on the vector that the head sees, brought to length 1."""

    weight: Positive = 0.1
    """How much it counts beside the loss."""
    temperature: Positive = 0.1
    """What similarities are divided by."""


class CrossEntropyLoss(Section):
    """Cross-entropy."""

    kind: Literal['cross_entropy'] = 'cross_entropy'
    """The mean over clips, each counting as much as its class weighs."""
    label_smoothing: Fraction = 0.0
    """Share of the target spread over all classes."""
    class_weights: ClassWeights = 'none'
    """'inverse' N/(C n), its square root, 'effective' (1-b)/(1-b^n) with b = (N-1)/N and mean 1 (Cui et al. 2019), or
    a weight per class name (others 1). n is what an epoch of training draws of a class: with data.balance class, which
    samples in place of weighing, the first three weigh all alike."""
    contrastive: ContrastiveTerm | None = None
    """Pull clips of one emotion together within each micro-batch, such as {weight: 0.1, temperature: 0.1}; clips alone
    in their class and mixed batches count nothing in it. null is off."""


class FocalLoss(Section):
    """Focal loss (Lin et al. 2017): cross-entropy times (1 - p_t)^gamma, p_t the probability that the network gives the
    true class, whatever the classes weigh and labels are smoothed."""

    kind: Literal['focal'] = 'focal'
    """Hard clips count more."""
    gamma: NonNegative = 1.0
    """Strength of the focus; 0 is cross-entropy."""
    label_smoothing: Fraction = 0.0
    """Share of the target spread over all classes, in the cross-entropy alone."""
    class_weights: ClassWeights = 'none'
    """As in cross_entropy."""
    contrastive: ContrastiveTerm | None = None
    """As in cross_entropy."""


class CccLoss(Section):
    """1 - concordance correlation (Lin 1989) of a micro-batch, the mean over dimensions; for task.kind dimensions."""

    kind: Literal['ccc'] = 'ccc'
    """What the dimensions are scored by; micro-batches of 16 clips or more make it steady."""
    mse_weight: NonNegative = 0.0
    """How much the mean squared error of standardised values is added."""


Loss = Annotated[CrossEntropyLoss | FocalLoss | CccLoss, Field(discriminator='kind')]
