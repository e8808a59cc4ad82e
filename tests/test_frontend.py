import contextlib

import numpy as np
import pytest
import torch
from oracles import (
    cqt_power,
    decibels,
    definition_db,
    librosa_cqt,
    librosa_mel,
    padded,
    real_clips,
    resize,
    synthetic_clips,
    unit,
)

from ser.config.augment import AugmentConfig, MaskSpecAugment
from ser.config.features import CqtConfig, FeaturesConfig, FixedTime, ImageConfig, MelConfig, StretchTime
from ser.errors import SerError
from ser.features.augment import draw_spec_augment
from ser.features.draw import Draw
from ser.features.frontend import FrontEnd

CLIPS = list(synthetic_clips().values())
BOTH = {'cqt': 'cqt', 'mel': 'mel'}
ALL = {**BOTH, 'mfcc': 'mfcc', 'chroma': 'chroma'}


def front_end(views=BOTH, augment=None, data_rate=44100, **features):
    return FrontEnd(FeaturesConfig(**features), augment or AugmentConfig(), views, data_rate)


def batch(clips, spare=0):
    """Clips as one int16 batch; what lies beyond a clip is noise, which must not matter."""
    total = max(map(len, clips)) + spare
    waveforms = torch.randint(-20000, 20000, (len(clips), total), dtype=torch.int16)
    for row, clip in zip(waveforms, clips, strict=True):
        row[:len(clip)] = torch.from_numpy(clip)
    return waveforms, torch.tensor([len(clip) for clip in clips])


@pytest.mark.parametrize(('cqt', 'mel'), [('folded', 'banded'), ('nnaudio', 'torchaudio')])
@pytest.mark.parametrize('time', [StretchTime(), FixedTime(seconds=1.0)], ids=['stretch', 'fixed'])
@pytest.mark.parametrize(('channels', 'frames'), [('replicate', 'shown'), ('single', 'all'), ('delta', 'shown')])
def test_a_clip_alone_equals_the_clip_in_a_padded_batch(cqt, mel, time, channels, frames):
    clips = CLIPS if cqt == 'folded' else [CLIPS[2], CLIPS[3]]
    image = ImageConfig(size=64, time=time, channels=channels, frames=frames)
    front = front_end(ALL, cqt=CqtConfig(engine=cqt), mel=MelConfig(engine=mel), image=image)
    together = front.raw_images(*batch(clips, spare=5000))
    for row, clip in enumerate(clips):
        alone = front.raw_images(*batch([clip]))
        for view, image in alone.items():
            assert (image[0] - together[view][row]).abs().max() < 1e-4


def test_real_clips_alone_equal_the_same_clips_in_a_padded_batch(real_corpora):
    front, clips = front_end(), real_clips(real_corpora)[::2]
    together = front.raw_images(*batch(clips))
    for row, clip in enumerate(clips):
        for view, image in front.raw_images(*batch([clip])).items():
            assert (image[0] - together[view][row]).abs().max() < 1e-4


@pytest.mark.slow
def test_real_images_equal_an_independent_computation(real_corpora):
    front, clips = front_end(image=ImageConfig(frames='all')), real_clips(real_corpora)
    assert len(clips) >= 20
    for clip in clips:
        images = {view: image[0, 0].numpy() for view, image in front.raw_images(*batch([clip])).items()}
        expected = {'mel': (resize(unit(decibels(librosa_mel(padded(clip)))), 224), 1e-4),
                    'cqt': (resize(unit(decibels(librosa_cqt(padded(clip)) ** 2)), 224), 0.01)}
        for view, (image, tolerance) in expected.items():
            assert np.abs(images[view] - image).mean() < tolerance
        definition = resize(unit(definition_db(clip.tobytes())), 224)
        assert np.abs(images['cqt'] - definition).mean() < 0.0005


@pytest.mark.parametrize('clip', CLIPS, ids=['chirp', 'voice', 'clicks', 'short'])
def test_synthetic_images_equal_an_independent_computation(clip):
    front = front_end(image=ImageConfig(frames='all'))
    images = front.raw_images(*batch([clip]))
    mel = resize(unit(decibels(librosa_mel(padded(clip)))), 224)
    assert np.abs(images['mel'][0, 0].numpy() - mel).mean() < 1e-4
    definition = resize(unit(definition_db(clip.tobytes())), 224)
    # The least cell of a clean tone is a null, and min-max takes it as its foot.
    assert np.abs(images['cqt'][0, 0].numpy() - definition).mean() < 0.002
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normalised = (mel - mean[:, None, None]) / std[:, None, None]
    assert np.abs(front(*batch([clip]))['mel'][0].numpy() - normalised).mean() < 1e-3


def shown_only(values, size):
    """`values` (F, T) without the frames that no column of a `size` wide image lies between, and their image."""
    total = values.shape[1]
    source = np.clip((np.arange(size) + 0.5) * total / size - 0.5, 0, total - 1)
    kept = sorted({*np.floor(source).astype(int), *np.minimum(np.floor(source).astype(int) + 1, total - 1)})
    power = np.zeros_like(values)
    power[:, kept] = unit(decibels(values[:, kept]))
    return resize(power, size)


