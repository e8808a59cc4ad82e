import logging
import os

import numpy as np
import pytest
import soundfile
import torch

from ser.config.waveform_augment import BackgroundStep, GainStep, OneOfStep
from ser.errors import SerError
from ser.features import augment_background
from ser.features.augment_background import Recordings, background, check_recordings, draw_background, read_folder
from ser.features.drawn import drawn_values


def write(folder, name, samples, rate=16000):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.asarray(samples, dtype=np.int16), rate)


def two_recordings():
    return Recordings(torch.tensor([1, 2, 3, 10, 20, 30, 40, 50], dtype=torch.int16) * 256, torch.tensor([0, 3]),
                      torch.tensor([3, 5]))


def test_files_are_read_in_natural_order_at_the_wanted_rate(tmp_path):
    write(tmp_path, 'b2.wav', [5, 6, 7])
    write(tmp_path, 'inside/b10.flac', [8, 9])
    write(tmp_path, 'z.wav', np.zeros(1000), rate=8000)
    found = read_folder(str(tmp_path), 16000)
    assert found.samples[:5].tolist() == [5, 6, 7, 8, 9] and found.samples.dtype == torch.int16
    assert found.starts.tolist() == [0, 3, 5] and found.sizes.tolist() == [3, 2, 2000]
    assert read_folder(str(tmp_path), 16000) is found


def test_excerpts_by_hand():
    found = two_recordings().excerpts(torch.tensor([2, 4]), 5, torch.tensor([0.9, 0.1]), torch.tensor([0.5, 0.4]))
    # The second recording at place 2 of 4; the first, shorter than the clip, over and over from place 1 of 3.
    assert torch.allclose(found[0, :2], torch.tensor([30.0, 40.0]) / 128)
    assert torch.allclose(found[1, :4], torch.tensor([2.0, 3.0, 1.0, 2.0]) / 128)


def test_every_place_of_an_excerpt_lies_within_its_recording_and_all_are_met():
    shares = torch.linspace(0, 1 - 2**-24, 400)
    found = two_recordings().excerpts(torch.full((400,), 3), 3, torch.full((400,), 1 - 2**-24), shares) * 128
    assert {tuple(row) for row in found.round().int().tolist()} == {(10, 20, 30), (20, 30, 40), (30, 40, 50)}
    both = two_recordings().excerpts(torch.ones(400, dtype=torch.int64), 1, shares, torch.zeros(400)) * 128
    assert both.flatten().round().int().bincount().nonzero().flatten().tolist() == [1, 10]


def test_the_ratio_over_the_clips_own_samples_is_the_drawn_one(tmp_path):
    write(tmp_path, 'noise.wav', np.random.default_rng(0).integers(-9000, 9000, 3000))
    step = BackgroundStep(folder=str(tmp_path), snr_db=(4, 8))
    host = draw_background(step, np.array([[0.5, 0.2, 0.3], [1.0, 0.9, 0.9]]))
    assert host['snr_db'].tolist() == [6.0, 8.0]
    clips, lengths = torch.randn(2, 5000, generator=torch.Generator().manual_seed(1)), torch.tensor([5000, 1200])
    clips[1, 1200:] = 0
    drawn = drawn_values(step, np.arange(2), host, np.zeros(2, dtype=np.uint64))
    mixed, same = background(clips, lengths, drawn, 16000)
    ratio = 10 * torch.log10(clips.square().sum(1) / (mixed - clips).square().sum(1))
    assert ratio.tolist() == pytest.approx([6.0, 8.0], abs=0.01) and same is lengths


def test_files_that_cannot_be_read_are_named(tmp_path, caplog):
    write(tmp_path, 'good.wav', [1, 2])
    for number in range(5):
        (tmp_path / f'bad{number}.wav').write_bytes(b'RIFF')
    with caplog.at_level(logging.WARNING):
        assert read_folder(str(tmp_path), 16000).sizes.tolist() == [2]
    assert '5 of 6 files cannot be read and are left out: bad0.wav (cannot be decoded' in caplog.text
    assert 'bad2.wav' in caplog.text and 'and 2 more' in caplog.text and 'bad3.wav' not in caplog.text


def test_a_folder_that_serves_nothing_is_refused_before_training(tmp_path, monkeypatch):
    with pytest.raises(SerError, match=r"background: no such folder: '.*gone'. Set its folder to one of audio files"):
        check_recordings((GainStep(), BackgroundStep(folder=str(tmp_path / 'gone'))), 16000)
    with pytest.raises(SerError, match='no audio file in'):
        check_recordings((OneOfStep(steps=(BackgroundStep(folder=str(tmp_path)),)),), 16000)
    (tmp_path / 'bad.wav').write_bytes(b'no audio')
    with pytest.raises(SerError, match=r"none of the 1 audio files in '.*' can be read: bad.wav \(cannot be decoded"):
        read_folder(str(tmp_path), 16000)
    write(tmp_path, 'good.wav', np.ones(9))
    monkeypatch.setattr(augment_background, 'MOST_SAMPLES', 8)
    with pytest.raises(SerError, match=r'last longer than 0 hours at 16000 Hz, the most that is held in memory'):
        read_folder(str(tmp_path), 16000)
    check_recordings((GainStep(),), 16000)


@pytest.mark.skipif(os.name != 'posix' or os.geteuid() == 0, reason='needs files that their owner cannot read')
def test_a_file_without_permission_is_one_that_cannot_be_read(tmp_path):
    write(tmp_path, 'closed.wav', np.ones(9))
    (tmp_path / 'closed.wav').chmod(0)
    with pytest.raises(SerError, match='closed.wav'):
        read_folder(str(tmp_path), 16000)
