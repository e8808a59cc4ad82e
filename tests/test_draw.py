import numpy as np
import pytest
import torch

from ser.config.schema import Config
from ser.features.draw import Draw, draw_views
from ser.features.mixup import Mix
from ser.features.trim import cut_to
from ser.shards.batch import draw_ids

EVERYTHING = {'features': {'waveform': {'length': {'kind': 'fixed'}}},
              'augment': {'spec_augment': {'kind': 'masks'}, 'mixup': {'mixes': 'waveforms'},
                          'waveform': [{'kind': 'gain'}, {'kind': 'speed', 'probability': 0.5}]}}


def mix():
    return Mix(torch.tensor([1, 0, 2]), torch.tensor(0.25))


def test_what_is_off_is_not_drawn():
    assert draw_views(Config(), ('mel',), 0, [1, 2]).parts == ()
    assert draw_views(Config(), ('mel',), 0, [1, 2, 3], mix()).parts == ()


def test_everything_that_is_on_is_drawn_and_moves():
    draw = draw_views(Config(**EVERYTHING), ('mel',), 0, np.array([4, 5, 6]), mix())
    assert draw.parts == ('masks', 'crop', 'mix', 'audio') == draw.to('cpu').parts
    assert draw.crop.dtype == torch.float32 and draw.crop.shape == (3,)
    assert draw.to('meta').audio.steps[0].rows.device.type == 'meta' == draw.to('meta').crop.device.type


def test_a_centre_crop_is_no_matter_of_chance():
    config = Config(features={'waveform': {'length': {'kind': 'fixed', 'crop': 'centre'}}})
    assert draw_views(config, ('mel',), 0, [1]).crop is None


def test_a_clips_draw_is_the_same_in_any_batch_and_another_epoch_is_another():
    config = Config(**EVERYTHING)
    many, alone = (draw_views(config, ('mel',), 2, ids) for ids in ([7, 8, 9], [8]))
    assert many.crop[1] == alone.crop[0] and many.audio.steps[0].values['factor'][1] == alone.audio.steps[0].values[
        'factor'][0]
    assert torch.equal(many.masks.views['mel']['time']['start'][1], alone.masks.views['mel']['time']['start'][0])
    assert draw_views(config, ('mel',), 3, [8]).crop[0] != alone.crop[0]


def test_copies_of_a_clip_are_cropped_and_masked_apart_and_the_first_as_a_clip_that_comes_once():
    config, ids = Config(**EVERYTHING), np.arange(300)
    once = draw_views(config, ('mel',), 2, ids)
    twice = draw_views(config, ('mel',), 2, draw_ids(np.tile(ids, 2), np.repeat([0, 1], 300)))
    pairs = [(once.crop, twice.crop)] + [(once.masks.views['mel'][axis][name], twice.masks.views['mel'][axis][name])
                                         for axis in ('time', 'frequency') for name in ('start', 'width')]
    for alone, both in pairs:
        assert torch.equal(both[:300], alone) and not (both[300:] == alone).any()
        assert torch.corrcoef(torch.stack([both[:300].flatten(), both[300:].flatten()]))[0, 1].abs() < 0.2


def test_a_clone_is_its_own_and_takes_over_another():
    first, second = Draw(crop=torch.tensor([0.1, 0.2])), Draw(crop=torch.tensor([0.3, 0.4]))
    copy = first.clone()
    copy.copy_(second)
    assert torch.equal(copy.crop, second.crop) and not torch.equal(first.crop, second.crop)


def test_crops_are_shares_of_the_possible_places_and_reach_all_of_them():
    shares = draw_views(Config(**EVERYTHING), ('mel',), 0, np.arange(4000)).crop
    assert shares.min() >= 0 and shares.max() < 1
    cut, lengths = cut_to(torch.arange(10.0).expand(4000, 10), torch.full((4000,), 10), 7, shares)
    assert set(lengths.tolist()) == {7} and torch.equal(cut - cut[:, :1], torch.arange(7.0).expand(4000, 7))
    counts = torch.bincount(cut[:, 0].long())
    assert len(counts) == 4 and (counts / 1000 - 1).abs().max() < 0.12


@pytest.mark.skipif(not torch.cuda.is_available(), reason='pinned memory needs CUDA')
def test_a_pinned_draw_is_pinned_in_every_part():
    draw = draw_views(Config(**EVERYTHING), ('mel',), 0, np.array([4, 5, 6]), mix()).pin_memory()
    assert draw.crop.is_pinned() and draw.mix.permutation.is_pinned() and draw.mix.share.is_pinned()
    assert all(value.is_pinned() for axis in draw.masks.views['mel'].values() for value in axis.values())
