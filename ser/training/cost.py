"""What a trained network costs: parameters, multiplications of one clip, and how fast it was trained."""

import math

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ser.evaluation.card import system_words
from ser.evaluation.run_files import read_config
from ser.evaluation.sides import fold_runs, seed_runs
from ser.training.rebuild import load_run
from ser.training.run import RunDirectory

CLIP_SECONDS = 3.0
"""Length of the clip that is counted; where images have a fixed size it does not matter."""


def network_cost(run):
    """(parameters, GMAC) of a run's model: GMAC are 1e9 multiply-accumulates of its network for one clip.

    Counted by torch's FlopCounterMode (matrix products and convolutions, two operations each) on the network's forward
    alone: the front end is excluded, and so is what is no product (norms, activations). Raises SerError as load_run.
    """
    config, _, model = load_run(run)
    samples = int(CLIP_SECONDS * config.data.sample_rate)
    waveforms, lengths = torch.zeros(1, samples, dtype=torch.int16), torch.tensor([samples])
    # Fused attention kernels are not all known to the counter; the plain one is matrix products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        views = model.views(waveforms, lengths)
        with FlopCounterMode(display=False) as counter:
            model.classify(views)
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() / 2e9


def training_speed(run):
    """(clips/s, seconds, epochs) of a run's training steps over all its epochs, without validation and test.

    From metrics.csv; clips/s is None where no epoch says how long it took, such as in a model that is fitted at once.
    """
    clips, seconds, rows = 0.0, 0.0, RunDirectory(run).read_metrics()
    for row in rows:
        rate, lasted = (_number(row.get(name)) for name in ('clips_per_second', 'seconds'))
        clips, seconds = clips + rate * lasted, seconds + lasted
    return clips / seconds if clips else None, seconds, len(rows)


def _number(cell):
    """A cell of metrics.csv; 0 where it is empty or missing."""
    value = float(cell or 0)
    return value if math.isfinite(value) else 0.0


def system_cost(path):
    """What a run, or the first of a folder of folds or of seeds, is and costs, as a dict ready for JSON.

    `system` in words, `parameters` and `gmac` of one model, `clips_per_second` of its training steps on the machine
    that trained it, `seconds` of training steps of all its `runs` together. All are None for a folder that holds scores
    alone. Raises SerError as load_run.
    """
    runs = [run for seed in seed_runs(path) or [path] for run in fold_runs(seed) or [seed]]
    if not (runs[0] / 'config.yaml').is_file():
        return dict.fromkeys(('system', 'parameters', 'gmac', 'clips_per_second', 'seconds', 'runs'))
    parameters, gmac = network_cost(runs[0])
    speeds = [training_speed(run) for run in runs]
    return {'system': system_words(read_config(runs[0])).replace('`', ''), 'parameters': parameters, 'gmac': gmac,
            'clips_per_second': speeds[0][0], 'seconds': sum(seconds for _, seconds, _ in speeds), 'runs': len(runs)}
