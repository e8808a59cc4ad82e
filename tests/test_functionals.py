"""Statistics over time against numpy and scipy; stretches; the vector of a clip alone and in a padded batch."""

import numpy as np
import pytest
import scipy.stats
import torch

from ser.config.baselines import FunctionalsConfig
from ser.config.load import load_config
from ser.features.functionals import (
    PERCENTILES,
    STATISTICS,
    WHOLE,
    Functionals,
    FunctionalsFrontEnd,
    changes,
    runs,
    statistics,
)
from tests.oracles import synthetic_clips

RATE, HOP = 16000, 0.01
FEATURES = load_config(('base',), ('data.sample_rate=16000', 'features.sample_rate=16000',
                                   'features.min_samples=1600'), {}).features


@pytest.fixture(scope='module')
def front_end():
    return FunctionalsFrontEnd(FEATURES, FunctionalsConfig(), RATE)


def batch(*clips):
    lengths = torch.tensor([len(clip) for clip in clips])
    waveforms = torch.zeros(len(clips), int(lengths.max()) + 4000, dtype=torch.int16)
    for row, clip in zip(waveforms, clips, strict=True):
        row[:len(clip)] = torch.from_numpy(clip)
    return waveforms, lengths


def named(values, mask):
    return dict(zip(STATISTICS, statistics(values, mask, HOP).unbind(dim=2), strict=True))


@pytest.mark.parametrize('holes', [False, True], ids=['whole', 'with holes'])
def test_statistics_are_scipys_over_the_frames_that_count(holes):
    random = np.random.default_rng(0)
    values = random.gamma(2.0, size=(3, 2, 90)) + np.linspace(0, 3, 90)
    mask = np.arange(90) < np.array([[90], [41], [7]])
    if holes:
        mask &= random.random((3, 90)) < 0.6
    found = named(torch.from_numpy(values), torch.from_numpy(mask)[:, None])
    for clip in range(3):
        times = np.arange(90)[mask[clip]] * HOP
        for row in range(2):
            x = values[clip, row, mask[clip]]
            line, bow = np.polyfit(times, x, 1), np.polyfit(times, x, 2)
            both = mask[clip, 1:] & mask[clip, :-1]
            steps = np.diff(values[clip, row])[both] / HOP
            wanted = {'mean': x.mean(), 'deviation': x.std(), 'skewness': scipy.stats.skew(x),
                      'kurtosis': scipy.stats.kurtosis(x), 'slope': line[0], 'curvature': bow[0],
                      'residual': np.sqrt(np.mean((x - np.polyval(line, times)) ** 2)),
                      'rise': steps[steps > 0].mean() if (steps > 0).any() else 0,
                      'fall': steps[steps < 0].mean() if (steps < 0).any() else 0,
                      'range99': np.subtract(*np.percentile(x, [99, 1])),
                      'range95': np.subtract(*np.percentile(x, [95, 5])),
                      'range75': np.subtract(*np.percentile(x, [75, 25]))}
            wanted |= {f'p{round(100 * share)}': np.percentile(x, 100 * share) for share in PERCENTILES}
            assert set(wanted) == set(STATISTICS)
            for name, number in wanted.items():
                assert found[name][clip, row].item() == pytest.approx(number, rel=1e-4, abs=1e-6), name


def test_of_no_frame_and_of_a_constant_every_statistic_is_finite():
    values, mask = torch.full((2, 1, 20), 7.5), torch.ones(2, 1, 20, dtype=torch.bool)
    mask[1] = False
    found = named(values, mask)
    assert all(torch.isfinite(value).all() for value in found.values())
    assert all(value[1].item() == 0 for value in found.values())
    told = {name: value[0].item() for name, value in found.items()}
    assert told.pop('mean') == 7.5 and all(told.pop(f'p{round(100 * share)}') == 7.5 for share in PERCENTILES)
    assert set(told.values()) == {0.0}


@pytest.mark.parametrize('frames', [1, 2, 3])
def test_few_frames_have_no_curve_to_speak_of(frames):
    mask = (torch.arange(5) < frames)[None, None]
    found = named(torch.tensor([[[1.0, 3.0, 4.0, 9.0, 9.0]]]), mask)
    assert all(torch.isfinite(value).all() for value in found.values())
    assert (found['slope'].item() != 0) == (frames > 1) and (found['curvature'].item() != 0) == (frames > 2)


