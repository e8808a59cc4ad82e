import numpy as np
import pytest
import torch
from kornia.augmentation import AugmentationSequential

from ser.config.augment import MaskSpecAugment, NoSpecAugment
from ser.features.augment import FrequencyMask, SpecAugment, TimeMask, draw_spec_augment, spans
from ser.features.sequences import masked_spans

CONFIG = MaskSpecAugment(time_masks=2, time_width=0.3, frequency_masks=1, frequency_width=0.4)


def drawn(config=CONFIG, ids=(4, 9, 11), views=('cqt', 'mel'), seed=1, epoch=0):
    return draw_spec_augment(config, views, seed, epoch, np.asarray(ids))


def test_off_draws_nothing():
    assert drawn(NoSpecAugment()) is None


def test_a_mask_by_hand():
    image = torch.arange(1.0, 11.0).expand(1, 1, 4, 10)
    params = {'start': torch.tensor([[0.2, 0.85]]), 'width': torch.tensor([[0.2, 0.08]])}
    masked = TimeMask(2, 0.5)(image, params=params)
    assert masked[0, 0].tolist() == [[1, 2, 0, 0, 5, 6, 7, 8, 0, 10]] * 4
    params = {'start': torch.tensor([[0.5]]), 'width': torch.tensor([[0.25]])}
    masked = FrequencyMask(1, 0.5, 'mean')(image, params=params)
    assert masked[0, 0, 2].tolist() == [5.5] * 10 and torch.equal(masked[0, 0, [0, 1, 3]], image[0, 0, [0, 1, 3]])


def test_each_channel_is_filled_with_its_own_mean_and_masked_alike():
    image = torch.rand(2, 3, 8, 8)
    params = {'start': torch.tensor([[0.25], [0.5]]), 'width': torch.tensor([[0.25], [0.25]])}
    masked = TimeMask(1, 1.0, 'mean')(image, params=params)
    for row, column in ((0, 2), (1, 4)):
        for channel in range(3):
            assert torch.allclose(masked[row, channel, :, column], image[row, channel].mean())
    assert (masked != image).any(dim=2).all(dim=1).sum(dim=1).tolist() == [2, 2]


def test_spans_stay_inside_and_under_the_widest():
    drawn_spans = spans(torch.rand(500, 2, 3), 0.3)
    assert drawn_spans['width'].max() <= 0.3 and drawn_spans['start'].min() >= 0
    assert (drawn_spans['start'] + drawn_spans['width']).max() <= 1.0


def test_widths_and_masked_share_are_as_asked():
    draw = drawn(ids=range(4000))
    time, frequency = (draw.views['cqt'][axis] for axis in ('time', 'frequency'))
    assert time['width'].shape == (4000, 2) and frequency['width'].shape == (4000, 1)
    assert time['width'].mean() == pytest.approx(0.15, abs=0.01)
    assert frequency['width'].mean() == pytest.approx(0.2, abs=0.01)
    half = drawn(MaskSpecAugment(probability=0.5), ids=range(4000)).views
    assert half['cqt']['time']['batch_prob'].mean() == pytest.approx(0.5, abs=0.03)
    assert torch.equal(half['cqt']['time']['batch_prob'], half['mel']['frequency']['batch_prob'])


def test_a_clips_masks_are_the_same_in_any_batch():
    image = torch.rand(3, 1, 32, 32) + 0.1
    module, whole = SpecAugment(CONFIG), drawn()
    masked = module(image, whole.views['cqt'])
    for row, clip in enumerate((4, 9, 11)):
        alone = module(image[row:row + 1], drawn(ids=[clip]).views['cqt'])
        assert torch.equal(alone[0], masked[row])
    assert torch.equal(module(image, drawn().views['cqt']), masked)
    swapped = module(image.flip(0), drawn(ids=(11, 9, 4)).views['cqt'])
    assert torch.equal(swapped.flip(0), masked)


def test_seed_epoch_view_and_axis_change_the_masks():
    base = drawn().views['cqt']['time']['start']
    for other in (drawn(seed=2).views['cqt']['time'], drawn(epoch=1).views['cqt']['time'],
                  drawn().views['mel']['time']):
        assert not torch.equal(other['start'], base)
    assert not torch.equal(base[:, :1], drawn().views['cqt']['frequency']['start'])


