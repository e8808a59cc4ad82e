import contextlib

import numpy as np
import pytest
import torch
from oracles import decibels, librosa_mel, padded, synthetic_clips

from ser.config.augment import AugmentConfig, MaskSpecAugment
from ser.config.features import ChromaConfig, FeaturesConfig, MelConfig
from ser.config.load import load_config
from ser.config.waveform import SequenceConfig, WaveformConfig
from ser.errors import SerError
from ser.features.augment import draw_spec_augment
from ser.features.draw import Draw
from ser.features.level import valid_frames
from ser.features.mixup import Mix
from ser.features.sequences import SequenceFrontEnd, masked_spans, mean_level, normalised_rows, standardised

CLIPS = synthetic_clips()
ALL = ('mel', 'mfcc', 'chroma')
# What speech models take: 16 kHz, 64 ms windows.
SPEECH = {'sample_rate': 16000, 'min_samples': 800, 'mel': MelConfig(n_fft=1024, hop_length=320, bins=64)}


def front_end(wanted=ALL, augment=None, rate=44100, audio=None, normalise=('mel', 'mfcc'), reference='max', **features):
    sequence = SequenceConfig(normalise=normalise, reference=reference)
    return SequenceFrontEnd(FeaturesConfig(sequence=sequence, **features), augment or AugmentConfig(), wanted, rate,
                            audio)


def batch(clips, spare=0, beyond=0):
    """Clips as one int16 batch; what lies beyond a clip is `beyond`."""
    waveforms = torch.full((len(clips), max(map(len, clips)) + spare), beyond, dtype=torch.int16)
    for row, clip in zip(waveforms, clips, strict=True):
        row[:len(clip)] = torch.from_numpy(np.asarray(clip))
    return waveforms, torch.tensor([len(clip) for clip in clips])


def noise(*seconds, rate=16000, seed=0):
    """int16 clips of noise that fades."""
    random = np.random.default_rng(seed)
    return [(random.standard_normal(round(s * rate)) * np.linspace(9000, 300, round(s * rate))).astype(np.int16)
            for s in seconds]


def librosa_sequences(clip):
    """Mel in dB, MFCC and chroma in dB of an int16 clip, whole, by librosa from the mel and the power spectrum."""
    import librosa

    samples = padded(clip)
    power = np.abs(librosa.stft(samples, n_fft=4096, hop_length=256, pad_mode='constant')) ** 2
    mel = decibels(librosa_mel(samples))
    chroma = librosa.feature.chroma_stft(S=power, sr=44100, tuning=0, norm=None)
    return {'mel': mel, 'mfcc': librosa.feature.mfcc(S=mel, n_mfcc=40), 'chroma': decibels(chroma), 'power': chroma}


def rows_normalised(values):
    return (values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)


@pytest.mark.parametrize('clip', CLIPS)
def test_sequences_equal_librosas_of_the_cut_clip(clip):
    expected = librosa_sequences(CLIPS[clip])
    given = batch([CLIPS[clip], CLIPS['chirp']], spare=4000)
    plain, normalised = front_end(normalise=()), front_end(normalise=ALL)
    views = plain(*given)
    frames = views['frames'][0]
    assert views['frames'].dtype == torch.int64 and frames == expected['mel'].shape[1]
    for name in ALL:
        np.testing.assert_allclose(views[name][0, :, :frames], expected[name], atol=0.02)
        assert (views[name][0, :, frames:] == 0).all() and views[name].dtype == torch.float32
        values, counted = plain.features(*given)[name]
        assert counted[0] == frames
        np.testing.assert_allclose(values[0, :, :frames], expected[name], atol=0.02)
    views = normalised(*given)
    for name in ALL:
        wanted = rows_normalised(expected[name])
        steady = expected[name].std(1) > 0.5
        np.testing.assert_allclose(views[name][0, steady, :frames], wanted[steady], atol=0.05)
        assert (views[name][0, :, frames:] == 0).all()


def test_chroma_may_stay_the_filters_power():
    expected = librosa_sequences(CLIPS['voice'])['power']
    front = front_end(('chroma',), normalise=(), chroma=ChromaConfig(scale='power'))
    np.testing.assert_allclose(front(*batch([CLIPS['voice']]))['chroma'][0], expected, rtol=1e-3, atol=1e-3)


