"""`training.optimizer`: one optimiser, or one per part of the model, and how rates differ inside the model."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import NUMBER, Fraction, NonNegative, Positive, Section

Betas = tuple[Fraction, Fraction]
Tiers = dict[str, Positive]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), NUMBER]


class Adam(Section):
    """Adam (Kingma and Ba 2015)."""

    kind: Literal['adam'] = 'adam'
    """torch.optim.Adam."""
    lr: Positive = 2e-4
    """Learning rate."""
    weight_decay: NonNegative = 0.0
    """L2 penalty."""
    betas: Betas = (0.9, 0.999)
    """Decay of the running moments."""
    tiers: Tiers = {}
    """As in adamw."""
    layer_decay: Share = 1.0
    """As in adamw."""


class RAdam(Section):
    """Rectified Adam (Liu et al. 2020)."""

    kind: Literal['radam'] = 'radam'
    """torch.optim.RAdam."""
    lr: Positive = 2e-4
    """Learning rate."""
    weight_decay: NonNegative = 0.0
    """L2 penalty."""
    betas: Betas = (0.9, 0.999)
    """Decay of the running moments."""
    tiers: Tiers = {}
    """As in adamw."""
    layer_decay: Share = 1.0
    """As in adamw."""


class AdamW(Section):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal['adamw'] = 'adamw'
    """torch.optim.AdamW; vectors, biases and norms are not decayed."""
    lr: Positive = 1e-3
    """Learning rate."""
    weight_decay: NonNegative = 0.05
    """Decoupled decay of matrices."""
    betas: Betas = (0.9, 0.999)
    """Decay of the running moments."""
    tiers: Tiers = {}
    """What the rate of a part is multiplied by, such as {encoder: 0.1}: parts as a dry run lists them, or what they
    begin with up to a dot; of several that fit the longest counts."""
    layer_decay: Share = 1.0
    """The rate is also multiplied by this, once for each layer between a part and the head; 1 is off."""


SingleOptimizer = Annotated[Adam | RAdam | AdamW, Field(discriminator='kind')]


class PartOptimizers(Section):
    """An optimiser per part of the model: a view's name, 'fusion', 'head'."""

    kind: Literal['parts'] = 'parts'
    """Several optimisers, stepped together."""
    parts: dict[str, SingleOptimizer] = {}
    """Part name, or what names begin with up to a dot -> optimiser."""
    rest: SingleOptimizer = Adam()
    """The optimiser of every part not named."""


Optimizer = Annotated[Adam | RAdam | AdamW | PartOptimizers, Field(discriminator='kind')]
