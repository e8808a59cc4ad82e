"""What happens in an encoder of waveforms: the hidden states of each layer over time, and where its frames lie."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ser.inference.timeline import stages_of
from ser.models.whisper_encoder import SAMPLES_PER_FRAME


@dataclass(frozen=True)
class Layers:
    """Of what enters the first of L layers and of what each of them gives, for the clip's own N frames.

    norms float32 (L + 1, N): the root mean square over channels, which normalisation holds constant in many encoders.
    distances float32 (L + 1, N): the same of each frame less the mean frame of its layer: how it stands out.
    edges float64 (N + 1,): seconds of the clip between which the frames lie.
    """

    norms: np.ndarray
    distances: np.ndarray
    edges: np.ndarray


@torch.no_grad()
def hear_layers(model, samples):
    """The Layers of int16 (n,) samples in a SpeechModel in eval mode; None where its network has no encoder."""
    encoder = getattr(model.network, 'encoder', None)
    if encoder is None:
        return None
    views = model.views(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
    prepared = stages_of(model.front_end.waveform, samples)[-1]
    edges = frame_edges(encoder, views['samples'], prepared.sample_rate)
    norms, distances = [], []
    for state in hidden_states(encoder, views['waveform'], views['samples']):
        own = state[0, :len(edges) - 1].float()
        norms.append(own.square().mean(dim=1).sqrt().numpy())
        distances.append((own - own.mean(dim=0)).square().mean(dim=1).sqrt().numpy())
    return Layers(np.stack(norms), np.stack(distances), prepared.start_seconds + edges)


def hidden_states(encoder, waveform, samples):
    """Yield float (B, N, width) of models.encoders.Encoder: what enters its layers, then what each of them gives."""
    longest = encoder.body.longest
    if longest is not None:
        waveform, samples = waveform[:, :longest], samples.clamp(max=longest)
    yield from encoder.body.states(waveform, samples, lambda function, *tensors: function(*tensors))


def frame_edges(encoder, samples, sample_rate):
    """Where the frames of an Encoder for one clip of `samples` int64 (1,) lie: float64 (N + 1,) seconds from the first.

    A frame stands for as many samples as it is from its neighbours, around the middle of those it is computed from.
    """
    body = encoder.body
    stride = (SAMPLES_PER_FRAME if encoder.family == 'whisper' else
              math.prod(stride for _, stride in body.convolutions))
    count = int(body.frames(samples if body.longest is None else samples.clamp(max=body.longest))[0])
    return (np.arange(count + 1) * stride + (body.receptive - stride) / 2) / sample_rate



def in_proportion(values):
    """float64 of the same shape (L + 1, N): each layer by its own mean over time, since layers differ in scale."""
    mean = values.mean(axis=1, keepdims=True, dtype=np.float64)
    return values / np.where(mean > 0, mean, 1.0)