def test_mfcc_come_from_the_raw_mel_whatever_is_asked_for_beside_them():
    given = batch([CLIPS['voice'], CLIPS['short']])
    alone = front_end(('mfcc',))(*given)['mfcc']
    for wanted, normalise in ((('mel', 'mfcc'), ('mel', 'mfcc')), (('mfcc', 'mel'), ('mfcc',)),
                              (('chroma', 'mfcc', 'mel'), ('mfcc', 'mel', 'chroma'))):
        views = front_end(wanted, normalise=normalise)(*given)
        assert list(views) == [*wanted, 'frames'] and torch.equal(views['mfcc'], alone)


def test_rows_are_normalised_over_valid_frames_and_constant_rows_only_centred():
    torch.manual_seed(0)
    values, frames = torch.randn(3, 5, 40) * 9 - 30, torch.tensor([40, 17, 1])
    values[0, 2] = -80.0
    valid = valid_frames(frames, 40)
    found = normalised_rows(values.masked_fill(~valid, 1e9), valid)
    for row, count in enumerate(frames):
        cut = values[row, :, :count].double().numpy()
        deviation = cut.std(1, keepdims=True)
        expected = (cut - cut.mean(1, keepdims=True)) / np.where(deviation > 1e-3, deviation, 1.0)
        np.testing.assert_allclose(found[row, :, :count], expected, atol=1e-5)
    values.requires_grad_()
    normalised_rows(values, valid).square().sum().backward()
    assert torch.isfinite(values.grad).all()


@pytest.mark.parametrize(('level', 'count'), [(-97.3, 751), (-63.21, 12001), (-52.777, 12001), (-80.0, 3001)])
def test_rounding_of_a_constant_row_does_not_pass_for_variation(level, count):
    values = torch.full((1, 2, count + 9), level)
    assert (normalised_rows(values, valid_frames(torch.tensor([count]), count + 9))[..., :count] == 0).all()


@pytest.mark.parametrize('at', [100, 8000])
def test_a_click_in_silence_is_the_same_alone_and_in_a_batch(at):
    click = np.zeros(16000, np.int16)
    click[at] = 5
    config = load_config(('moe-tiny',))
    front = SequenceFrontEnd(config.features, AugmentConfig(), ('mel', 'mfcc'), 16000)
    alone, together = front(*batch([click])), front(*batch([click, *noise(3)]))
    # Its cepstrum is all but constant: deviations of a thousandth beside a coefficient of several hundred.
    for name in ('mel', 'mfcc'):
        own = alone[name].shape[2]
        np.testing.assert_allclose(together[name][0, :, :own], alone[name][0], atol=1e-4)


def test_the_mean_reference_is_the_mean_power_over_rows_and_valid_frames():
    values = torch.tensor([[[0.0, -10.0, 70.0], [-20.0, -10.0, 70.0]]])
    level = mean_level(values, torch.tensor([[[True, True, False]]]))
    assert level.shape == (1, 1, 1)
    assert level.item() == pytest.approx(10 * np.log10((1 + 0.1 + 0.01 + 0.1) / 4), abs=1e-5)
    given = batch([CLIPS['voice'], CLIPS['chirp']])
    views = front_end(('mel', 'mfcc'), normalise=(), reference='mean')(*given)
    mel = decibels(librosa_mel(padded(CLIPS['voice'])))
    expected = mel - 10 * np.log10(np.mean(10 ** (mel / 10)))
    np.testing.assert_allclose(views['mel'][0, :, :mel.shape[1]], expected, atol=0.02)
    import librosa

    mfcc = librosa.feature.mfcc(S=expected, n_mfcc=40)
    np.testing.assert_allclose(views['mfcc'][0, :, :mel.shape[1]], mfcc, atol=0.02)


