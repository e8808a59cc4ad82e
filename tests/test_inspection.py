"""Features of a clip as arrays, and the files of an inspection."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ser.config.load import load_config
from ser.inference import inspection
from ser.inference.inspection import Inspection, Inspector, output_stems, untrained_inspector
from ser.inference.recordings import Named
from ser.models import build_model
from ser.training.task import Head
from tests.shard_factory import audio_bytes, tone

SMALL = ('data.sample_rate=16000', 'features.sample_rate=16000', 'features.image.size=32', 'features.mel.n_fft=1024',
         'features.cqt.bins=72')
CRNN = 'model={kind: crnn, features: [mfcc, chroma], channels: [4], pools: [[2, 2]], width: 8, hidden: 8}'
ENCODER = ('{source: {kind: config, hidden_size: 16, layers: 1, heads: 2, intermediate_size: 16, conv_dim: [8, 8], '
           'conv_kernel: [10, 3], conv_stride: [5, 4], position_kernel: 4, position_groups: 2}}')


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


def test_sequences_are_those_that_the_network_gets():
    inspect, samples = inspector(CRNN), tone(2, 0.5)
    arrays = inspect.arrays(samples)
    assert inspect.features == ('cqt', 'mel', 'mfcc', 'chroma')
    assert {'cqt_db', 'mel_db', 'mfcc_db', 'chroma_db', 'mfcc_sequence', 'chroma_sequence'} <= set(arrays)
    assert not any(name.endswith('_image') or name == 'mel_sequence' for name in arrays)
    # Rows of the MFCC are normalised, those of chroma are not.
    assert arrays['mfcc_sequence'].mean(axis=1) == pytest.approx(np.zeros(40), abs=1e-4)
    assert np.array_equal(arrays['chroma_sequence'], arrays['chroma_db'])


def test_an_encoder_hears_the_waveform():
    inspect = inspector(f'model={{kind: moe, features: [ssl, mel], channels: 8, width: 8, encoder: {ENCODER}}}')
    arrays = inspect.arrays(tone(2, 0.5))
    assert inspect.features == ('cqt', 'mel') and arrays['mel_sequence'].shape == arrays['mel_db'].shape
    assert arrays['audio'].shape == arrays['waveform'].shape


def test_without_the_cqt_where_the_sample_rate_is_too_low_for_it():
    low = ('features.sample_rate=4000', 'features.mel.n_fft=512')
    assert inspector(*low, CRNN).features == ('mel', 'mfcc', 'chroma')
    assert inspector(*low, 'model={kind: majority}').features == ('mel',)


def test_silence_and_a_moment_are_finite():
    inspect = inspector(CRNN, 'features.waveform.trim={kind: level}')
    for samples in (np.zeros(9000, np.int16), tone(3, 0.05), np.zeros(800, np.int16)):
        assert all(np.isfinite(values).all() for values in inspect.arrays(samples).values())


def write(folder, inspector, samples, **options):
    """(facts by name of the JSON, names of the files, line) of one clip."""
    (folder / 'clip.wav').write_bytes(audio_bytes(samples, 16000, 'wav'))
    line, fault = Inspection(inspector, folder / 'out', **options).write(Named(folder / 'clip.wav'), 'clip')
    assert not fault, line
    names = sorted(path.name for path in (folder / 'out').iterdir())
    return {name: json.loads((folder / 'out' / name).read_text()) for name in names if '.json' in name}, names, line


def test_everything_about_a_clip(tmp_path):
    config = load_config(('base',), (*SMALL, CRNN, 'augment.spec_augment={kind: masks}', 'data.max_seconds=0.5'))
    torch.manual_seed(0)
    model = build_model(config, ('calm', 'angry')).eval().requires_grad_(False)
    facts, names, line = write(tmp_path, Inspector(config, model), tone(3, 0.8), stages=True, previews=1,
                               head=Head('emotion', ('calm', 'angry')), run='runs/one')
    assert names == ['clip-augmented.png', 'clip-explained.json', 'clip-explained.npz', 'clip-explained.png',
                     'clip-features.npz', 'clip-features.png', 'clip-spectra.png', 'clip-stages.json',
                     'clip-stages.npz', 'clip-stages.png']
    assert all((tmp_path / 'out' / name).read_bytes().startswith(b'\x89PNG') for name in names if '.png' in name)
    explained, stages = facts['clip-explained.json'], facts['clip-stages.json']
    assert list(explained) == ['file', 'run', 'window', 'seconds', 'heard', 'emotion', 'probabilities', 'dimensions',
                               'explained', 'attention', 'gates', 'layer_weights', 'branches', 'saliency', 'pictures']
    assert explained['file'] == str(tmp_path / 'clip.wav') and explained['run'] == 'runs/one'
    assert explained['window'] == {'number': 1, 'of': 2} and explained['seconds'] == 0.4
    assert explained['pictures'] == ['clip-explained.png']
    assert stages['pictures'] == ['clip-stages.png', 'clip-spectra.png', 'clip-augmented.png']
    with np.load(tmp_path / 'out' / 'clip-explained.npz') as arrays:
        assert arrays['mfcc_saliency'].shape == arrays['mfcc'].shape == (40, 26)
        assert arrays['detail.attention'].shape == (13,)
    share = explained['probabilities'][explained['emotion']]
    assert line.startswith(f'{tmp_path / "clip.wav"}: written: {tmp_path / "out" / "clip-features.npz"}, clip-features')
    # The CQT and the Mel of its files are for people; this model sees neither.
    assert line.endswith(f"(0.80 s, window 1 of 2; MFCC 40 x 26, Chroma 12 x 26): {explained['emotion']} "
                         f'{100 * share:.1f} %')


@pytest.fixture
def no_pictures(monkeypatch):
    """Every picture is one byte string: drawing takes longest."""
    for name in ('draw_features', 'draw_stages', 'draw_spectra', 'draw_augmented', 'draw_layers', 'draw_explanation'):
        monkeypatch.setattr(inspection, name, lambda *_: b'drawn')


def test_the_layers_of_an_encoder_that_nobody_trained(tmp_path, no_pictures):
    config = load_config(('base',), (*SMALL, f'model={{kind: ssl, encoder: {ENCODER}}}'))
    facts, _, line = write(tmp_path, untrained_inspector(config), tone(3, 0.3), stages=True)
    assert line.endswith('(0.30 s)')
    assert facts['clip-stages.json']['pictures'] == ['clip-stages.png', 'clip-spectra.png', 'clip-layers.png']
    with np.load(tmp_path / 'out' / 'clip-stages.npz') as arrays:
        assert arrays['layer_distances'].shape == arrays['layer_norms'].shape == (2, len(arrays['layer_edges']) - 1)
    assert untrained_inspector(load_config(('base',), (*SMALL, CRNN))).model is None


def test_a_stem_that_comes_twice_is_numbered():
    paths = ('a/x.wav', 'b/x.flac', 'x-2.wav', 'y.wav', 'c/x.wav', 'y-stages.wav')
    # What is written of y-stages has a suffix too.
    assert output_stems([Named(Path(path)) for path in paths]) == [
        'x', 'x-2', 'x-2-2', 'y', 'x-3', 'y-stages']
