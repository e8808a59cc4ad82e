import math

import numpy as np
import pytest
import torch
import torchaudio

from ser.config.features import FeaturesConfig
from ser.config.schema import Config
from ser.errors import SerError
from ser.features.draw import Draw
from ser.features.mixup import Mix
from ser.features.waveform import Waveform, to_float, without_state
from ser.features.waveform_augment import draw_audio
from ser.shards.batch import padded_length


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


def augmenting(*steps, ids=(0, 1)):
    return Draw(audio=draw_audio(Config(augment={'waveform': steps}).augment.waveform, 0, 0, ids))


def test_audio_is_augmented_at_the_features_rate_between_resampling_and_cutting():
    front = waveform(8000, 16000, 1, waveform={'length': {'kind': 'fixed', 'seconds': 0.5}, 'level': {'kind': 'peak'}})
    clips, lengths = torch.ones(2, 8000, dtype=torch.int16), torch.tensor([8000, 3000])
    draw = augmenting({'kind': 'speed', 'factor': [2.0, 2.0]})
    stages = {name: (samples, counts) for name, samples, counts in front.stages(clips, lengths, draw)}
    assert list(stages) == ['raw', 'resampled', 'augmented', 'fixed', 'prepared']
    assert stages['resampled'][1].tolist() == [16000, 6000] and stages['augmented'][1].tolist() == [8000, 3000]
    assert stages['fixed'][0].shape == (2, 8000)
    assert 'augmented' not in [name for name, *_ in front.stages(clips, lengths)]
    assert 'augmented' not in [name for name, *_ in front.stages(clips, lengths, Draw())]


def test_batches_whose_clips_change_in_length_keep_to_the_lengths_that_batches_have():
    front = waveform(44100, 16000, 1)
    clips, lengths = torch.ones(2, padded_length(60000, 44100), dtype=torch.int16), torch.tensor([60000, 20000])
    samples, counts = front(clips, lengths, augmenting({'kind': 'speed', 'factor': [0.8, 0.8]}))
    assert counts.tolist() == [math.ceil(math.ceil(n * 16000 / 44100) / 0.8) for n in (60000, 20000)]
    longer = [front.padded(padded_length(n, 44100)) for n in (60000, 70000, 80000)]
    assert samples.shape[1] in longer and (samples[1, counts[1]:] == 0).all()
    steady, _ = front(clips, lengths, augmenting({'kind': 'gain'}))
    assert steady.shape[1] == longer[0]


TRIM = {'kind': 'level', 'below_db': 30.0, 'margin_seconds': 0.0}


def stages(front, *given):
    return {name: (samples, lengths) for name, samples, lengths in front.stages(*given)}


