"""Front ends without networks are those of the whole models."""

import pytest
import torch

from ser.config.load import load_config
from ser.errors import SerError
from ser.models import build_model
from ser.models.front_ends import build_front_end

SMALL = ('data.sample_rate=16000', 'features.sample_rate=16000', 'features.image.size=32', 'features.min_samples=1600',
         'features.mel={n_fft: 512, hop_length: 160, bins: 20}', 'features.mfcc.coefficients=8')
ENCODER = ('{source: {kind: config, hidden_size: 16, layers: 1, heads: 2, intermediate_size: 16, conv_dim: [8, 8], '
           'conv_kernel: [10, 3], conv_stride: [5, 4], position_kernel: 4, position_groups: 2}}')
SYSTEMS = {
    'maxmvit': 'model={kind: maxmvit, views: {cqt: null, mel: {backbone: {kind: mvitv2}}}}',
    'crnn': 'model={kind: crnn, features: [mfcc, mel], channels: [4], pools: [[2, 2]], width: 8, hidden: 8}',
    'ssl': f'model={{kind: ssl, encoder: {ENCODER}}}',
    'moe': f'model={{kind: moe, features: [ssl, mel], channels: 8, width: 8, encoder: {ENCODER}}}',
    'majority': 'model={kind: majority}',
}


@pytest.mark.parametrize('kind', SYSTEMS)
def test_the_views_are_those_of_the_model(kind):
    config = load_config(('base',), (*SMALL, SYSTEMS[kind]))
    front_end, model = build_front_end(config), build_model(config, ('a', 'b'))
    clips = torch.randint(-9000, 9000, (2, 4000), dtype=torch.int16), torch.tensor([4000, 2500])
    ours, theirs = front_end(*clips), model.views(*clips)
    assert list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_features_that_cannot_be_seen_are_refused():
    with pytest.raises(SerError, match='no feature is left'):
        build_front_end(load_config(('base',), (*SMALL, 'model={kind: crnn, features: []}')))
