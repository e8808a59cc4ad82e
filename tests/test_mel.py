import librosa
import numpy as np
import pytest
import torch
from oracles import decibels, librosa_mel, padded, real_clips, synthetic_clips

from ser.config.features import ChromaConfig, MelConfig
from ser.errors import SerError
from ser.features.cepstrum import Mfcc, slope
from ser.features.filters import chroma_filters, mel_filters
from ser.features.mel import ENGINES

CLIPS = synthetic_clips()


def banks(mel=None, rate=44100, names=('mel', 'chroma'), engine='banded'):
    return ENGINES[engine](mel or MelConfig(), ChromaConfig(), rate, names)


def power_of(clip, layer):
    return {name: value[0].double().numpy() for name, value in layer(torch.from_numpy(clip).float()[None]).items()}


@pytest.mark.parametrize('engine', ENGINES)
@pytest.mark.parametrize('name', CLIPS)
def test_mel_equals_librosa(name, engine):
    clip = padded(CLIPS[name])
    error = np.abs(decibels(power_of(clip, banks(engine=engine))['mel']) - decibels(librosa_mel(clip)))
    assert error.mean() < 0.001


def test_mel_of_real_clips_equals_librosa(real_corpora):
    layer, clips = banks(names=('mel',)), real_clips(real_corpora)
    assert len(clips) >= 20
    for clip in map(padded, clips):
        assert np.abs(decibels(power_of(clip, layer)['mel']) - decibels(librosa_mel(clip))).mean() < 0.001


def test_other_parameters_equal_librosa():
    clip = padded(synthetic_clips(16000)['voice'])
    ours = power_of(clip, banks(MelConfig(n_fft=1024, hop_length=160, bins=64, fmin_hz=50, fmax_hz=7000), 16000))['mel']
    expected = librosa.feature.melspectrogram(y=clip, sr=16000, n_fft=1024, hop_length=160, n_mels=64, fmin=50,
                                              fmax=7000, pad_mode='constant')
    assert np.abs(decibels(ours) - decibels(expected)).mean() < 0.001


@pytest.mark.parametrize(('rate', 'n_fft', 'bins'), [(44100, 4096, 12), (16000, 1024, 12), (22050, 2048, 24)])
def test_chroma_filters_are_librosas(rate, n_fft, bins):
    expected = librosa.filters.chroma(sr=rate, n_fft=n_fft, n_chroma=bins)
    np.testing.assert_allclose(chroma_filters(rate, n_fft, bins), expected, atol=1e-6)


def test_chroma_equals_librosa():
    clip = padded(CLIPS['voice'])
    expected = librosa.feature.chroma_stft(y=clip, sr=44100, n_fft=4096, hop_length=256, tuning=0, norm=None)
    ours = power_of(clip, banks())['chroma']
    assert ours.shape == expected.shape and np.abs(decibels(ours) - decibels(expected)).max() < 0.01


def test_a_tone_lights_its_pitch_class():
    tone = np.sin(2 * np.pi * 440 * np.arange(20000) / 44100)
    assert (power_of(tone, banks())['chroma'][:, 10:-10].argmax(axis=0) == 9).all()


def test_mfcc_equals_librosa():
    mel_db = decibels(librosa_mel(padded(CLIPS['voice'])))
    ours = Mfcc(40, 128)(torch.from_numpy(mel_db).float()[None])[0]
    np.testing.assert_allclose(ours, librosa.feature.mfcc(S=mel_db, n_mfcc=40), atol=2e-3)


@pytest.mark.parametrize(('engine', 'chunk_mb', 'expected'), [
    ('torchaudio', 8, [2, 2, 2, 1]), ('banded', 8, [162, 162, 162, 67]), ('banded', 'auto', [122] * 4 + [65]),
    ('banded', 0.001, [1] * 553)])