def speech_like(lengths, rate=16000, seed=0):
    """int16 noise with quiet ends, and noise beyond each clip's end, which must not matter."""
    torch.manual_seed(seed)
    waveforms = torch.randint(-20000, 20000, (len(lengths), max(lengths) + rate // 8), dtype=torch.int16)
    for row, length in zip(waveforms, lengths, strict=True):
        for quiet in (slice(0, length // 5), slice(length - length // 6, length)):
            row[quiet] = row[quiet] // 2000
    return waveforms, torch.tensor(lengths)


def test_stages_come_in_order_and_only_those_configured():
    given = speech_like([9000, 6000])
    assert list(stages(waveform(16000, 16000, 100), *given)) == ['raw', 'prepared']
    everything = waveform(22050, 16000, 100, waveform={
        'trim': TRIM, 'length': {'kind': 'fixed', 'seconds': 0.2}, 'level': {'kind': 'peak'}})
    found = stages(everything, *given)
    assert list(found) == ['raw', 'trimmed', 'resampled', 'fixed', 'prepared']
    assert found['trimmed'][1].tolist() != [9000, 6000] and (found['trimmed'][1] < found['raw'][1]).all()
    assert found['resampled'][1].tolist() == [math.ceil(n * 16000 / 22050) for n in found['trimmed'][1].tolist()]
    assert found['fixed'][0].shape == found['prepared'][0].shape == (2, 3200)
    last = everything(*given)
    assert torch.equal(last[0], found['prepared'][0]) and torch.equal(last[1], found['prepared'][1])


def test_no_stage_depends_on_what_lies_beyond_a_clip_or_beside_it():
    front = waveform(22050, 16000, 900, waveform={
        'trim': TRIM, 'length': {'kind': 'fixed', 'seconds': 0.25}, 'level': {'kind': 'rms'}})
    waveforms, lengths = speech_like([9000, 700, 6000])
    places = Draw(crop=torch.tensor([0.9, 0.3, 0.1]))
    together, kept = front(waveforms, lengths, places)
    for row, length in enumerate(lengths):
        alone, left = front(waveforms[row:row + 1, :length], lengths[row:row + 1], Draw(crop=places.crop[row:row + 1]))
        assert left == kept[row]
        torch.testing.assert_close(alone[0, :left], together[row, :left], atol=1e-6, rtol=1e-5)
        assert (together[row, max(left, 900):] == 0).all()


def test_a_fixed_length_is_cut_at_the_draw_in_training_and_at_the_centre_elsewhere():
    clips, lengths = torch.arange(1, 101, dtype=torch.int16).expand(2, -1), torch.tensor([100, 8])
    fixed = {'kind': 'fixed', 'seconds': 10 / 16000}
    front = waveform(16000, 16000, 1, waveform={'length': fixed})

    def first(front, draw=None):
        samples, kept = front(clips, lengths, draw)
        return round(samples[0, 0].item() * 32768), samples.shape[1], kept.tolist()

    assert first(front) == first(front, Draw()) == (46, 10, [10, 8])
    assert first(front, Draw(crop=torch.tensor([0.0, 0.5]))) == (1, 10, [10, 8])
    assert first(front, Draw(crop=torch.tensor([0.9999, 0.5]))) == (91, 10, [10, 8])
    whole = waveform(16000, 16000, 1, waveform={'length': {**fixed, 'evaluate': 'whole'}})
    assert first(whole) == (1, 100, [100, 8]) and first(whole, Draw()) == (46, 10, [10, 8])


@pytest.mark.parametrize(('level', 'expected'), [
    ({'kind': 'none'}, [0.25, -0.5]), ({'kind': 'peak'}, [0.5, -1.0]),
    # The mean square of the clip's own four samples is (0.0625 + 0.25) / 4.
    ({'kind': 'rms', 'target_db': -40.0}, [0.25 * 0.01 / 0.3125 ** 0.5 * 2, -0.5 * 0.01 / 0.3125 ** 0.5 * 2])])
def test_levels_by_hand_and_silence_stays(level, expected):
    waveforms = torch.tensor([[8192, 0, -16384, 0, 30000, 30000], [0, 0, 0, 0, 0, 9000]], dtype=torch.int16)
    samples, _ = waveform(16000, 16000, 1, waveform={'level': level})(waveforms, torch.tensor([4, 5]))
    torch.testing.assert_close(samples[0, [0, 2]], torch.tensor(expected))
    assert (samples[0, [1, 3, 4, 5]] == 0).all() and (samples[1] == 0).all()


def test_a_clip_of_no_sample_is_finite_at_any_level():
    for kind in ('peak', 'rms'):
        samples, lengths = waveform(16000, 16000, 50, waveform={'trim': TRIM, 'level': {'kind': kind}})(
            torch.full((2, 30), 5, dtype=torch.int16), torch.tensor([0, 1]))
        assert torch.isfinite(samples).all() and samples.shape == (2, 50) and lengths.tolist() == [50, 50]


@pytest.mark.parametrize('length', [{'kind': 'whole'}, {'kind': 'fixed', 'seconds': 0.3},
                                    {'kind': 'fixed', 'seconds': 0.3, 'evaluate': 'whole'}], ids=str)
@pytest.mark.parametrize(('stored', 'wanted'), [(16000, 16000), (44100, 16000), (8000, 16000)])
def test_padded_is_what_forward_makes(stored, wanted, length):
    front = waveform(stored, wanted, 1600, waveform={'length': length})
    for samples in (100, 1777, 2205, 30011):
        found = front(torch.ones(2, samples, dtype=torch.int16), torch.tensor([samples, 1]))[0]
        assert found.shape[1] == front.padded(samples)
    trimmed = waveform(stored, wanted, 1600, waveform={'length': length, 'trim': TRIM})
    assert trimmed(torch.ones(2, 30011, dtype=torch.int16), torch.tensor([30011, 1]))[0].shape[1] <= front.padded(30011)


@pytest.mark.parametrize('stored', [48000, 44100])
def test_resampling_on_the_device_is_within_50_db_of_soxrs_up_to_three_quarters_of_the_band(stored):
    import soxr

    random = np.random.default_rng(0)
    time = np.arange(stored) / stored
    tones = [np.sin(2 * np.pi * hz * time + phase) for hz, phase in random.uniform((80, 0), (5800, 6), (30, 2))]
    clip = 0.4 * sum(tones) / np.abs(sum(tones)).max()
    found = waveform(stored, 16000, 1)(torch.from_numpy(clip)[None], torch.tensor([stored]))[0][0].numpy()
    expected = soxr.resample(clip, stored, 16000, 'VHQ')
    inside = slice(400, -400)
    error = np.square(found - expected)[inside].mean() / np.square(expected)[inside].mean()
    assert len(found) == len(expected) == 16000 and 10 * np.log10(error) < -50
    ratio = np.square(found)[inside].mean() / np.square(expected)[inside].mean()
    assert abs(10 * np.log10(ratio)) < 0.02


def test_no_stage_reads_from_the_device():
    front = waveform(44100, 16000, 1600, waveform={
        'trim': TRIM, 'length': {'kind': 'fixed', 'seconds': 0.5}, 'level': {'kind': 'rms'}}).to('meta')
    mix = Mix(torch.empty(3, dtype=torch.int64, device='meta'), torch.empty((), device='meta'))
    draw = Draw(crop=torch.empty(3, device='meta'), mix=mix)
    found = stages(front, torch.empty(3, 60000, dtype=torch.int16, device='meta'),
                   torch.empty(3, dtype=torch.int64, device='meta'), draw)
    # Cutting padding after a trim would read a length.
    assert found['trimmed'][0].shape == (3, 60000) and found['prepared'][0].shape == (3, 8000)
