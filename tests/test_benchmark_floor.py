"""The arithmetic of the floor, by hand."""

import math

import pytest
import torch
from torch import nn

from ser.benchmarks.floor import (
    Rates,
    Work,
    add_floor,
    cqt_work,
    fft_flops,
    frames_shown,
    front_end_work,
    image_work,
    mask_work,
    measure_rates,
    mel_work,
    network_work,
    sequence_work,
)
from ser.benchmarks.timing import Row
from tests.tiny_benchmark import tiny_config

RATES = Rates(bytes=1e9, bus_bytes=1e8, flops=1e10, network_flops=1e11)


def features(*assignments):
    """32 px; CQT of 72 bins, Mel of 32, both every 128 samples; FFTs of 512."""
    return tiny_config(*assignments).features


def test_operations_of_an_fft():
    assert fft_flops(1024) == 2.5 * 1024 * 10 and fft_flops(1024, real=False) == 5 * 1024 * 10


def test_cqt():
    work = cqt_work(features(), 8192)
    assert work.bytes == 4 * (8192 + 72 * 65)
    assert work.flops == pytest.approx(2.5 * 8192 * 13 + 72 * 5 * 65 * math.log2(65))


def test_mel_of_every_frame_and_of_some():
    each = 2.5 * 512 * 9 + 7 * 257
    assert mel_work(features(), 8192).flops == pytest.approx(65 * each)
    assert mel_work(features(), 8192, 10).flops == pytest.approx(10 * each)
    assert mel_work(features(), 8192).bytes == 4 * (8192 + 32 * 65)


def test_frames_that_an_image_shows():
    assert frames_shown(features(), 8192, 128) == 64
    assert frames_shown(features(), 4096, 128) == 33
    assert frames_shown(features('features.image.frames=all'), 8192, 128) == 65


def test_images_and_masks():
    images = 4 * 2 * 3 * 32 * 32
    assert image_work(features(), 8192, ('cqt', 'mel')).bytes == 4 * 64 * (72 + 32) + images
    assert mask_work(features(), ('cqt', 'mel')).bytes == 4 * 2 * 2 * 32 * 32


def test_the_front_end_reads_int16_and_adds_both_transforms():
    both, mel = front_end_work(features(), 8192, ('cqt', 'mel')), front_end_work(features(), 8192, ('mel',))
    assert both.bytes == 2 * 8192 + 4 * 2 * 3 * 32 * 32 and mel.bytes == 2 * 8192 + 4 * 3 * 32 * 32
    assert both.flops == pytest.approx(cqt_work(features(), 8192).flops + mel_work(features(), 8192, 64).flops)
    assert mel.flops == pytest.approx(mel_work(features(), 8192, 64).flops)


def test_sequences_for_a_clip():
    given = features()
    frames = 1 + 8192 // given.mel.hop_length
    both, mel = (sequence_work(given, 8192, wanted) for wanted in (('mel', 'chroma'), ('mel',)))
    assert mel.bytes == 2 * 8192 + 4 * frames * given.mel.bins and both.bytes == mel.bytes + 4 * frames * 12
    assert both.flops == mel.flops == mel_work(given, 8192).flops
    # int16 in, float32 out.
    assert sequence_work(given, 8192, ()) == Work(6.0 * 8192)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 5, bias=False)

    def forward(self, views):
        assert not self.training
        return self.layer(views['mel'].flatten(1))


def test_a_network_for_a_clip():
    network = Network().train()
    views = {'mel': torch.zeros(7, 3, 2, 2)}
    forward, step = network_work(network, views, 4, train=False), network_work(network, views, 4, train=True)
    assert forward.flops == 2 * 12 * 5 and step.flops == 3 * forward.flops
    # The image once; 60 weights shared by four clips, read once, or read twice and updated.
    assert forward.bytes == 4 * 12 + 4 * 60 / 4 and step.bytes == 4 * 12 + 4 * 60 * 9 / 4
    assert network.training


@pytest.mark.parametrize(('stage', 'size', 'flops', 'floor_ms'), [
    ('cqt', 1e6, 1e6, 1.0), ('cqt', 1e6, 2e7, 2.0), ('train_step', 1e6, 5e8, 5.0), ('copy', 1e6, 0.0, 10.0)])
def test_the_floor_is_the_greater_of_both(stage, size, flops, floor_ms):
    row = Row(stage, 'ser', 16, 3.5, 16, 20.0, (20.0, 20.0), None, {'bytes': size, 'flops': flops})
    add_floor([row], RATES)
    assert row.extra['floor_ms'] == pytest.approx(floor_ms)
    assert row.extra['fraction_of_floor'] == pytest.approx(floor_ms / 20.0)


def test_rows_without_work_or_with_an_error_have_no_floor():
    rows = [Row('cqt', 'librosa', 16, 3.5, 16, 20.0, (20.0, 20.0)),
            Row('cqt', 'ser', 16, 3.5, extra={'bytes': 1.0, 'flops': 1.0}, error='out of memory')]
    add_floor(rows, RATES)
    assert not any('floor_ms' in row.extra for row in rows)


@pytest.mark.slow
def test_rates_of_this_processor():
    rates = measure_rates(torch.device('cpu'), torch.bfloat16)
    # Slower or faster than these no machine is that runs this.
    assert 1e8 < rates.bytes < 1e13 and rates.bus_bytes == rates.bytes
    assert 1e8 < rates.flops < 1e14 and 1e7 < rates.network_flops < 1e15
    assert measure_rates(torch.device('cpu'), None).network_flops > 1e8