def test_changes_are_slopes_of_five_frames():
    values = torch.from_numpy(np.random.default_rng(3).standard_normal((1, 2, 30)))
    found = changes(values)
    for at in range(2, 28):
        wanted = [np.polyfit(np.arange(-2, 3), row[at - 2:at + 3], 1)[0] for row in values[0].numpy()]
        np.testing.assert_allclose(found[0, :, at], wanted, atol=1e-9)


def test_stretches_are_counted_with_their_lengths():
    mask = torch.tensor([[1, 1, 0, 1, 0, 0, 1, 1, 1, 1], [0] * 10, [1] * 10], dtype=torch.bool)
    mean, longest, deviation, number = (part.tolist() for part in runs(mask))
    assert mean == pytest.approx([7 / 3, 0, 10]) and longest == [4, 0, 10] and number == [3, 0, 1]
    assert deviation == pytest.approx([np.std([2, 1, 4]), 0, 0])


def test_every_number_has_a_name_of_its_own(front_end):
    values = front_end(*batch(synthetic_clips(RATE)['voice']))['functionals']
    assert values.shape == (1, len(front_end.names)) and values.dtype == torch.float32
    assert len(set(front_end.names)) == len(front_end.names) > 1000
    assert front_end.names[-len(WHOLE):] == WHOLE


def test_a_clip_gives_the_same_alone_and_in_a_padded_batch(front_end):
    clips = [clip[:length] for clip, length in zip(synthetic_clips(RATE).values(), (20000, 9000, 11000, 900),
                                                   strict=True)]
    together = front_end(*batch(*clips))['functionals']
    for clip, row in zip(clips, together, strict=True):
        alone = front_end(torch.from_numpy(clip)[None], torch.tensor([len(clip)]))['functionals'][0]
        torch.testing.assert_close(row, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('samples', [5, 80, 200, 300, 400])
def test_a_clip_of_a_few_milliseconds_takes_no_step_in_its_silence(front_end, samples):
    random = np.random.default_rng(0)
    clip, other = random.integers(-3000, 3000, samples).astype(np.int16), np.arange(10 * RATE) % 311 * 60
    together = front_end(*batch(clip, other.astype(np.int16)))['functionals'][0]
    alone = front_end(torch.from_numpy(clip)[None], torch.tensor([samples]))['functionals'][0]
    steps = [number for number, name in enumerate(front_end.names) if name.endswith(('_rise', '_fall'))]
    torch.testing.assert_close(together[steps], alone[steps], atol=1e-3, rtol=1e-3)


def test_silence_the_shortest_and_a_minute_are_finite(front_end):
    minute = np.random.default_rng(0).integers(-3000, 3000, 60 * RATE).astype(np.int16)
    for clips in ((minute,), (minute[:800], np.zeros(RATE, dtype=np.int16))):
        assert torch.isfinite(front_end(*batch(*clips))['functionals']).all()


def test_syllables_and_pauses_are_heard_as_many_as_there_are():
    time = np.arange(2 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 10))
    # Four bursts a second, each of 125 ms.
    wave = 0.2 * tone * (np.sin(2 * np.pi * 4 * time) > 0) * np.abs(np.sin(2 * np.pi * 4 * time)) ** 0.5
    functionals = Functionals(FunctionalsConfig(), RATE, -80.0)
    with torch.no_grad():
        found = functionals(torch.from_numpy(wave).float()[None], torch.tensor([len(wave)]))[0]
    told = dict(zip(functionals.names, found.tolist(), strict=True))
    assert told['seconds'] == pytest.approx(2, abs=0.05)
    assert told['voiced_per_second'] == pytest.approx(4, abs=0.6)
    assert told['peaks_per_second'] == pytest.approx(4, abs=0.6)
    assert 0.1 < told['voiced_mean'] < 0.17 and 0.07 < told['unvoiced_mean'] < 0.16
    assert told['voiced_mean'] <= told['voiced_longest'] < 0.2


def test_what_is_trimmed_is_not_heard():
    trimmed = FEATURES.model_copy(update={'waveform': load_config(
        ('base',), ('features.waveform.trim={kind: level, margin_seconds: 0.0}',), {}).features.waveform})
    voice = synthetic_clips(RATE)['voice']
    front_end = FunctionalsFrontEnd(trimmed, FunctionalsConfig(), RATE)
    seconds = front_end.names.index('seconds')
    quiet = np.zeros(RATE, dtype=np.int16)
    found = [front_end(*batch(clip))['functionals'][0, seconds].item()
             for clip in (voice, np.concatenate([quiet, voice, quiet]))]
    assert found[0] == pytest.approx(found[1], abs=0.03)
