import numpy as np
import torch

from ser.config.augment import MixupConfig
from ser.features.mixup import Mix, draw_mix, mix_views, mix_waveforms

ON = MixupConfig(alpha=0.4)


def test_off_draws_nothing():
    assert draw_mix(MixupConfig(), np.ones(8), 0, 0, 0) is None
    assert draw_mix(MixupConfig(alpha=1.0, probability=0.0), np.ones(8), 0, 0, 0) is None


def test_rows_of_no_weight_are_nobodys_partner():
    weights = torch.tensor([1.0, 0, 1, 1, 0, 1, 1, 0.5])
    for step in range(50):
        mix = draw_mix(ON, weights, 3, step, 0)
        assert mix.permutation[[1, 4]].tolist() == [1, 4]
        assert sorted(mix.permutation.tolist()) == list(range(8))
        assert 0.0 <= mix.share <= 1.0


def test_fewer_than_two_rows_are_not_mixed():
    assert draw_mix(ON, np.array([0.0, 1.0, 0.0]), 0, 0, 0) is None


def test_the_key_decides():
    base = draw_mix(ON, np.ones(16), 1, 5, 0)
    again = draw_mix(ON, torch.ones(16), 1, 5, 0)
    assert torch.equal(base.permutation, again.permutation) and base.share == again.share
    others = [draw_mix(ON, np.ones(16), *key) for key in ((2, 5, 0), (1, 6, 0), (1, 5, 1))]
    assert all(not torch.equal(base.permutation, other.permutation) for other in others)


def test_shares_follow_the_beta_distribution_and_the_probability():
    mixes = [draw_mix(MixupConfig(alpha=0.4, probability=0.7), np.ones(4), 0, step, 0) for step in range(2000)]
    shares = np.array([mix.share for mix in mixes if mix is not None])
    assert abs(len(shares) / 2000 - 0.7) < 0.04
    assert abs(shares.mean() - 0.5) < 0.03 and abs(shares.var() - 1 / (4 * (2 * 0.4 + 1))) < 0.01


def test_a_share_is_a_float32_scalar_wherever_it_goes():
    drawn = draw_mix(ON, np.ones(4), 0, 0, 0)
    for mix in (drawn, drawn.to('cpu'), Mix(drawn.permutation, 0.25).to('cpu')):
        assert mix.share.shape == () and mix.share.dtype == torch.float32
    images = {'mel': torch.rand(4, 1, 2, 2, dtype=torch.float64)}
    share = drawn.share.double()
    expected = share * images['mel'] + (1 - share) * images['mel'][drawn.permutation]
    torch.testing.assert_close(mix_views(images, drawn)['mel'], expected)


def test_images_by_hand_with_one_partner_for_all_views():
    cqt, mel = (torch.tensor(values).view(3, 1, 1, 1) for values in ([0.0, 10.0, 20.0], [1.0, 2.0, 3.0]))
    views = {'cqt': cqt, 'mel': mel}
    mixed = mix_views(views, Mix(torch.tensor([1, 2, 0]), 0.75).to('cpu'))
    assert mixed['cqt'].flatten().tolist() == [2.5, 12.5, 15.0] and mixed['mel'].flatten().tolist() == [1.25, 2.25, 2.5]
    assert mix_views(views, None) is views


def test_lengths_among_the_views_are_those_of_the_longer_clip():
    views = {'mel': torch.zeros(3, 2, 9), 'frames': torch.tensor([9, 4, 6])}
    mixed = mix_views(views, Mix(torch.tensor([1, 2, 0]), torch.tensor(0.5)))
    assert mixed['frames'].tolist() == [9, 6, 9] and mixed['frames'].dtype == torch.int64


def test_waveforms_by_hand_and_as_long_as_the_longer_clip():
    waveforms = torch.tensor([[1.0, 2.0, 3.0, 4.0], [8.0, 8.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    mix = Mix(torch.tensor([1, 0, 2]), torch.tensor(0.75))
    mixed, lengths = mix_waveforms(waveforms, torch.tensor([4, 2, 1]), mix)
    assert mixed.tolist() == [[2.75, 3.5, 2.25, 3.0], [6.25, 6.5, 0.75, 1.0], [0.0] * 4]
    assert lengths.tolist() == [4, 4, 1] and mixed.dtype == torch.float32
    assert waveforms[1].tolist() == [8.0, 8.0, 0.0, 0.0]


def test_waveforms_of_padding_rows_stay_as_they_are():
    torch.manual_seed(0)
    waveforms, lengths = torch.randn(6, 50), torch.tensor([50, 20, 30, 0, 10, 0])
    waveforms[3] = waveforms[5] = 0
    weights = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    for step in range(20):
        mixed, counts = mix_waveforms(waveforms, lengths, draw_mix(ON, weights, 0, step, 0))
        assert not mixed[[3, 5]].any() and counts[[3, 5]].tolist() == [0, 0]
        # Nobody is mixed with silence: what the clips hold together is kept.
        assert torch.allclose(mixed.sum(0), waveforms.sum(0), atol=1e-5)
