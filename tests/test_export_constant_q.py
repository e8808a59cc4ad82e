"""The constant-Q transform of exports is nnAudio's own layer, kernels of any origin."""

import pytest
import torch

from ser.config.load import load_config
from ser.exporting.constant_q import OctaveCqt
from ser.features.cqt import NnAudioCqt


@pytest.mark.parametrize('hop', [512, 200])
def test_it_equals_the_definition_and_is_much_smaller(hop):
    config = load_config(('base',), [f'features.cqt={{fmin_hz: 65, bins: 64, hop_length: {hop}, trainable: true, '
                                     'engine: nnaudio}']).features.cqt
    theirs = NnAudioCqt(config, 16000)
    waveforms, shown = torch.randn(2, 9000), torch.tensor([[3, 0], [1, 9000 // hop]])
    ours = OctaveCqt(config, 16000)
    for frames in (None, shown):
        wanted = theirs(waveforms, frames)
        torch.testing.assert_close(ours(waveforms, frames), wanted, rtol=1e-4, atol=1e-6 * float(wanted.max()))
    assert not ours.state_dict()
    assert 2 * sum(table.numel() for table in ours.buffers()) < sum(table.numel() for table in theirs.layer.buffers())
    moved = theirs.learned.initial * torch.linspace(0.5, 2.0, 64)[:, None]
    wanted = theirs(waveforms, shown, moved)
    found = OctaveCqt(config, 16000, theirs.learned(moved))(waveforms, shown)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6 * float(wanted.max()))
