"""`run`: seed, device, place, name and who else is told the numbers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ser.config.section import Count, Positive, PositiveInt, Section

_LONGEST_NAME = 200


def _file_name(name):
    plain = name.isprintable() and name.strip() == name and not set(name) & set('/\\') and name not in ('', '.', '..')
    if not plain or len(name.encode()) > _LONGEST_NAME:
        raise ValueError(f'should be a plain file name of at most {_LONGEST_NAME} bytes; run.folder says where')
    return name


class NoTracker(Section):
    """The run directory alone."""

    kind: Literal['none'] = 'none'
    """Nobody else is told."""


class TensorBoardTracker(Section):
    """TensorBoard's event files in the run directory; needs the extra [tensorboard]."""

    kind: Literal['tensorboard'] = 'tensorboard'
    """The numbers of metrics.csv, learning rates, test scores; see them with tensorboard --logdir RUN/tensorboard."""


class WandbTracker(Section):
    """Weights & Biases; needs the extra [wandb]."""

    kind: Literal['wandb'] = 'wandb'
    """The numbers of metrics.csv, learning rates, test scores, and the config."""
    project: Annotated[str, Field(min_length=1)] = 'ser'
    """Which project the run belongs to."""
    entity: Annotated[str, Field(min_length=1)] | None = None
    """Whose project; null is the account's own."""
    mode: Literal['online', 'offline'] = 'online'
    """'offline' asks no network: files stay in RUN/wandb until `wandb sync` sends them."""


class RunConfig(Section):
    """One run."""

    seed: Count = 0
    """Seed of everything drawn in training: order, weights, dropout, augmentation."""
    name: Annotated[str, AfterValidator(_file_name)] = 'ser'
    """Names the run directory."""
    folder: str = 'runs'
    """Where run directories are made."""
    device: Literal['auto', 'cpu', 'cuda', 'mps'] = 'auto'
    """'auto' prefers cuda, then mps, then cpu."""
    threads: PositiveInt | None = None
    """CPU threads of torch; null leaves torch's choice."""
    deterministic: bool = False
    """Deterministic CUDA kernels: slower, bit-identical repeats on the same machine."""
    cuda_graphs: bool = False
    """On CUDA, replay the front end of frequent batch shapes as one launch; off until it was seen to pay."""
    timeout_minutes: Positive = 10.0
    """How long a rank waits for the others before the run fails."""
    log_seconds: Positive = 10.0
    """Seconds between progress lines."""
    tracker: Annotated[NoTracker | TensorBoardTracker | WandbTracker, Field(discriminator='kind')] = NoTracker()
    """Where the numbers of metrics.csv and the test scores go as well: kind none, tensorboard or wandb."""