def test_shared_masks_are_the_same_in_every_view():
    views = drawn(CONFIG.model_copy(update={'shared': True})).views
    assert torch.equal(views['cqt']['time']['start'], views['mel']['time']['start'])


def test_probability_leaves_some_clips_alone():
    config = CONFIG.model_copy(update={'probability': 0.5, 'time_width': 1.0})
    draw = drawn(config, ids=range(40))
    image = torch.ones(40, 1, 64, 64)
    touched = (SpecAugment(config)(image, draw.views['cqt']) != image).flatten(1).any(dim=1)
    assert touched.tolist() == (draw.views['cqt']['time']['batch_prob'] > 0.5).tolist() and 5 < touched.sum() < 35
    never = CONFIG.model_copy(update={'probability': 0.0})
    assert torch.equal(SpecAugment(never)(image, drawn(never, ids=range(40)).views['mel']), image)


def test_no_masks_on_an_axis_is_allowed():
    config = MaskSpecAugment(time_masks=0, frequency_masks=1, frequency_width=0.5)
    image = torch.ones(30, 1, 16, 16)
    masked = SpecAugment(config)(image, drawn(config, ids=range(30)).views['cqt'])
    assert (masked == masked[..., :1]).all() and (masked == 0).any()


def test_drawing_and_masking_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    SpecAugment(CONFIG)(torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)), drawn().views['cqt'])
    assert torch.equal(torch.get_rng_state(), state)


def test_moving_a_draw_keeps_it():
    draw, moved = drawn(), drawn().to('cpu')
    assert torch.equal(moved.views['mel']['time']['width'], draw.views['mel']['time']['width'])


def test_the_masks_are_kornia_augmentations_that_replay():
    torch.manual_seed(0)
    pipeline = AugmentationSequential(TimeMask(2, 0.4), FrequencyMask(1, 0.4, 'mean'), data_keys=['input'])
    image = torch.rand(4, 1, 32, 32) + 0.1
    masked = pipeline(image)
    assert not torch.equal(masked, image)
    assert torch.equal(pipeline(image, params=pipeline._params), masked)
    assert 'count=2, widest=0.4' in repr(pipeline) and not pipeline.state_dict()
    same = TimeMask(1, 0.5)
    same.same_on_batch = True
    assert (same(torch.ones(3, 1, 8, 64))[0] == same(torch.ones(3, 1, 8, 64), params=same._params)).all()


def test_a_clone_is_its_own_and_takes_over_every_number_of_another():
    first, second = drawn(), drawn(seed=2, config=MaskSpecAugment(time_masks=2, time_width=0.3, frequency_masks=1,
                                                                  frequency_width=0.4, probability=0.5))

    def numbers(draw):
        return torch.cat([value.flatten() for axes in draw.views.values() for params in axes.values()
                          for value in params.values()])

    before, copy = numbers(first).clone(), first.clone()
    copy.copy_(second)
    assert torch.equal(numbers(copy), numbers(second)) and torch.equal(numbers(first), before)
    assert not torch.equal(numbers(second), before)


@pytest.mark.parametrize('fill', ['floor', 'mean'])
def test_the_twelve_rows_of_chroma_survive_the_default_masks(fill):
    config, clips = MaskSpecAugment(fill=fill), 1000
    draw = drawn(config, ids=range(clips), views=('chroma',)).views['chroma']
    # Masks cover whole rows and whole columns: what is left of a row that no frequency mask covers are the frames
    # that no time mask covers.
    values = torch.rand(clips, 12, 80) + 1
    touched = SpecAugment(config)(values[:, None], draw)[:, 0] != values
    in_sequence = masked_spans(values, torch.full((clips,), 80), draw, fill) != values
    # The quietest value is what 'floor' fills with.
    assert (touched != in_sequence).sum(dim=(1, 2)).max() <= 1
    rows = touched.all(dim=2)
    assert rows.sum(dim=1).max() <= 4
    # Two masks, each of a twentieth on average.
    assert rows.float().mean() == pytest.approx(0.0975, abs=0.02)
    assert touched.all(dim=1).float().mean() == pytest.approx(0.0975, abs=0.02)
