"""`training`: the loop, and what it minimises, how and how fast."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.losses import CccLoss, CrossEntropyLoss, FocalLoss, Loss
from ser.config.optimizers import Adam, AdamW, Optimizer, PartOptimizers, RAdam
from ser.config.schedules import ConstantSchedule, CosineSchedule, PlateauSchedule, Schedule
from ser.config.section import NUMBER, Count, Positive, PositiveInt, Section

__all__ = ['Adam', 'AdamW', 'CccLoss', 'ConstantSchedule', 'CosineSchedule', 'CrossEntropyLoss', 'FocalLoss',
           'PartOptimizers', 'PlateauSchedule', 'RAdam', 'TrainingConfig']


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
    on_nonfinite: Literal['stop', 'skip'] = 'stop'
    """A step whose loss or gradient is NaN or infinite changes nothing and its batch is kept in RUN/nonfinite: then
    stop, or leave the step out and count it."""
    max_nonfinite: Count = 10
    """With on_nonfinite 'skip': how many steps of a run may be left out; one more stops it all the same."""
    patience: PositiveInt | None = 10
    """Stop after this many epochs without a better validation UA; null never stops early."""
    ema: Annotated[float, Field(gt=0, lt=1), NUMBER] | None = None
    """Decay per step of an average of the weights, which validation and the saved model then use; null is off."""
    precision: Literal['auto', 'float32', 'bfloat16'] = 'auto'
    """Arithmetic of the network: 'auto' is bfloat16 where the GPU has it. Features are always float32."""
    sync_batchnorm: bool = False
    """On several CUDA ranks, BatchNorm over the clips of all of them: its means then do not depend on their number."""
    compile: bool = False
    """torch.compile the network (the front end stays eager)."""
    gradient_checkpointing: bool = False
    """Recompute the backbones' activations in the backward pass: less memory, more time."""
    checkpoint_minutes: Positive = 10.0
    """Minutes between checkpoints within an epoch; each epoch's end writes one too."""
    checkpoint_steps: PositiveInt | None = None
    """Steps between checkpoints, besides the minutes; null is off."""
    keep_best: PositiveInt = 1
    """Checkpoints of the best epochs kept, besides the last two."""
