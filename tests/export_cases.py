"""Untrained runs for tests of exports, as directories and in memory, and batches of unequal clips."""

import json

import numpy as np
import torch

from ser.config.load import load_config, to_yaml
from ser.exporting.parity import padded_batch, torch_function
from ser.files import write_json
from ser.models import build_model
from ser.training.checkpoint import save_weights
from tests.tiny import ASSIGNMENTS
from tests.tiny_encoder import shaken, source

NAMES = ('happy', 'sad', 'angry')
RATE = 16000
VIEW = '{backbone: {kind: mvitv2, depths: [1, 1], embed_dim: [8, 16], num_heads: [1, 2]}}'
SPECTRAL = ['data.sample_rate=16000', 'features.sample_rate=16000', 'features.mel={n_fft: 512, bins: 20}']
CRNN = [*SPECTRAL, 'model={kind: crnn, features: [mel, mfcc, chroma], channels: [4, 6], pools: [[2, 2], [2, 2]], '
        'width: 8, hidden: 5, input_norm: true}', 'features.mfcc.coefficients=10',
        'features.sequence.reference=mean']
SSL = ['data.sample_rate=16000', 'features.sample_rate=16000', 'model.kind=ssl', 'features.min_samples=400',
       'model.head={kind: projector, hidden: 12}', f'model.encoder.source={source().model_dump_json()}']
MOE = [*SPECTRAL, 'features.min_samples=400', 'model={kind: moe, width: 12, channels: 8, features: [ssl, mel]}',
       f'model.encoder.source={source().model_dump_json()}',
       'model.ssl_transformer={layers: 1, heads: 2, feedforward: 16}',
       'model.spectral_transformer={layers: 1, heads: 2, feedforward: 16}']
SYSTEMS = {'maxmvit': ASSIGNMENTS, 'crnn': CRNN, 'ssl': SSL, 'moe': MOE}


def built(assignments=ASSIGNMENTS, more=(), names=NAMES):
    """(config, model in eval mode with shaken weights)."""
    torch.manual_seed(0)
    config = load_config(('base',), [*assignments, *more])
    return config, shaken(build_model(config, names)).eval().requires_grad_(False)


def made_run(path, assignments=ASSIGNMENTS, more=(), calibration=None, names=NAMES):
    """A run directory of such a model, as far as exports read it."""
    config, model = built(assignments, more, names)
    path.mkdir(parents=True)
    (path / 'config.yaml').write_text(to_yaml(config))
    (path / 'labels.json').write_text(json.dumps(list(names)))
    save_weights(path / 'best.safetensors', model.state_dict())
    if calibration:
        write_json(path / 'calibration.json', calibration)
    return path


def clips(rate=RATE, seed=1):
    """int16 clips: noise that swells and fades, a few samples, silence."""
    draw, made = np.random.default_rng(seed), []
    for length in (rate, int(rate * 0.37), 3, 1501, rate // 2 + 1):
        swell = np.sin(np.arange(length) / length * np.pi) ** 4
        made.append((draw.standard_normal(length) * 3000 * swell).astype(np.int16))
    return [*made, np.zeros(rate // 3, np.int16)]


def batch(found):
    """(int16 (B, T) with zeros beyond each clip, int64 (B,)) of int16 clips."""
    lengths = torch.tensor([len(clip) for clip in found])
    waveforms = torch.zeros(len(found), int(lengths.max()) + 50, dtype=torch.int16)
    for row, clip in zip(waveforms, found, strict=True):
        row[:len(clip)] = torch.from_numpy(clip)
    return waveforms, lengths


def as_float(waveforms, lengths):
    """float32 of such a batch, noise beyond each clip, which nothing may hear."""
    samples = waveforms / 32768
    for row, length in zip(samples, lengths, strict=True):
        row[length:] = 0.7
    return samples


def check(function, system):
    """The same numbers alone, padded, one clip or many, a sample or a second."""
    found = clips()
    eager = torch_function(system)
    wanted = eager(*padded_batch(found))
    assert np.isfinite(wanted).all() and np.ptp(wanted, axis=0).max() > 1e-4
    np.testing.assert_allclose(function(*padded_batch(found)), wanted, rtol=0, atol=1e-5)
    alone = np.concatenate([function(*padded_batch([clip])) for clip in found])
    np.testing.assert_allclose(alone, wanted, rtol=0, atol=1e-5)
    one = padded_batch([found[0][:1]])
    np.testing.assert_allclose(function(*one), eager(*one), rtol=0, atol=1e-5)
