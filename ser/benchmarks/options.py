"""What a benchmark is asked to measure."""

from dataclasses import dataclass

import torch

from ser.config.schema import Config


@dataclass(frozen=True)
class BenchmarkOptions:
    """One benchmark, checked."""

    config: Config
    """Published weights off: sizes matter here, weights do not."""
    device: torch.device
    batches: tuple[int, ...]
    """Clips per call."""
    seconds: float
    """Length of every made clip."""
    stages: tuple[str, ...]
    """Of names.STAGES, in their order."""
    against: tuple[str, ...]
    """Of names.RIVALS, in their order."""
    threads: int | None
    """CPU threads of torch; None leaves torch's choice."""
    repeats: int
    """Timed calls of each case."""
    shards: tuple[str, ...] = ()
    """Folders or tars that the shard stages read. Where none were given, clips are made into a temporary folder before
    any case is asked for, so a case never sees an empty tuple; --scale makes sets of its own."""
    shard_seconds: float = 0.0
    """Mean length of the clips in `shards`: the `seconds` of the shard stages' rows."""

    def wants(self, implementation):
        """Whether an implementation is measured: 'ser' always, a rival when asked for."""
        return implementation == 'ser' or implementation in self.against
