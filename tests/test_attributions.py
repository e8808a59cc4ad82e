"""Explanations of networks whose use of a clip is known."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from ser.config.load import load_config
from ser.errors import SerError
from ser.inference.attributions import contributions, explain, gate_weights, without_pattern
from ser.models import SpeechModel, build_model
from ser.models.contract import Output
from ser.models.front_ends import build_front_end
from ser.training.task import Head
from tests.shard_factory import tone

SMALL = ('data.sample_rate=16000', 'features.sample_rate=16000', 'features.image.size=32', 'features.min_samples=1600',
         'features.mel={n_fft: 512, hop_length: 160, bins: 20}', 'features.cqt.bins=48', 'features.mfcc.coefficients=8')
CRNN = ('model={kind: crnn, features: [mel, mfcc], channels: [4, 4], pools: [[2, 2], [2, 1]], width: 8, hidden: 8}',)
ENCODER = ('{source: {kind: config, hidden_size: 16, layers: 2, heads: 2, intermediate_size: 16, conv_dim: [8, 8, 8], '
           'conv_kernel: [10, 3, 3], conv_stride: [5, 4, 4], position_kernel: 4, position_groups: 2}}')
NAMES = ('calm', 'angry', 'sad')


def configured(*assignments):
    return load_config(('base',), (*SMALL, *assignments))


def built(*assignments):
    config = configured(*assignments)
    torch.manual_seed(3)
    return build_model(config, NAMES).eval().requires_grad_(False)


def explained(model, samples, head=None):
    return explain(model, head or Head('emotion', NAMES), samples, model.front_end.waveform)


class Toy(nn.Module):
    """Any function of the views as logits; gates and attention as given."""

    def __init__(self, function, details=None, **attributes):
        super().__init__()
        self.function, self.details = function, details or {}
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, views, mix=None):
        return Output(self.function(views), {}, self.details)


def scattered(x):
    """How much x varies round its mean: 0 without a pattern."""
    return (x - x.mean()).square().sum()[None, None]


def test_contributions_of_an_additive_network_are_its_terms():
    torch.manual_seed(0)
    views = {'mel': torch.randn(1, 4, 9), 'image': torch.rand(1, 3, 6, 6), 'frames': torch.tensor([9])}

    def spread(x):
        return (x - x.mean(dim=(2, 3), keepdim=True)).square().sum()[None, None]

    network = Toy(lambda views: torch.cat([2 * scattered(views['mel']) - 3 * spread(views['image']),
                                           scattered(views['mel'])], dim=1))
    found = contributions(network, views, ('mel', 'image'), 0)
    terms = {'mel': 2 * scattered(views['mel']), 'image': -3 * spread(views['image'])}
    assert found == pytest.approx({name: float(term) for name, term in terms.items()})
    assert contributions(network, views, ('mel', 'image'), 1)['image'] == 0


def test_a_view_without_pattern_is_its_mean_and_ends_where_the_clip_ends():
    views = {'mel': torch.tensor([[[1.0, 3.0, 0.0], [5.0, 7.0, 0.0]]]), 'frames': torch.tensor([2]),
             'waveform': torch.tensor([[1.0, 2.0, 0.0, 0.0]]), 'samples': torch.tensor([2]),
             'cqt': torch.tensor([[[[0.0, 2.0]], [[4.0, 8.0]]]])}
    assert without_pattern(views, 'mel').tolist() == [[[4, 4, 0], [4, 4, 0]]]
    assert without_pattern(views, 'waveform').tolist() == [[1.5, 1.5, 0, 0]]
    assert without_pattern(views, 'cqt').tolist() == [[[[1, 1]], [[6, 6]]]]


@pytest.mark.parametrize('kind', ['crnn', 'maxmvit'])
def test_a_network_that_hears_one_moment_is_found_out(kind):
    # Only what lies between 0.4 and 0.6 s of the clip, which begins with silence that is trimmed off, counts.
    system = {'crnn': 'model={kind: crnn, features: [mel]}',
              'maxmvit': 'model={kind: maxmvit, views: {cqt: null, mel: {backbone: {kind: mvitv2}}}}'}[kind]
    front_end = build_front_end(configured(system, 'features.waveform.trim={kind: level, margin_seconds: 0.0}'))
    samples = np.concatenate([np.zeros(4800, np.int16), tone(3, 0.7)])
    start = 0.3

    def heard(views):
        x = views['mel']
        # Frames of 10 ms, or columns that share the 0.7 s (71 frames).
        step = 0.01 if kind == 'crnn' else 0.71 / 32
        first, last = round((0.4 - start) / step), round((0.6 - start) / step)
        score = x[..., first:last].sum()
        return torch.stack([score, -score, 0 * score])[None]

    found = explained(SpeechModel(front_end, Toy(heard)), samples)
    facts = found.facts
    assert facts['heard']['start'] == pytest.approx(start, abs=0.05)
    within = sum(span['weight'] for span in facts['saliency']['mel'] if span['start'] > 0.33 and span['end'] < 0.67)
    assert within > 0.99 and sum(span['weight'] for span in facts['saliency']['mel']) == pytest.approx(1)
    edges, strength = found.arrays['mel_edges'], found.arrays['mel_saliency'].sum(axis=0)
    used = strength.nonzero()[0]
    assert (edges[used[0]], edges[used[-1] + 1]) == pytest.approx((0.4, 0.6), abs=0.05)


def test_attention_of_a_crnn_lies_on_the_clip():
    model, samples = built(*CRNN), tone(2, 0.8)
    facts = explained(model, samples).facts
    spans = facts['attention']
    # 81 frames of 10 ms, two pooled into one; the first and the last frame reach half a hop beyond the clip.
    assert len(spans) == 41 and spans[0]['start'] == 0 and spans[-1]['end'] == 0.8
    assert [span['start'] for span in spans[1:4]] == [0.015, 0.035, 0.055]
    assert sum(span['weight'] for span in spans) == pytest.approx(1, abs=1e-5)
    assert all(span['of'] is None for span in spans)
    assert sum(facts['probabilities'].values()) == pytest.approx(1)
    assert facts['emotion'] == facts['explained'] == max(facts['probabilities'], key=facts['probabilities'].get)
    assert set(facts['branches']) == set(facts['saliency']) == {'mel', 'mfcc'} and facts['gates'] == {}
    json.dumps(facts, allow_nan=False)


def test_a_mixture_of_experts_shows_its_gates_and_each_experts_attention():
    model = built('model={kind: moe, features: [ssl, mel, chroma], projection: 8, channels: 8, width: 8, '
                  f'ssl_transformer: {{layers: 0}}, encoder: {ENCODER}}}')
    facts = explained(model, tone(2, 0.5)).facts
    assert list(facts['gates']) == ['ssl', 'mel', 'chroma'] and sum(facts['gates'].values()) == pytest.approx(1)
    assert set(facts['branches']) == set(facts['saliency']) == {'mel', 'chroma', 'waveform'}
    for expert, count, step in (('ssl', 100, 0.005), ('mel', 13, 0.04), ('chroma', 13, 0.04)):
        spans = [span for span in facts['attention'] if span['of'] == expert]
        assert len(spans) == count and sum(span['weight'] for span in spans) == pytest.approx(1, abs=1e-5)
        assert spans[2]['end'] - spans[2]['start'] == pytest.approx(step, abs=1e-4)
        assert spans[0]['start'] >= 0 and spans[-1]['end'] <= 0.5


def test_gates_of_fused_views_and_of_none():
    views = nn.ModuleDict({'cqt': nn.Identity(), 'mel': nn.Identity()})
    network = Toy(None, backbones=views)
    assert gate_weights(network, {}) == {}
    assert gate_weights(network, {'gate': torch.tensor([[0.2, 0.4]])}) == pytest.approx({'cqt': 0.3, 'mel': 0.7})
    gates = {'gate_1': torch.tensor([[0.2, 0.4]]), 'gate_2': torch.tensor([[0.9]])}
    assert gate_weights(network, gates) == pytest.approx({'cqt': 0.3, 'mel': 0.9})


def test_dimensions_are_explained_by_the_one_furthest_from_its_mean():
    front_end = build_front_end(configured('model={kind: crnn, features: [mel]}'))
    network = Toy(lambda views: torch.tensor([[0.5, -2.0]]) + 0 * views['mel'].sum())
    head = Head('dimensions', ('arousal', 'valence'), (np.array([3.0, 4.0]), np.array([1.0, 0.5])))
    facts = explained(SpeechModel(front_end, network), tone(2), head).facts
    assert facts['explained'] == 'valence' and facts['emotion'] is None and facts['probabilities'] is None
    assert facts['dimensions'] == pytest.approx({'arousal': 3.5, 'valence': 3.0})


def test_a_baseline_gives_its_answer_alone():
    model = built('model={kind: majority}')
    facts = explain(model, Head('emotion', NAMES), tone(1), build_front_end(configured(*CRNN)).waveform).facts
    assert facts['branches'] == facts['saliency'] == {} and facts['attention'] == []
    assert facts['probabilities'] == pytest.approx(dict.fromkeys(NAMES, 1 / 3))


def test_an_answer_that_is_not_finite_is_refused():
    front_end = build_front_end(configured('model={kind: crnn, features: [mel]}'))
    model = SpeechModel(front_end, Toy(lambda views: torch.full((1, 3), torch.nan)))
    with pytest.raises(SerError, match='not finite'):
        explained(model, tone(1))
