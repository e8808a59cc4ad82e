import numpy as np
import pytest
import torch
from oracles import resize

from ser.config.features import FixedTime, ImageConfig
from ser.errors import SerError
from ser.features.image import Imager
from ser.features.level import frames_at


def image_of(imager, levels, frames):
    """(B, C, F, T) -> (B, C, size, size) by the frames that the columns lie between alone."""
    columns = imager.columns(frames, levels.shape[-1])
    shown = torch.stack([frames_at(channel, columns.shown) for channel in levels.unbind(1)], dim=1)
    return imager.resize(columns.between(shown))


def random_levels(frames=(300, 171, 9), bands=84, channels=1):
    levels = torch.rand(len(frames), channels, bands, max(frames))
    for row, count in enumerate(frames):
        levels[row, ..., count:] = 0
    return levels, torch.tensor(frames)


@pytest.mark.parametrize('size', [224, 96])
def test_stretch_equals_resizing_each_cut_clip(size):
    levels, frames = random_levels()
    images = image_of(Imager(ImageConfig(size=size), 512, 44100), levels, frames)
    for row, count in enumerate(frames.tolist()):
        cut = levels[row:row + 1, ..., :count]
        expected = torch.nn.functional.interpolate(cut.double(), (size, size), mode='bilinear', align_corners=False)
        assert (images[row] - expected[0]).abs().max() < 1e-4
        np.testing.assert_allclose(images[row, 0], resize(cut[0, 0].double().numpy(), size), atol=1e-4)


def test_fixed_cuts_at_the_centre_and_pads_with_the_floor():
    levels, frames = random_levels()
    imager = Imager(ImageConfig(size=64, time=FixedTime(seconds=2.0)), 512, 44100)
    window = 1 + 88200 // 512
    assert imager.fixed_frames == window == 173
    images = image_of(imager, levels, frames)
    start = (300 - window) // 2
    np.testing.assert_allclose(images[0, 0], resize(levels[0, 0, :, start:start + window].double().numpy(), 64),
                               atol=1e-4)
    for row in (1, 2):
        padded = np.zeros((84, window))
        padded[:, :frames[row]] = levels[row, 0, :, :frames[row]]
        np.testing.assert_allclose(images[row, 0], resize(padded, 64), atol=1e-4)


@pytest.mark.parametrize('time', [{'kind': 'stretch'}, {'kind': 'fixed', 'seconds': 1.3}])
def test_an_image_does_not_depend_on_batch_mates(time):
    levels, frames = random_levels(channels=3)
    imager = Imager(ImageConfig(size=96, time=time), 512, 44100)
    images = image_of(imager, levels, frames)
    for row, count in enumerate(frames.tolist()):
        alone = image_of(imager, levels[row:row + 1, ..., :count], frames[row:row + 1])
        assert (alone[0] - images[row]).abs().max() < 1e-4


def test_channels_mean_and_deviation():
    image = torch.rand(2, 1, 8, 8)
    mean, std = (0.1, 0.2, 0.6), (0.5, 1.0, 2.0)
    three = Imager(ImageConfig(mean=mean, std=std), 512, 44100).normalise(image)
    expected = (image - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(three, expected)
    single = Imager(ImageConfig(mean=mean, std=std, channels='single'), 512, 44100).normalise(image)
    torch.testing.assert_close(single, (image - 0.3) / (3.5 / 3))
    delta = Imager(ImageConfig(mean=mean, std=std, channels='delta'), 512, 44100)
    torch.testing.assert_close(delta.normalise(image.expand(-1, 3, -1, -1)), expected)
    assert not delta.state_dict()


def test_an_even_delta_width_is_refused():
    with pytest.raises(SerError, match=r'features.image.delta_width: 8 is even; an odd number of frames is wanted, '
                                       'such as 9'):
        Imager(ImageConfig(delta_width=8), 512, 44100)


@pytest.mark.parametrize('size', [32, 96])
@pytest.mark.parametrize('count', [1, 2, 63, 64, 65, 192, 193, 500])
def test_columns_lie_between_neighbours_inside_the_clip(size, count):
    columns = Imager(ImageConfig(size=size), 512, 44100).columns(torch.tensor([count]), count)
    left, right = columns.shown[0, 0::2], columns.shown[0, 1::2]
    assert columns.inside is None and left.min() >= 0 and right.max() <= count - 1
    assert ((right - left == 1) | (left == count - 1)).all()
    assert (columns.weight >= 0).all() and (columns.weight < 1).all()
    # Every frame is shown until there are more than two for each column.
    assert (set(columns.shown[0].tolist()) == set(range(count))) == (count <= 2 * size)
