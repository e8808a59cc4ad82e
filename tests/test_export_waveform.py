"""Stages of waveforms in exports: those of the trained front end, whatever lies beyond a clip."""

import pytest
import torch

from ser.config.load import load_config
from ser.exporting.waveform import TraceableWaveform
from ser.features.waveform import Waveform
from tests.export_cases import as_float, batch, clips

STAGES = [
    (16000, []),
    (22050, []),
    (8000, ['length={kind: fixed, seconds: 0.6}']),
    (16000, ['trim.kind=level', 'length={kind: fixed, seconds: 0.3}', 'level.kind=rms']),
    (11025, ['trim={kind: level, window_seconds: 0.05, margin_seconds: 0.01}', 'level.kind=peak',
             'length={kind: fixed, seconds: 0.3, evaluate: whole}']),
]


@pytest.mark.parametrize(('rate', 'stages'), STAGES)
def test_every_stage_is_the_trained_one(rate, stages):
    features = load_config(('base',), ['features.sample_rate=16000', 'features.min_samples=1000',
                                       *(f'features.waveform.{stage}' for stage in stages)]).features
    waveforms, lengths = batch(clips(rate))
    wanted, kept = Waveform(features, rate)(waveforms, lengths)
    found, counts = TraceableWaveform(features, rate)(as_float(waveforms, lengths), lengths)
    assert torch.equal(counts, kept)
    shared = min(found.shape[1], wanted.shape[1])
    torch.testing.assert_close(found[:, :shared], wanted[:, :shared], rtol=0, atol=1e-6)
    assert not found[:, shared:].any() and not wanted[:, shared:].any()


def test_lengths_beyond_the_batch_are_cut():
    features = load_config(('base',), ['features.sample_rate=16000', 'features.min_samples=100']).features
    found, counts = TraceableWaveform(features, 16000)(torch.ones(1, 500), torch.tensor([900]))
    assert counts.tolist() == [500] and found.sum() == 500