@pytest.mark.parametrize('level', [{'kind': 'none'}, {'kind': 'rms'}])
def test_a_clip_alone_equals_the_clip_in_a_batch_and_nothing_beyond_it_counts(level):
    augment = AugmentConfig(spec_augment=MaskSpecAugment(probability=1.0, time_width=0.3, fill='mean'))
    waveform = WaveformConfig(trim={'kind': 'level'}, length={'kind': 'fixed', 'seconds': 1.0}, level=level)
    front = front_end(augment=augment, rate=22050, audio='standard', normalise=ALL, reference='mean',
                      waveform=waveform, **SPEECH)
    clips, ids = noise(2.1, 0.4, 0.05, 1.2, rate=22050), [5, 6, 7, 8]
    crop = torch.tensor([0.7, 0.1, 0.5, 0.99])

    def draw(rows):
        masks = draw_spec_augment(augment.spec_augment, ALL, 1, 2, [ids[row] for row in rows])
        return Draw(masks=masks, crop=crop[list(rows)])

    together = front(*batch(clips), draw(range(4)))
    poisoned = front(*batch(clips, spare=9000, beyond=32767), draw(range(4)))
    assert list(together) == [*ALL, 'frames', 'waveform', 'samples']
    for name, view in together.items():
        assert torch.equal(poisoned[name], view)
    for row, clip in enumerate(clips):
        alone = front(*batch([clip]), draw([row]))
        assert alone['frames'] == together['frames'][row] and alone['samples'] == together['samples'][row]
        for name in (*ALL, 'waveform'):
            end = together['samples' if name == 'waveform' else 'frames'][row]
            torch.testing.assert_close(alone[name][0, ..., :end], together[name][row, ..., :end], atol=1e-4, rtol=1e-4)
            assert (together[name][row, ..., end:] == 0).all()


@pytest.mark.parametrize('fill', ['floor', 'mean'])
def test_masked_spans_are_shares_of_the_clips_own_frames_and_the_features_rows(fill):
    torch.manual_seed(1)
    values, frames = torch.randn(3, 12, 20), torch.tensor([20, 10, 20])
    span = {'start': torch.tensor([[0.2], [0.2], [0.0]]), 'width': torch.tensor([[0.3], [0.3], [1.0]]),
            'batch_prob': torch.tensor([1.0, 1.0, 0.0])}
    rows = {'start': torch.tensor([[0.5], [0.0], [0.0]]), 'width': torch.tensor([[0.125], [0.01], [1.0]]),
            'batch_prob': torch.tensor([1.0, 1.0, 0.0])}
    found = masked_spans(values, frames, {'time': span, 'frequency': rows}, fill)
    # Centres of frames: (i + 0.5) / 20 in [0.2, 0.5) and (i + 0.5) / 10; of rows: (j + 0.5) / 12 in [0.5, 0.625).
    expected = values.clone()
    for row, (times, bands) in enumerate((((4, 10), (6, 7)), ((2, 5), (0, 0)))):
        own = values[row, :, :frames[row]]
        level = own.min() if fill == 'floor' else own.mean()
        expected[row, :, times[0]:times[1]] = level
        expected[row, bands[0]:bands[1]] = level
    inside = valid_frames(frames, 20).expand_as(values)
    torch.testing.assert_close(found[inside], expected[inside])
    # The third clip is not masked at all.
    assert torch.equal(found[2], values[2])


def test_waveforms_are_standardised_over_each_clips_own_samples():
    torch.manual_seed(2)
    waveforms, lengths = torch.randn(3, 900) * 0.1 + 0.3, torch.tensor([900, 20, 300])
    waveforms[2] = 0.0
    found = standardised(waveforms, lengths)
    for row, length in enumerate(lengths):
        clip = waveforms[row, :length].double().numpy()
        expected = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
        np.testing.assert_allclose(found[row, :length], expected, atol=1e-5)
        assert (found[row, length:] == 0).all()


@pytest.mark.slow
def test_standardised_waveforms_are_transformers():
    extractor = pytest.importorskip('transformers').Wav2Vec2FeatureExtractor(do_normalize=True)
    front = front_end((), audio='standard', rate=16000, **SPEECH)
    clips = noise(0.7, 0.2, 0.11)
    views = front(*batch(clips, spare=500, beyond=-20000))
    assert list(views) == ['waveform', 'samples']
    for row, clip in enumerate(clips):
        expected = extractor(clip / np.float32(32768), sampling_rate=16000)['input_values'][0]
        assert views['samples'][row] == len(clip)
        np.testing.assert_allclose(views['waveform'][row, :len(clip)], expected, atol=1e-5)


