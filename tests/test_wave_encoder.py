"""wav2vec2, HuBERT, WavLM, data2vec-audio: transformers' numbers for each clip alone, in any batch."""

import pytest
import torch
from torch import nn

from ser.errors import SerError
from ser.models.encoder_loading import load
from ser.models.wave_encoder import WaveEncoder, group_norm_by_clip
from tests.tiny_encoder import WAVES, batch, encoder_config, shaken

CASES = [(family, large) for family in WAVES for large in (False, True)]


def made(family, large=False):
    torch.manual_seed(0)
    return shaken(WaveEncoder(load(encoder_config(family, large)).model, family)).eval()


def states(encoder, waveform, samples):
    with torch.no_grad():
        return list(encoder.states(waveform, samples, lambda function, *tensors: function(*tensors)))


@pytest.mark.parametrize(('family', 'large'), CASES)
def test_every_layer_is_what_transformers_gives_for_the_clip_alone(family, large):
    encoder, (waveform, samples) = made(family, large), batch()
    # Before transformers 5 the last hidden state of encoders that normalise first was the normalised one; it still is
    # with this setting.
    encoder.model.config.tie_last_hidden_states = True
    together, counts = states(encoder, waveform, samples), encoder.frames(samples)
    for row, length in enumerate(samples):
        with torch.no_grad():
            theirs = encoder.model(waveform[row:row + 1, :length], output_hidden_states=True)
        assert len(theirs.hidden_states) == len(together) == 3
        for ours, hidden in zip(together, theirs.hidden_states, strict=True):
            assert hidden.shape[1] == counts[row]
            torch.testing.assert_close(ours[row, :counts[row]], hidden[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(together[-1][row, :counts[row]], theirs.last_hidden_state[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize('family', ['wav2vec2', 'hubert', 'wavlm'])
def test_with_layer_norm_a_masked_batch_is_transformers_own(family):
    encoder, (waveform, samples) = made(family, large=True), batch()
    mask = (torch.arange(waveform.shape[1]) < samples[:, None]).long()
    with torch.no_grad():
        theirs = encoder.model(waveform, attention_mask=mask).last_hidden_state
    ours, counts = states(encoder, waveform, samples)[-1], encoder.frames(samples)
    for row, count in enumerate(counts):
        torch.testing.assert_close(ours[row, :count], theirs[row, :count], rtol=0, atol=1e-5)


def test_group_norm_is_torchs_on_each_clip_and_passes_its_gradient():
    torch.manual_seed(0)
    norm, x, frames = shaken(nn.GroupNorm(4, 4)), torch.randn(2, 4, 9), torch.tensor([9, 5])
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    found = group_norm_by_clip(norm, ours, frames)
    for row, count in enumerate(frames):
        alone = norm(theirs[row:row + 1, :, :count])
        torch.testing.assert_close(found[row:row + 1, :, :count], alone)
        (alone ** 3).sum().backward()
        (found[row, :, :count] ** 3).sum().backward(retain_graph=True)
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert not ours.grad[1, :, 5:].any()


def test_frames_and_the_shortest_clip():
    encoder = made('wav2vec2')
    assert encoder.receptive == 10 + 2 * 5 + 2 * 20 == 60
    assert [encoder.frames(n) for n in (59, 60, 139, 140)] == [0, 1, 1, 2]
    assert encoder.frames(torch.tensor([60, 140])).tolist() == [1, 2]


def test_groups_hold_every_parameter_once():
    for family, large in CASES:
        encoder = made(family, large)
        listed = [p for modules in encoder.groups().values() for module in modules for p in module.parameters()]
        assert len(listed) == len({id(p) for p in listed})
        assert {id(p) for p in listed} == {id(p) for p in encoder.parameters()}


def test_layers_that_are_not_understood_are_refused():
    model = load(encoder_config('hubert')).model
    model.config.conv_pos_batch_norm = True
    with pytest.raises(SerError, match='conv_pos_batch_norm are not understood'):
        WaveEncoder(model, 'hubert')
