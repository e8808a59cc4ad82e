"""A run as it is compared with what is exported of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ser.evaluation.calibration import Calibration, read_calibration
from ser.evaluation.dimension_files import read_task
from ser.exporting.clips import parity_clips
from ser.exporting.facts import facts_of
from ser.training.rebuild import load_run
from ser.training.run import auxiliary_of
from ser.training.task import Head, main_head


@dataclass(frozen=True)
class Subject:
    """A loaded run, clips, and what the run says of them."""

    run: Path
    config: object
    names: tuple
    model: object
    """SpeechModel on the CPU, in eval mode, without gradients."""
    head: Head
    calibration: Calibration | None
    facts: dict
    clips: list
    """int16 (n,) each, at the run's data rate."""
    source: str
    """Where the clips come from, in words."""
    values: np.ndarray
    """float64 (N, C), what the run's own engine says of each clip alone, calibrated."""

    @property
    def auxiliary(self):
        """Targets of further heads, which graphs and transformers leave out."""
        return auxiliary_of(self.run)

    @property
    def scale(self):
        """What differences are divided by: float64 (C,) deviations of dimensions; 1.0 for probabilities."""
        return 1.0 if self.head.scale is None else np.asarray(self.head.scale[1])


def load_subject(run, clips=()):
    """The Subject of a run directory. clips: see clips.parity_clips. Raises SerError as it and load_run do."""
    config, names, model = load_run(run)
    calibration = read_calibration(run) if config.task.kind == 'emotion' else None
    head, facts = main_head(names, read_task(run)), facts_of(run, config, names, calibration)
    heard, source = parity_clips(run, config, names, clips)
    return Subject(Path(run), config, names, model, head, calibration, facts, heard, source,
                   trained_values(model, head, calibration, heard))


@torch.inference_mode()
def trained_values(model, head, calibration, clips):
    """float64 (N, C) of the run's own engine on int16 (n,) clips, each alone; calibrated where there is one."""
    values = [head.values(model(torch.from_numpy(clip)[None], torch.tensor([len(clip)]))) for clip in clips]
    values = torch.cat(values).numpy()
    return calibration.apply(values) if calibration else values
