"""Features of a clip as arrays and as a picture."""

import io
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

from ser.config.load import load_config
from ser.inference.inspection import Inspector, band_ticks, note_of, output_stems, slaney_mel
from ser.inference.recordings import Named
from tests.shard_factory import tone

SMALL = ('data.sample_rate=16000', 'features.sample_rate=16000', 'features.image.size=32', 'features.mel.n_fft=1024',
         'features.cqt.bins=72')


def inspector(*assignments):
    return Inspector(load_config(('base',), (*SMALL, *assignments)))


def test_arrays_are_those_of_the_front_end():
    inspect, samples = inspector(), tone(3, 0.8)
    arrays = inspect.arrays(samples)
    assert list(arrays) == ['waveform', 'sample_rate', 'cqt_db', 'mel_db', 'cqt_image', 'mel_image']
    assert np.array_equal(arrays['waveform'], samples.astype(np.float32) / 32768)
    assert arrays['sample_rate'] == 16000
    assert arrays['cqt_db'].shape == (72, 1 + len(samples) // 512)
    assert arrays['mel_db'].shape == (128, 1 + len(samples) // 256)
    batch = torch.zeros(2, 20000, dtype=torch.int16)
    batch[1, :len(samples)] = torch.from_numpy(samples)
    images = inspect.front_end.raw_images(batch, torch.tensor([20000, len(samples)]))
    for name in ('cqt', 'mel'):
        assert arrays[f'{name}_db'].max() == 0 and arrays[f'{name}_db'].min() >= -80
        image = arrays[f'{name}_image']
        assert image.shape == (32, 32) and image.dtype == np.float32 and image.min() >= 0 and image.max() <= 1
        assert image == pytest.approx(images[name][1, 0].numpy(), abs=1e-4)


def test_the_waveform_is_at_the_features_rate_and_as_long_as_they_need():
    samples = tone(3, 0.1)
    arrays = inspector('features.sample_rate=22050', 'features.min_samples=4096').arrays(samples)
    assert arrays['sample_rate'] == 22050 and arrays['waveform'].shape == (4096,)
    assert np.all(arrays['waveform'][round(len(samples) * 22050 / 16000) + 1:] == 0)


def test_every_feature_of_the_views_is_there_with_its_channels():
    inspect = inspector('model.views={cqt: null, mel: {}, timbre: {feature: mfcc}, chroma: {}}',
                        'features.image.channels=delta')
    assert inspect.features == ('cqt', 'mel', 'mfcc', 'chroma')
    arrays = inspect.arrays(tone(2))
    assert arrays['mfcc_db'].shape[0] == 40 and arrays['chroma_db'].shape[0] == 12
    assert all(arrays[f'{name}_image'].shape == (3, 32, 32) for name in inspect.features)
    assert picture(inspect, arrays).shape[2] == 4


def picture(inspect, arrays):
    return matplotlib.image.imread(io.BytesIO(inspect.draw(arrays, 'a $title$ with _marks_')), format='png')


def test_the_picture_shows_the_clip_and_grows_with_the_features():
    inspect = inspector()
    sounding, silent = (picture(inspect, inspect.arrays(samples)) for samples in (tone(3), np.zeros(9000, np.int16)))
    assert sounding.shape == silent.shape
    assert not np.array_equal(sounding, silent)
    more = inspector('model.views.mfcc={}')
    assert picture(more, more.arrays(np.zeros(9000, np.int16))).shape[0] > sounding.shape[0]


def test_ticks_are_where_the_frequencies_are():
    librosa = pytest.importorskip('librosa')
    features = load_config(('base',)).features
    places, labels, _ = band_ticks('cqt', features, 44100)
    assert places.tolist() == [0, 12, 24, 36, 48, 60, 72]
    assert labels[0] == 'C1  33' and labels[3] == 'C4  262'
    places, labels, _ = band_ticks('mel', features, 44100)
    centres = librosa.mel_frequencies(130, fmin=0, fmax=22050)[1:-1]
    for place, label in zip(places, labels, strict=True):
        if int(label):
            assert np.interp(place, np.arange(128), centres) == pytest.approx(int(label), rel=0.01)
    assert {'500', '1000', '4000', '16000'} <= set(labels)
    assert slaney_mel(np.array([0, 440, 1000, 9000])) == pytest.approx(
        librosa.hz_to_mel(np.array([0, 440, 1000, 9000])))
    assert note_of(440) == 'A4' and note_of(261.6) == 'C4' and note_of(32.7032) == 'C1'
    assert band_ticks('chroma', features, 44100)[1][:2] == ['C', 'C♯']
    assert band_ticks('mfcc', features, 44100)[1][-1] == '35'


def test_a_stem_that_comes_twice_is_numbered():
    paths = ('a/x.wav', 'b/x.flac', 'x-2.wav', 'y.wav', 'c/x.wav')
    assert output_stems([Named(Path(path)) for path in paths]) == [
        'x', 'x-2', 'x-2-2', 'y', 'x-3']
