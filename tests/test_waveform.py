import math

import numpy as np
import pytest
import torch
import torchaudio

from ser.config.features import FeaturesConfig
from ser.errors import SerError
from ser.features.waveform import Waveform, to_float, without_state


def waveform(data_rate, sample_rate, min_samples, **features):
    config = FeaturesConfig(sample_rate=sample_rate, min_samples=min_samples, **features)
    return Waveform(config, data_rate)


def test_int16_becomes_float32_in_the_unit_interval():
    samples = to_float(torch.tensor([[-32768, -1, 0, 1, 32767]], dtype=torch.int16))
    assert samples.dtype == torch.float32
    assert samples.tolist() == [[-1.0, -1 / 32768, 0.0, 1 / 32768, 32767 / 32768]]


def test_float_samples_pass_and_become_float32():
    samples = torch.tensor([[0.5, -0.25]], dtype=torch.float64)
    assert to_float(samples).dtype == torch.float32 and to_float(samples).tolist() == [[0.5, -0.25]]


@pytest.mark.parametrize(('waveforms', 'message'), [
    (torch.zeros(4, dtype=torch.int16), r'waveforms of shape \(4,\): \(clips, samples\) is wanted'),
    (torch.zeros(2, 4, dtype=torch.int32), r'waveforms of type torch.int32: int16, or float in \[-1, 1\], is wanted'),
])
def test_other_shapes_and_types_are_refused(waveforms, message):
    with pytest.raises(SerError, match=message):
        to_float(waveforms)


def test_nothing_remains_beyond_the_clip():
    waveforms = torch.full((2, 6000), 77, dtype=torch.int16)
    samples, lengths = waveform(44100, 44100, 4096)(waveforms, torch.tensor([5000, 6000]))
    assert (samples[0, :5000] != 0).all() and (samples[0, 5000:] == 0).all() and (samples[1] != 0).all()
    assert lengths.tolist() == [5000, 6000]


def test_short_clips_count_as_the_least_length():
    samples, lengths = waveform(44100, 44100, 4096)(torch.ones(2, 100, dtype=torch.int16), torch.tensor([100, 0]))
    assert samples.shape == (2, 4096) and lengths.tolist() == [4096, 4096]
    assert samples[0, :100].min() > 0 and samples[0, 100:].abs().max() == 0 and samples[1].abs().max() == 0


@pytest.mark.parametrize(('stored', 'wanted'), [(44100, 16000), (16000, 44100), (48000, 44100), (8000, 16000)])
def test_resampling_is_torchaudios_with_the_length_rounded_up(stored, wanted):
    clips = torch.from_numpy(np.random.default_rng(1).integers(-9000, 9000, (2, 20011)).astype(np.int16))
    front = waveform(stored, wanted, 1)
    samples, lengths = front(clips, torch.tensor([20011, 12345]))
    assert lengths.tolist() == [math.ceil(20011 * wanted / stored), math.ceil(12345 * wanted / stored)]
    assert samples.shape[1] == lengths[0] and (samples[1, lengths[1]:] == 0).all()
    for row, length in enumerate((20011, 12345)):
        expected = torchaudio.functional.resample(clips[row, :length] / 32768.0, stored, wanted)
        torch.testing.assert_close(samples[row, :len(expected)], expected, atol=1e-5, rtol=0)
    assert not front.state_dict()


def test_resampling_a_tone_keeps_the_tone():
    time, wanted = np.arange(44100) / 44100, np.arange(16000) / 16000
    clip = torch.from_numpy((0.5 * np.sin(2 * np.pi * 700 * time) * 32768).astype(np.int16))[None]
    samples, _ = waveform(44100, 16000, 1)(clip, torch.tensor([44100]))
    difference = samples[0].numpy() - 0.5 * np.sin(2 * np.pi * 700 * wanted)
    assert np.abs(difference[200:-200]).max() < 2e-3


def test_buffers_leave_the_state_dict_and_still_move():
    module = without_state(torch.nn.Sequential(torch.nn.BatchNorm1d(3, affine=False)))
    assert not module.state_dict() and module[0].running_mean.shape == (3,)
    assert module.to(torch.float64)[0].running_mean.dtype == torch.float64