@pytest.mark.parametrize('engines', [('folded', 'banded'), ('nnaudio', 'torchaudio')])
def test_levels_are_those_of_the_frames_shown(engines):
    clip = CLIPS[1]
    cqt, mel = engines
    front = front_end(cqt=CqtConfig(engine=cqt), mel=MelConfig(engine=mel), image=ImageConfig(size=32))
    images = front.raw_images(*batch([clip], spare=9000))
    mel = shown_only(librosa_mel(padded(clip)), 32)
    assert np.abs(images['mel'][0, 0].numpy() - mel).mean() < 1e-4
    definition = shown_only(cqt_power(padded(clip)), 32)
    assert np.abs(images['cqt'][0, 0].numpy() - definition).mean() < 0.002


@pytest.mark.slow
def test_real_images_of_the_frames_shown_are_close_to_those_of_all(real_corpora):
    shown, every = front_end(), front_end(image=ImageConfig(frames='all'))
    for clip in real_clips(real_corpora):
        images, full = (front.raw_images(*batch([clip])) for front in (shown, every))
        for view, image in images.items():
            # 0.4 dB of 80: by so much may the loudest frame be one that no column reads.
            assert (image - full[view]).abs().mean() < 0.005
            if len(clip) < 256 * 2 * 224:
                assert torch.equal(image, full[view])


def test_delta_channels_are_the_slopes_scaled_on_their_own():
    import librosa

    db = decibels(librosa_mel(padded(CLIPS[1])))
    expected = [resize(unit(x), 224) for x in (db, librosa.feature.delta(db), librosa.feature.delta(db, order=2))]
    images = front_end(image=ImageConfig(channels='delta')).raw_images(*batch([CLIPS[1]]))['mel'][0]
    assert np.abs(images.numpy() - np.stack(expected)).mean() < 1e-3


def test_mfcc_and_chroma_equal_librosa():
    import librosa

    features = front_end(ALL).features(*batch([CLIPS[1]], spare=3000))
    mel_db = decibels(librosa_mel(padded(CLIPS[1])))
    mfcc, frames = features['mfcc']
    assert frames.tolist() == [mel_db.shape[1]]
    np.testing.assert_allclose(mfcc[0, :, :frames[0]], librosa.feature.mfcc(S=mel_db, n_mfcc=40), atol=0.02)
    chroma = librosa.feature.chroma_stft(y=padded(CLIPS[1]), sr=44100, n_fft=4096, hop_length=256, tuning=0, norm=None)
    np.testing.assert_allclose(features['chroma'][0][0, :, :frames[0]], decibels(chroma), atol=0.02)


