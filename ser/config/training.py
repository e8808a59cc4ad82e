"""`training`: losses, optimisers, schedule and the loop."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import (
    NUMBER,
    Count,
    Fraction,
    NonNegative,
    OpenFraction,
    Positive,
    PositiveInt,
    Section,
)

Betas = tuple[Fraction, Fraction]


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


SingleOptimizer = Annotated[Adam | RAdam | AdamW, Field(discriminator='kind')]


class PartOptimizers(Section):
    """An optimiser per part of the model: a view's name, 'fusion', 'head'."""

    kind: Literal['parts'] = 'parts'
    """Several optimisers, stepped together."""
    parts: dict[str, SingleOptimizer] = {}
    """Part name -> optimiser."""
    rest: SingleOptimizer = Adam()
    """The optimiser of every part not named."""


Optimizer = Annotated[Adam | RAdam | AdamW | PartOptimizers, Field(discriminator='kind')]


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


Schedule = Annotated[ConstantSchedule | CosineSchedule | PlateauSchedule, Field(discriminator='kind')]


class CrossEntropyLoss(Section):
    """Cross-entropy."""

    kind: Literal['cross_entropy'] = 'cross_entropy'
    """Mean over the batch's weights."""
    label_smoothing: Fraction = 0.0
    """Share of the target spread over all classes."""
    class_weights: Literal['none', 'inverse', 'sqrt_inverse'] | dict[str, Positive] = 'none'
    """'inverse' N/(C n), its square root, or a weight per class name (others 1), from the training part alone."""


class FocalLoss(Section):
    """Focal loss (Lin et al. 2017): cross-entropy times (1 - p_t)^gamma, p_t the unweighted probability."""

    kind: Literal['focal'] = 'focal'
    """Hard clips count more."""
    gamma: NonNegative = 1.0
    """Strength of the focus; 0 is cross-entropy."""
    label_smoothing: Fraction = 0.0
    """Share of the target spread over all classes."""
    class_weights: Literal['none', 'inverse', 'sqrt_inverse'] | dict[str, Positive] = 'none'
    """As in cross_entropy."""


class CccLoss(Section):
    """1 - concordance correlation (Lin 1989) of a micro-batch, the mean over dimensions; for task.kind dimensions."""

    kind: Literal['ccc'] = 'ccc'
    """What the dimensions are scored by; micro-batches of 16 clips or more make it steady."""
    mse_weight: NonNegative = 0.0
    """How much the mean squared error of standardised values is added."""


Loss = Annotated[CrossEntropyLoss | FocalLoss | CccLoss, Field(discriminator='kind')]


class TrainingConfig(Section):
    """The loop."""

    epochs: PositiveInt = 50
    """Passes over the training part."""
    batch_size: Annotated[int, Field(ge=2), NUMBER] = 16
    """Clips per step, over all ranks and micro-batches."""
    accumulate: PositiveInt = 1
    """Micro-batches per step."""
    optimizer: Optimizer = AdamW()
    """One optimiser, or one per part."""
    schedule: Schedule = CosineSchedule()
    """The learning rate over time."""
    loss: Loss = CrossEntropyLoss()
    """The loss."""
    clip_norm: Positive | None = 1.0
    """Largest total gradient norm; null does not clip."""
    patience: PositiveInt | None = 10
    """Stop after this many epochs without a better validation UA; null never stops early."""
    ema: Annotated[float, Field(gt=0, lt=1), NUMBER] | None = None
    """Decay per step of an average of the weights, which validation and the saved model then use; null is off."""
    precision: Literal['auto', 'float32', 'bfloat16'] = 'auto'
    """Arithmetic of the network: 'auto' is bfloat16 where the GPU has it. Features are always float32."""
    compile: bool = False
    """torch.compile the network (the front end stays eager)."""
    gradient_checkpointing: bool = False
    """Recompute the backbones' activations in the backward pass: less memory, more time."""
    checkpoint_minutes: Positive = 10.0
    """Minutes between checkpoints within an epoch; each epoch's end writes one too."""
    checkpoint_steps: PositiveInt | None = None
    """Steps between checkpoints, besides the minutes; null is off."""
    keep_best: Count = 1
    """Checkpoints of the best epochs kept, besides the last two."""
