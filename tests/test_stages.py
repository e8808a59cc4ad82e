"""A clip's way to the network: stages, levels, what the network gets, draws of training."""

import json

import numpy as np
import pytest
import torch

from ser.config.load import load_config
from ser.features.draw import draw_views
from ser.inference.inspection import Inspector
from ser.inference.stages import as_picture, levels, show_stages
from tests.shard_factory import tone

SMALL = ('data.sample_rate=16000', 'features.sample_rate=16000', 'features.image.size=32', 'features.min_samples=1600',
         'features.mel={n_fft: 512, hop_length: 160, bins: 20}', 'features.cqt.bins=48')
CRNN = 'model={kind: crnn, features: [mel]}'
AUGMENT = ('augment.spec_augment={kind: masks}', 'augment.waveform=[{kind: gain, probability: 1.0}]',
           'features.waveform.length={kind: fixed, seconds: 0.3}', 'run.seed=7')


def inspector(*assignments):
    return Inspector(load_config(('base',), (*SMALL, *assignments)))


def test_levels_of_a_sine_and_of_silence():
    sine = np.sin(2 * np.pi * np.arange(1600) / 16).astype(np.float32) / 2
    found = levels(sine)
    assert found['peak_db'] == pytest.approx(-6.02, abs=0.01) and found['rms_db'] == pytest.approx(-9.03, abs=0.01)
    assert levels(np.zeros(5, np.float32)) == {'peak_db': None, 'rms_db': None}


def test_facts_and_arrays_of_each_stage():
    made = inspector(CRNN, 'features.waveform.trim={kind: level, margin_seconds: 0.0}',
                     'features.waveform.level={kind: peak}')
    samples = np.concatenate([np.zeros(8000, np.int16), tone(3, 0.5)])
    shown = show_stages(made, samples)
    facts = shown.facts
    assert [stage['stage'] for stage in facts['stages']] == ['raw', 'trimmed', 'prepared']
    raw, trimmed, prepared = facts['stages']
    assert (raw['seconds'], raw['samples'], raw['sample_rate']) == (1, 16000, 16000)
    assert facts['trim'] == {'start': trimmed['start'], 'end': trimmed['end']}
    assert facts['trim']['start'] == pytest.approx(0.5, abs=0.07) and facts['trim']['end'] == 1
    assert raw['peak_db'] < -1 and prepared['peak_db'] == pytest.approx(0, abs=1e-3)
    assert facts['network']['mel']['shape'] == [20, 1 + prepared['samples'] // 160]
    assert facts['network']['mel']['deviation'] == pytest.approx(1, abs=0.02) and facts['augmented'] == []
    arrays = shown.arrays
    assert set(arrays) == {'raw', 'raw_rate', 'trimmed', 'trimmed_rate', 'prepared', 'prepared_rate', 'mel_before',
                           'mel_after'}
    assert arrays['mel_before'].max() == 0 and arrays['mel_after'].shape == arrays['mel_before'].shape
    json.dumps(facts, allow_nan=False)


def test_without_trimming_there_are_no_bounds_and_silence_has_no_level():
    facts = show_stages(inspector(CRNN), np.zeros(800, np.int16)).facts
    assert facts['trim'] is None and facts['stages'][0]['peak_db'] is None
    assert facts['stages'][-1]['samples'] == 1600
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize('system', [CRNN, 'model.views.cqt=null'])
def test_previews_are_the_draws_of_training(system):
    made, samples = inspector(system, *AUGMENT), tone(3, 0.8)
    shown = show_stages(made, samples, previews=2)
    clips = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
    for epoch, preview in enumerate(shown.previews):
        draw = draw_views(made.config, ('mel',), epoch, np.array([0]))
        assert np.array_equal(preview.views['mel'], made.front_end(*clips, draw)['mel'][0].numpy())
        assert np.array_equal(preview.waveform, made.front_end.waveform(*clips, draw)[0][0].numpy())
        facts = shown.facts['augmented'][epoch]
        assert facts['epoch'] == epoch and set(facts['drawn']) == {'masks', 'crop', 'audio'} and facts['seconds'] == 0.3
        assert [step['kind'] for step in facts['audio']] == ['gain'] and len(facts['audio'][0]) > 1
    assert not np.array_equal(*(preview.views['mel'] for preview in shown.previews))
    assert {'epoch_0_waveform', 'epoch_1_mel'} <= set(shown.arrays)


def test_a_baseline_has_a_waveform_and_nothing_to_see():
    shown = show_stages(inspector('model={kind: majority}'), tone(1), previews=1)
    assert shown.after == shown.before == {} and shown.previews[0].views == {} and shown.audio is None


def test_images_without_their_normalisation():
    for channels, shape in (('replicate', (32, 32)), ('single', (32, 32)), ('delta', (32, 32, 3))):
        made, samples = inspector('model.views.cqt=null', f'features.image.channels={channels}'), tone(3)
        shown = show_stages(made, samples)
        raw = made.front_end.raw_images(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))['mel'][0].numpy()
        found = as_picture(made.front_end, 'mel', shown.after['mel'])
        assert found.shape == shape
        assert found == pytest.approx(raw.transpose(1, 2, 0).clip(0, 1) if channels == 'delta' else raw[0], abs=1e-5)