def test_audio_alone_is_the_prepared_waveform():
    front = front_end((), audio='plain', rate=16000, **SPEECH)
    views = front(*batch(noise(0.3, 0.01), beyond=99))
    assert list(views) == ['waveform', 'samples'] and views['samples'].tolist() == [4800, 800]
    assert torch.equal(views['waveform'][0], torch.from_numpy(noise(0.3)[0] / np.float32(32768)))
    assert (views['waveform'][1, 160:] == 0).all()


def test_short_silent_and_long_clips_are_finite():
    front = front_end(rate=16000, audio='standard', normalise=ALL, reference='mean', **SPEECH,
                      waveform=WaveformConfig(trim={'kind': 'level'}, level={'kind': 'rms'}))
    clips = [*noise(0.05, 60.0), np.zeros(4000, np.int16), np.zeros(1, np.int16), np.full(3000, 32767, np.int16)]
    views = front(*batch(clips))
    assert views['frames'].tolist()[0] == 3 and views['frames'][1] > 2500
    for name, view in views.items():
        assert torch.isfinite(view).all(), name
        # A silent clip has no level to tell, and its rows nothing that varies.
        assert name in ('frames', 'samples') or (view[2] == 0).all()


def test_mixed_waveforms_have_the_longer_ones_frames():
    front = front_end(('mel',), rate=16000, **SPEECH)
    given = batch(noise(0.2, 0.5))
    mix = Mix(torch.tensor([1, 0]), torch.tensor(0.5))
    views = front(*given, Draw(mix=mix))
    assert views['frames'].tolist() == [1 + 8000 // 320] * 2
    torch.testing.assert_close(views['mel'][0], views['mel'][1], atol=1e-4, rtol=1e-4)


def test_nothing_is_read_back_from_the_device(monkeypatch):
    # Meta tensors have shapes and no numbers: reading one, or mixing it with a tensor of the host, raises.
    monkeypatch.setattr(torch, 'autocast', lambda *args, **options: contextlib.nullcontext())
    augment = AugmentConfig(spec_augment=MaskSpecAugment(probability=0.5))
    front = front_end(augment=augment, audio='standard', reference='mean', **SPEECH, waveform={
        'trim': {'kind': 'level'}, 'length': {'kind': 'fixed', 'seconds': 0.5}, 'level': {'kind': 'peak'}}).to('meta')
    masks = draw_spec_augment(augment.spec_augment, ALL, 0, 0, [1, 2, 3])
    draw = Draw(masks=masks, crop=torch.rand(3), mix=Mix(torch.tensor([1, 2, 0]), torch.tensor(0.3))).to('meta')
    waveforms = torch.empty(3, 30000, dtype=torch.int16, device='meta')
    views = front(waveforms, torch.empty(3, dtype=torch.int64, device='meta'), draw)
    shapes = {name: tuple(view.shape) for name, view in views.items()}
    assert shapes == {'mel': (3, 64, 26), 'mfcc': (3, 40, 26), 'chroma': (3, 12, 26), 'frames': (3,),
                      'waveform': (3, 8000), 'samples': (3,)}


def test_autocast_changes_nothing_and_nothing_is_kept_in_the_state():
    front = front_end(rate=16000, **SPEECH)
    given = batch(noise(0.2, 0.1))
    plain = front(*given)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = front(*given)
    assert all(torch.equal(inside[name], view) for name, view in plain.items())
    assert not front.state_dict() and front.prepare([100], torch.device('cpu')) == (0, 0)
    assert front.kept_tables(100, torch.device('cpu')) == ()


@pytest.mark.parametrize(('wanted', 'message'), [
    (('mel', 'mell'), r"model.features: no sequence is called 'mell'. Allowed: mel, mfcc, chroma. Did you mean 'mel'"),
    (('mel', 'chroma', 'mel'), r"model.features: 'mel' is named twice; each feature counts once")])
def test_unknown_and_repeated_sequences_are_refused(wanted, message):
    with pytest.raises(SerError, match=message):
        front_end(wanted)
