"""`training.schedule`: the learning rate over time."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import NUMBER, Count, Fraction, NonNegative, OpenFraction, Positive, Section


class ConstantSchedule(Section):
    """The learning rate stays, after an optional linear warm-up."""

    kind: Literal['constant'] = 'constant'
    """No decay."""
    warmup_epochs: NonNegative = 0.0
    """Epochs of linear warm-up, by step."""


class CosineSchedule(Section):
    """Half a cosine from the learning rate to a share of it, after a linear warm-up, by step."""

    kind: Literal['cosine'] = 'cosine'
    """Cosine decay over the whole run."""
    warmup_epochs: NonNegative = 1.0
    """Epochs of linear warm-up, by step."""
    final: Fraction = 0.0
    """Share of the learning rate that is left at the end."""


class RestartsSchedule(Section):
    """Half cosines one after another, each from the full rate (SGDR; Loshchilov and Hutter 2017), by step."""

    kind: Literal['restarts'] = 'restarts'
    """Cosine decay with warm restarts."""
    first_epochs: Positive = 10.0
    """Epochs of the first half cosine."""
    multiply: Annotated[float, Field(ge=1, allow_inf_nan=False), NUMBER] = 1.0
    """How much longer each is than the one before."""
    warmup_epochs: NonNegative = 0.0
    """Epochs of linear warm-up before the first, by step."""
    final: Fraction = 0.0
    """Share of the learning rate at the end of each."""
    min_lr: NonNegative = 0.0
    """No lower than this, whatever that share is."""


class OneCycleSchedule(Section):
    """Half a cosine up to the learning rate, then one down (one cycle; Smith and Topin 2019), by step."""

    kind: Literal['one_cycle'] = 'one_cycle'
    """torch's OneCycleLR over the whole run; moments keep their decay."""
    rise: OpenFraction = 0.3
    """Share of the run in which the rate rises."""
    start: Fraction = 0.04
    """Share of the learning rate at the first step."""
    final: Fraction = 4e-6
    """Share of the learning rate at the last step."""


class PlateauSchedule(Section):
    """Cut the learning rate when validation loss stops falling."""

    kind: Literal['plateau'] = 'plateau'
    """torch's ReduceLROnPlateau, one per optimiser."""
    factor: OpenFraction = 0.1
    """What the rate is multiplied by."""
    patience: Count = 2
    """Epochs without a lower loss before the cut."""
    min_lr: NonNegative = 1e-6
    """No lower than this."""


Schedule = Annotated[ConstantSchedule | CosineSchedule | RestartsSchedule | OneCycleSchedule | PlateauSchedule,
                     Field(discriminator='kind')]
