"""What a trained network costs: parameters, and multiplications of one clip."""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ser.training.rebuild import load_run

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
