"""Views of exports: images and sequences of the trained front ends, alone and beside longer clips."""

import pytest
import torch

from ser.exporting.views import traceable_views
from tests.export_cases import CRNN, MOE, SSL, VIEW, as_float, batch, built, clips
from tests.tiny import ASSIGNMENTS

ALL = f'model.views={{cqt: {VIEW}, mel: {VIEW}, mfcc: {VIEW}, chroma: {VIEW}}}'
CASES = [
    (ASSIGNMENTS, ['data.sample_rate=22050']),
    (ASSIGNMENTS, [ALL, 'features.cqt={fmin_hz: 110, bins: 60, engine: nnaudio}', 'features.mfcc.coefficients=20']),
    (ASSIGNMENTS, ['features.image.channels=delta', 'features.mel.hop_length=200']),
    (ASSIGNMENTS, ['features.image={size: 32, channels: single, time: {kind: fixed, seconds: 0.7}, frames: all}']),
    (ASSIGNMENTS, ['features.waveform={trim: {kind: level}, length: {kind: fixed, seconds: 0.6}, level: {kind: rms}}']),
    (ASSIGNMENTS, ['features.mel.trainable=true', f'model.views={{mel: {VIEW}, cqt: {VIEW}}}',
                   'features.cqt={engine: nnaudio, trainable: true, fmin_hz: 110, bins: 50}']),
    (CRNN, []),
    (CRNN, ['features.chroma.scale=power', 'features.waveform.trim.kind=level']),
    (SSL, ['model.encoder.standardise=true']),
    (MOE, []),
]


@pytest.mark.parametrize(('assignments', 'more'), CASES)
def test_views_are_those_of_the_trained_front_end(assignments, more):
    config, model = built(assignments, more)
    found = clips(config.data.sample_rate)
    waveforms, lengths = batch(found)
    samples = as_float(waveforms, lengths)
    wanted, views = model.views(waveforms, lengths), traceable_views(config, model)
    made = views(samples, lengths)
    assert made.keys() == wanted.keys()
    for name, theirs in wanted.items():
        ours = made[name]
        if ours.shape != theirs.shape:
            shared = min(ours.shape[-1], theirs.shape[-1])
            assert not ours[..., shared:].any() and not theirs[..., shared:].any()
            ours, theirs = ours[..., :shared], theirs[..., :shared]
        # Sequences hold decibels; a third of a thousandth of one is what float32 leaves of the quietest.
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=5e-3 if theirs.ndim == 3 else 1e-3)
    alone = views(samples[1:2, :lengths[1]], lengths[1:2])
    for name, padded in made.items():
        own = alone[name]
        torch.testing.assert_close(padded[1:2, ..., :own.shape[-1]] if own.ndim > 1 else padded[1:2], own, rtol=1e-4,
                                   atol=1e-4)