def test_features_are_what_the_views_show():
    features = front_end({'low': 'cqt', 'high': 'cqt'}).features(*batch(CLIPS))
    assert list(features) == ['cqt']
    values, frames = features['cqt']
    assert values.shape == (4, 84, 1 + len(CLIPS[0]) // 512) and values.dtype == torch.float32
    assert frames.tolist() == [1 + max(len(clip), 4096) // 512 for clip in CLIPS]
    assert values.max() == 0 and values.min() == -80


def test_a_feature_of_two_views_is_computed_once(monkeypatch):
    front = front_end({'a': 'mel', 'b': 'mel', 'c': 'mfcc'})
    calls = []
    transform = torch.fft.rfft
    monkeypatch.setattr(torch.fft, 'rfft', lambda x, **kept: calls.append(len(x)) or transform(x, **kept))
    images = front(*batch([CLIPS[3]]))
    assert calls == [1 + 4096 // 256] and torch.equal(images['a'], images['b']) and list(images) == ['a', 'b', 'c']


@pytest.mark.parametrize('channels', ['replicate', 'delta'])
@pytest.mark.parametrize('engine', ['folded', 'nnaudio'])
def test_silence_is_finite_in_value_and_gradient(engine, channels):
    front = front_end(ALL, cqt=CqtConfig(engine=engine), image=ImageConfig(size=64, channels=channels))
    waveforms = torch.zeros(2, 5000, requires_grad=True)
    images = front(waveforms, torch.tensor([5000, 0]))
    assert all(torch.isfinite(image).all() for image in images.values())
    sum(image.sum() for image in images.values()).backward()
    assert torch.isfinite(waveforms.grad).all()


def test_a_gradient_flows_only_when_asked_for():
    front = front_end(image=ImageConfig(size=64))
    waveforms, lengths = batch([CLIPS[3]])
    assert not any(image.requires_grad for image in front(waveforms, lengths).values())
    samples = (waveforms / 32768.0).requires_grad_()
    front(samples, lengths)['cqt'].square().sum().backward()
    assert torch.isfinite(samples.grad).all() and samples.grad.abs().max() > 0
    with torch.no_grad():
        assert not front(samples, lengths)['mel'].requires_grad


def test_autocast_changes_nothing():
    front = front_end(ALL)
    waveforms, lengths = batch(CLIPS[2:])
    plain = front(waveforms, lengths)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = front(waveforms, lengths)
    for view, image in plain.items():
        assert inside[view].dtype == torch.float32 and torch.equal(inside[view], image)


@pytest.mark.parametrize('channels', ['replicate', 'single', 'delta'])
def test_shapes_parameters_and_state(channels):
    front = front_end(ALL, image=ImageConfig(size=96, channels=channels))
    images = front(*batch(CLIPS[2:]))
    assert list(images) == list(ALL)
    assert {image.shape for image in images.values()} == {(2, 1 if channels == 'single' else 3, 96, 96)}
    assert not front.state_dict() and not list(front.parameters())


def test_other_settings_work_with_resampling_on_the_device():
    front = front_end(ALL, data_rate=44100, sample_rate=16000, min_samples=2048, image=ImageConfig(size=96),
                      cqt=CqtConfig(hop_length=256, bins=70), mel=MelConfig(n_fft=1024, hop_length=160, bins=64))
    together, alone = (front.raw_images(*batch(clips)) for clips in (CLIPS, CLIPS[2:3]))
    for view, image in alone.items():
        assert (image[0] - together[view][2]).abs().max() < 1e-4


def test_masks_are_drawn_before_and_lie_on_the_unit_image():
    augment = AugmentConfig(spec_augment=MaskSpecAugment(time_width=0.4, frequency_width=0.4))
    front = front_end(augment=augment, image=ImageConfig(size=96, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0)))
    waveforms, lengths = batch(CLIPS)
    draw = Draw(draw_spec_augment(augment.spec_augment, tuple(BOTH), 0, 3, [10, 11, 12, 13]))
    plain, masked = front(waveforms, lengths), front(waveforms, lengths, draw)
    assert torch.equal(front(waveforms, lengths, draw)['cqt'], masked['cqt'])
    for view in BOTH:
        changed = masked[view] != plain[view]
        assert changed.any() and (masked[view][changed] == -0.5).all()
    assert not torch.equal(masked['cqt'] == plain['cqt'], masked['mel'] == plain['mel'])
    one = Draw(draw_spec_augment(augment.spec_augment, tuple(BOTH), 0, 3, [12]))
    assert (front(*batch([CLIPS[2]]), one)['mel'][0] - masked['mel'][2]).abs().max() < 1e-4


def test_masks_without_their_settings_are_refused():
    draw = Draw(draw_spec_augment(MaskSpecAugment(), ('mel',), 0, 0, [0]))
    with pytest.raises(SerError, match=r"augment.spec_augment.kind is 'none'; set it to 'masks'"):
        front_end({'mel': 'mel'})(*batch([CLIPS[3]]), draw)


def test_an_unknown_feature_is_refused():
    with pytest.raises(SerError, match=r"model.views.left: no feature is called 'mell'. Features: cqt, mel, mfcc, "
                                       "chroma. Did you mean 'mel'"):
        front_end({'left': 'mell'})


@pytest.mark.parametrize('product', ['complex', 'real'])
@pytest.mark.parametrize('features', [
    {}, {'image': {'time': {'kind': 'fixed'}}}, {'image': {'channels': 'delta'}}, {'image': {'frames': 'all'}},
    {'sample_rate': 16000}], ids=str)
def test_nothing_is_read_back_from_the_device(monkeypatch, product, features):
    # Meta tensors have shapes and no numbers: reading one, or mixing it with a tensor of the host, raises.
    monkeypatch.setattr(torch, 'autocast', lambda *args, **options: contextlib.nullcontext())
    augment = AugmentConfig(spec_augment=MaskSpecAugment(probability=0.5, fill='mean'))
    front = front_end(ALL, augment, cqt={'product': product}, **features).to('meta')
    draw = Draw(draw_spec_augment(augment.spec_augment, tuple(ALL), 0, 0, [1, 2, 3])).to('meta')
    waveforms = torch.empty(3, 30000, dtype=torch.int16, device='meta')
    images = front(waveforms, torch.empty(3, dtype=torch.int64, device='meta'), draw)
    assert {image.shape for image in images.values()} == {(3, 3, 224, 224)}


def test_tables_for_padded_lengths_are_made_beforehand():
    front, cpu = front_end(data_rate=22050, sample_rate=44100), torch.device('cpu')
    assert front.prepare([20000, 11025, 100], cpu) == (3, 3)
    kept = [hops for hops, _ in front.cqt.tables.kept]
    assert kept == [front.cqt.hops(samples) for samples in (4096, 22050, 40000)]
    assert front.kept_tables(20000, cpu) is front.cqt.tables.kept[front.cqt.hops(40000), cpu]
    assert front.kept_tables(90000, cpu) is None and front_end({'mel': 'mel'}).kept_tables(1, cpu) == ()
    front(torch.zeros(2, 20000, dtype=torch.int16), torch.tensor([20000, 50]))
    assert sorted(hops for hops, _ in front.cqt.tables.kept) == sorted(kept)
    assert front_end({'mel': 'mel'}).prepare([1000], cpu) == (0, 0)
    assert front_end(cqt=CqtConfig(engine='nnaudio')).prepare([1000], cpu) == (0, 0)
