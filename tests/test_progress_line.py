import torch

from ser.training.progress_line import clock, progress_line, reading_line, seconds_left
from ser.training.state import Progress


def test_the_line_says_where_the_run_stands():
    progress = Progress(epoch=1, step=5, global_step=15, epoch_seconds=10.0, epoch_wait=1.0, epoch_clips=800)
    assert seconds_left(progress, 4, 10, 3) == 25 * 3
    line = progress_line(progress, 4, 10, 1.2345, 2e-4, 3, torch.device('cpu'))
    for part in ('epoch 2/4 step 5/10 loss 1.2345 lr 2.00e-04 80 clips/s data wait 10 %', 'GB time left 1:15'):
        assert part in line
    progress.epoch_clips = 6
    assert ' 0.6 clips/s ' in progress_line(progress, 4, 10, 1.2345, 2e-4, 3, torch.device('cpu'))


def test_what_was_met_in_reading_is_said_in_words():
    assert reading_line({'resampled': 1, 'clipped_samples': 7, 'cropped': 2}) == (
        'read so far, all epochs together: 1 clip resampled, 2 clips cropped to data.max_seconds, 7 samples beyond '
        'full scale and cut off there')
    assert reading_line({'bad': 3, 'bad: truncated': 2, 'bad: magic': 1, 'empty_batches': 1}).endswith(
        '3 clips not usable and left out (magic: 1, truncated: 2), 1 micro-batch without a usable clip')


def test_clock():
    assert [clock(seconds) for seconds in (5, 65, 3600, 7322.6)] == ['0:05', '1:05', '1:00:00', '2:02:03']
