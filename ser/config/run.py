"""`run`: seed, device, place and name."""

from typing import Literal

from ser.config.section import Count, Positive, PositiveInt, Section


class RunConfig(Section):
    """One run."""

    seed: Count = 0
    """Seed of everything drawn in training: order, weights, dropout, augmentation."""
    name: str = 'ser'
    """Names the run directory."""
    folder: str = 'runs'
    """Where run directories are made."""
    device: Literal['auto', 'cpu', 'cuda', 'mps'] = 'auto'
    """'auto' prefers cuda, then mps, then cpu."""
    threads: PositiveInt | None = None
    """CPU threads of torch; null leaves torch's choice."""
    deterministic: bool = False
    """Deterministic CUDA kernels: slower, bit-identical repeats on the same machine."""
    timeout_minutes: Positive = 10.0
    """How long a rank waits for the others before the run fails."""
    log_seconds: Positive = 10.0
    """Seconds between progress lines."""
