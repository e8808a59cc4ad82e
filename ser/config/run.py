"""`run`: seed, device, place and name."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from ser.config.section import Count, Positive, PositiveInt, Section

_LONGEST_NAME = 200


def _file_name(name):
    plain = name.isprintable() and name.strip() == name and not set(name) & set('/\\') and name not in ('', '.', '..')
    if not plain or len(name.encode()) > _LONGEST_NAME:
        raise ValueError(f'should be a plain file name of at most {_LONGEST_NAME} bytes; run.folder says where')
    return name


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
