"""Hidden states of an encoder: transformers' own, and where their frames lie."""

import numpy as np
import pytest
import torch

from ser.inference.layers import frame_edges, hear_layers, hidden_states, in_proportion
from ser.models import SpeechModel
from ser.models.encoders import build_encoder
from tests.shard_factory import tone
from tests.tiny_encoder import encoder_config

pytest.importorskip('transformers')


def encoder(family='wav2vec2'):
    torch.manual_seed(0)
    return build_encoder(encoder_config(family)).eval().requires_grad_(False)


def test_states_are_those_of_transformers():
    made = encoder()
    x = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    theirs = made.body.model(x, output_hidden_states=True).hidden_states
    ours = list(hidden_states(made, x, torch.tensor([4000])))
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert torch.equal(ours[-1], made(x, torch.tensor([4000])).frames)


def test_frames_stand_around_the_samples_that_they_are_computed_from():
    made = encoder()
    edges = frame_edges(made, torch.tensor([4000]), 16000)
    assert len(edges) == 1 + int(made.body.frames(torch.tensor([4000]))[0])
    # Kernels 10, 3, 3 and strides 5, 4, 4: ((3 - 1) * 4 + 3 - 1) * 5 + 10 samples make a frame, one every 80.
    receptive, stride = 60, 80
    assert np.diff(edges) * 16000 == pytest.approx(stride)
    assert (edges[0] + edges[1]) / 2 * 16000 == pytest.approx(receptive / 2)
    whisper = frame_edges(encoder('whisper'), torch.tensor([4000]), 16000)
    assert len(whisper) == 1 + 13 and np.diff(whisper) == pytest.approx(0.02)


class Heard:
    """A front end that hands the samples on."""

    def __init__(self, waveform):
        self.waveform = waveform

    def __call__(self, waveforms, lengths, draw=None):
        return {'waveform': waveforms / 32768, 'samples': lengths}


class Stages:
    """A clip as it is."""

    data_rate = sample_rate = 16000

    def stages(self, waveforms, lengths):
        yield 'raw', waveforms / 32768, lengths


def test_the_layers_of_a_model():
    network = torch.nn.Module()
    network.encoder = encoder()
    model = SpeechModel.__new__(SpeechModel)
    torch.nn.Module.__init__(model)
    model.front_end, model.network, model.graphed, model.learns_filters = Heard(Stages()), network, None, False
    samples = tone(3, 0.25)
    layers = hear_layers(model, samples)
    count = len(layers.edges) - 1
    assert layers.norms.shape == layers.distances.shape == (3, count) and layers.norms.dtype == np.float32
    x, lengths = torch.from_numpy(samples)[None] / 32768, torch.tensor([len(samples)])
    last = network.encoder(x, lengths).frames[0, :count].numpy()
    assert layers.norms[-1] == pytest.approx(np.sqrt((last ** 2).mean(axis=1)), abs=1e-5)
    assert layers.distances[-1] == pytest.approx(np.sqrt(((last - last.mean(axis=0)) ** 2).mean(axis=1)), abs=1e-5)


def test_a_model_without_an_encoder_has_no_layers():
    class Plain:
        network = torch.nn.Linear(1, 1)

    assert hear_layers(Plain(), tone(1)) is None


def test_layers_in_proportion_have_the_mean_one():
    values = np.array([[1.0, 3.0], [10.0, 30.0], [0.0, 0.0]], np.float32)
    assert in_proportion(values).tolist() == [[0.5, 1.5], [0.5, 1.5], [0, 0]]
