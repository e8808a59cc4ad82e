"""Benchmark options small enough for tests: two views of 32 px at 16 kHz, half-second clips."""

import pytest
import torch

from ser.benchmarks import timing
from ser.benchmarks.run import build_options
from ser.config.load import load_config
from tests.tiny import ASSIGNMENTS

CQT = ['model.views.cqt={backbone: {kind: mvitv2, depths: [1, 1], embed_dim: [8, 16], num_heads: [1, 2]}}',
       'features.cqt.hop_length=128', 'features.cqt.bins=72', 'features.mel.hop_length=128']


def tiny_config(*assignments):
    """tests.tiny's config with a CQT view beside its Mel."""
    return load_config(('base',), [*ASSIGNMENTS, *CQT, *assignments])


def crnn_config(*assignments):
    """A CRNN on short sequences at 16 kHz."""
    sizes = ['features.mel={n_fft: 512, hop_length: 320, bins: 16}', 'features.sample_rate=16000',
             'data.sample_rate=16000', 'data.workers=0', 'run.threads=1', 'model={kind: crnn, features: [mel, chroma], '
             'channels: [4], pools: [[2, 2]], width: 8, hidden: 4}', 'augment.spec_augment={kind: masks}']
    return load_config(('base',), [*sizes, *assignments])


def tiny_options(stages=None, against=(), assignments=(), **given):
    """BenchmarkOptions over tiny_config, or another `config`."""
    config = given.pop('config', None) or tiny_config(*assignments)
    given = {'batches': (4,), 'seconds': 0.5, 'repeats': 1, **given}
    return build_options(config, torch.device('cpu'), stages=stages, against=against, **given)


@pytest.fixture(autouse=True)
def no_long_warm_up(monkeypatch):
    """For modules that import it: one call before the timings."""
    monkeypatch.setattr(timing, 'WARM_UP', {'cpu': (1, 0.0)})
