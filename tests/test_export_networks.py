"""Networks of exports: the same numbers from the same parameters under the same names."""

import torch

from ser.exporting.networks import ScannedBiGru, traceable
from ser.models.masked import MaskedBiGru


def test_the_scanned_gru_is_the_trained_one():
    torch.manual_seed(0)
    recurrent = MaskedBiGru(6, 5, layers=2).eval().requires_grad_(False)
    x, frames = torch.randn(3, 9, 6), torch.tensor([9, 4, 1])
    holder = torch.nn.Sequential(recurrent)
    names = holder.state_dict().keys()
    traceable(holder)
    assert isinstance(holder[0], ScannedBiGru) and holder.state_dict().keys() == names
    wanted = recurrent(x, frames)
    torch.testing.assert_close(holder[0](x, frames), wanted, rtol=0, atol=1e-6)
    alone = holder[0](x[1:2, :4], frames[1:2])
    torch.testing.assert_close(alone, wanted[1:2, :4], rtol=0, atol=1e-6)
