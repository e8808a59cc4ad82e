"""Networks as they trace: what cannot be a graph is replaced by what can, on the same parameters."""

import torch
from torch import nn
from torch._higher_order_ops.scan import scan

from ser.models.masked import MaskedBiGru, frame_mask, turned


class ScannedBiGru(nn.Module):
    """MaskedBiGru with its loop over frames as an operation of the graph, for any number of them.

    torch.export unrolls nn.GRU to the frames of its example. Both directions take a step at once.
    """

    def __init__(self, recurrent):
        """recurrent: MaskedBiGru, whose parameters are shared."""
        super().__init__()
        self.ahead, self.back, self.width = recurrent.ahead, recurrent.back, recurrent.width

    def forward(self, x, frames):
        """As MaskedBiGru.forward."""
        inside = frame_mask(frames, x.shape[1])[..., None]
        for pair in zip(self.ahead, self.back, strict=True):
            weights = {name: torch.stack([getattr(gru, f'{name}_l0') for gru in pair])
                       for name in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')}
            both = torch.stack([x, turned(x, frames)])
            entering = both @ weights['weight_ih'].transpose(1, 2)[:, None] + weights['bias_ih'][:, None, None]
            ahead, back = self._run(entering.permute(2, 0, 1, 3), weights).unbind(1)
            x = torch.cat([ahead.transpose(0, 1), turned(back.transpose(0, 1), frames)], dim=2) * inside
        return x

    @staticmethod
    def _run(entering, weights):
        """(T, 2, B, 3 * hidden) -> hidden states (T, 2, B, hidden)."""
        matrix, bias = weights['weight_hh'].transpose(1, 2), weights['bias_hh'][:, None]

        def step(held, now):
            reset, update, new = now.chunk(3, dim=2)
            kept_reset, kept_update, kept_new = (held @ matrix + bias).chunk(3, dim=2)
            update = torch.sigmoid(update + kept_update)
            new = torch.tanh(new + torch.sigmoid(reset + kept_reset) * kept_new)
            held = new + update * (held - new)
            return held, held.clone()

        start = entering.new_zeros(2, entering.shape[2], matrix.shape[1])
        return scan(step, start, entering)[1]


def traceable(network):
    """`network` (a copy that may be changed) with the parts that do not trace replaced."""
    for name, part in list(network.named_modules()):
        if isinstance(part, MaskedBiGru):
            holder, _, own = name.rpartition('.')
            setattr(network.get_submodule(holder), own, ScannedBiGru(part))
    return network
