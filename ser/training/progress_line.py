"""The log line of a run: where it stands, how fast it goes, how long it will take."""

from ser.evaluation.tables import counted
from ser.training.device import peak_memory_gb


def progress_line(progress, epochs, steps_per_epoch, loss, rate, pace, device):
    """One line: epoch, step, loss, learning rate, clips/s, data wait %, peak memory, time left.

    clips/s and data wait are of this epoch. pace: seconds a step, for what is left.
    """
    p, seconds = progress, max(progress.epoch_seconds, 1e-9)
    clips = p.epoch_clips / seconds
    left = seconds_left(p, epochs, steps_per_epoch, pace)
    return (f'epoch {p.epoch + 1}/{epochs} step {p.step}/{steps_per_epoch} loss {loss:.4f} lr {rate:.2e} '
            f'{clips:.{0 if clips >= 10 else 1}f} clips/s data wait {100 * p.epoch_wait / seconds:.0f} % '
            f'peak memory {peak_memory_gb(device):.1f} GB time left {clock(left)}')


def seconds_left(progress, epochs, steps_per_epoch, pace):
    """Seconds to the last epoch's end at `pace` seconds a step; validation is not counted."""
    return (epochs * steps_per_epoch - progress.global_step) * pace


def reading_line(counters):
    """What the readers met since training began, in words. counters: reason -> number, of shards.batch.Batch."""
    met = {'bad': (counters.get('bad', 0), 'clip', f'not usable and left out ({_kinds(counters)})'),
           'resampled': (counters.get('resampled', 0), 'clip', 'resampled'),
           'cropped': (counters.get('cropped', 0), 'clip', 'cropped to data.max_seconds'),
           'windowed': (counters.get('windowed', 0), 'clip', 'cut into windows of data.max_seconds'),
           'clipped_samples': (counters.get('clipped_samples', 0), 'sample', 'beyond full scale and cut off there'),
           'empty_batches': (counters.get('empty_batches', 0), 'micro-batch', 'without a usable clip')}
    said = [f'{counted(number, noun)} {words}' for number, noun, words in met.values() if number]
    return f"read so far, all epochs together: {', '.join(said)}"


def _kinds(counters):
    kinds = {name.removeprefix('bad: '): number for name, number in sorted(counters.items())
             if name.startswith('bad: ')}
    return ', '.join(f'{kind}: {number}' for kind, number in kinds.items())


def clock(seconds):
    """`h:mm:ss` or `m:ss`."""
    hours, minutes = divmod(round(seconds) // 60, 60)
    return f'{hours}:{minutes:02d}:{round(seconds) % 60:02d}' if hours else f'{minutes}:{round(seconds) % 60:02d}'