def test_chunks_change_nothing_and_bound_what_is_worked_on_at_once(engine, chunk_mb, expected):
    clips = torch.randn(7, 20000)
    whole, layer = (banks(MelConfig(chunk_mb=size), engine=engine) for size in (1e4, chunk_mb))
    seen = []
    chunk = layer._chunk
    layer._chunk = lambda *part: seen.append(len(part[1 if engine == 'banded' else 0])) or chunk(*part)
    parts = layer(clips)
    assert seen == expected
    for name, value in whole(clips).items():
        torch.testing.assert_close(parts[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('mel', [
    MelConfig(), MelConfig(n_fft=1024, hop_length=160, bins=64, fmin_hz=50, fmax_hz=7000),
    MelConfig(n_fft=512, hop_length=700, bins=40), MelConfig(n_fft=2048, hop_length=333, bins=200),
    MelConfig(n_fft=256, hop_length=64, bins=10)], ids=lambda mel: f'{mel.n_fft}-{mel.hop_length}-{mel.bins}')
@pytest.mark.parametrize('samples', [1, 255, 4096, 44100 - 44100 % 256, 50001])
def test_banded_equals_torchaudio_at_every_frame_and_at_those_shown(mel, samples):
    clips = torch.randn(3, samples, generator=torch.Generator().manual_seed(samples))
    ours, stock = (banks(mel, engine=engine) for engine in ('banded', 'torchaudio'))
    total = 1 + samples // mel.hop_length
    torch.manual_seed(samples)
    shown = torch.randint(total, (3, 2 * total)) if total < 20 else torch.randint(total, (3, total // 2))
    for numbers in (None, shown):
        expected = stock(clips, numbers)
        for name, power in ours(clips, numbers).items():
            assert power.shape == expected[name].shape and power.dtype == torch.float32
            # The sums run in another order, in float32: apart by rounding of the largest term.
            assert (power - expected[name]).abs().max() < 5e-6 * expected[name].max()


def test_banded_reads_only_the_frames_that_are_shown():
    layer, clips = banks(names=('mel',)), torch.randn(2, 60000)
    rows = []
    chunk = layer._chunk
    layer._chunk = lambda frames, part, *work: rows.append(len(part)) or chunk(frames, part, *work)
    layer(clips, torch.zeros(2, 50, dtype=torch.int64))
    assert sum(rows) == 2 * 50
    rows.clear()
    layer(clips, torch.zeros(2, 500, dtype=torch.int64))
    assert sum(rows) == 2 * (1 + 60000 // 256)


def test_mel_filters_are_torchaudios():
    mel = MelConfig(n_fft=1024, bins=40, fmin_hz=100)
    import torchaudio
    scale = torchaudio.transforms.MelScale(40, 16000, 100, None, 513, 'slaney', 'slaney')
    assert torch.equal(mel_filters(mel, 16000), scale.fb.T)


@pytest.mark.parametrize('engine', ENGINES)
def test_gradients_agree_with_those_of_the_definition(engine):
    clip = torch.randn(2, 5000, dtype=torch.float32)
    weights = {name: torch.randn(2, bands, 20) for name, bands in (('mel', 128), ('chroma', 12))}
    grads = []
    for layer in (banks(engine='torchaudio'), banks(MelConfig(chunk_mb=1), engine=engine)):
        samples = clip.clone().requires_grad_()
        sum((power * weights[name]).sum() for name, power in layer(samples).items()).backward()
        grads.append(samples.grad)
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-4, atol=1e-4 * grads[0].abs().max().item())


def test_padding_changes_nothing():
    clip = torch.from_numpy(padded(CLIPS['voice'])).float()
    alone, longer = (banks()(torch.nn.functional.pad(clip, (0, extra))[None]) for extra in (0, 12345))
    for name, value in alone.items():
        torch.testing.assert_close(longer[name][..., :value.shape[-1]], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('engine', ENGINES)
def test_silence_has_a_finite_gradient(engine):
    clip = torch.zeros(1, 6000, requires_grad=True)
    sum(power.sum() for power in banks(engine=engine)(clip).values()).backward()
    assert torch.isfinite(clip.grad).all()


def test_the_state_dict_is_empty():
    assert not any(banks(engine=engine).state_dict() for engine in ENGINES) and not Mfcc(13, 40).state_dict()


@pytest.mark.parametrize('order', [1, 2])
@pytest.mark.parametrize('width', [5, 9])
def test_slope_equals_librosa_on_each_clips_own_frames(order, width):
    values = torch.randn(3, 4, 40)
    frames = torch.tensor([40, 23, width])
    ours = slope(values, frames, width, order)
    for row, count in enumerate(frames.tolist()):
        expected = librosa.feature.delta(values[row, :, :count].double().numpy(), width=width, order=order)
        np.testing.assert_allclose(ours[row, :, :count], expected, atol=1e-5)


def test_slope_of_short_clips_takes_a_narrower_fit_or_is_zero():
    values = torch.randn(4, 2, 9)
    frames = torch.tensor([8, 5, 4, 2])
    ours = slope(values, frames, 9, 1)
    for row, (count, width) in enumerate([(8, 7), (5, 5), (4, 3)]):
        expected = librosa.feature.delta(values[row, :, :count].double().numpy(), width=width)
        np.testing.assert_allclose(ours[row, :, :count], expected, atol=1e-5)
    assert (ours[3] == 0).all()


def test_slope_never_reads_beyond_the_clip():
    values = torch.randn(1, 3, 30)
    poisoned = values.clone()
    poisoned[..., 20:] = 1e6
    frames = torch.tensor([20])
    for order in (1, 2):
        expected, ours = (slope(x, frames, 9, order, fewest=17)[..., :20] for x in (values, poisoned))
        assert torch.equal(ours, expected)


def test_slope_of_a_line_and_curvature_of_a_parabola():
    time = torch.arange(20.0)[None, None]
    torch.testing.assert_close(slope(3 * time, torch.tensor([20]), 9, 1), torch.full((1, 1, 20), 3.0))
    curved = slope(0.5 * time**2, torch.tensor([20]), 9, 2)
    torch.testing.assert_close(curved, torch.ones(1, 1, 20), atol=1e-4, rtol=0)


@pytest.mark.parametrize(('mel', 'message'), [
    (MelConfig(fmax_hz=9000), 'features.mel.fmax_hz: 9000 Hz is above half the sample rate of 16000 Hz; at most 8000'),
    (MelConfig(n_fft=1023), 'features.mel.n_fft: 1023 is odd; an even number of samples is wanted, such as 1024'),
    (MelConfig(fmin_hz=8000), 'features.mel.fmin_hz: 8000 Hz is not below the upper edge of 8000 Hz'),
])
def test_bands_that_do_not_fit_are_refused(mel, message):
    for engine in ENGINES:
        with pytest.raises(SerError, match=message):
            banks(mel, 16000, engine=engine)


def test_more_coefficients_than_bands_are_refused():
    with pytest.raises(SerError, match=r'features.mfcc.coefficients: 41 from 40 mel bands; at most 40'):
        Mfcc(41, 40)
