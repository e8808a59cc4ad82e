"""Listening: the latest window of a sound that goes on, classified every hop until it is interrupted."""

import time
from dataclasses import dataclass, field

import numpy as np
import soxr

from ser.errors import SerError
from ser.inference.emotion_segments import SILENCE
from ser.inference.emotion_windows import LOWEST_DB, SILENCE_DB, check_segments, grid_of, level_db
from ser.inference.live_bars import Update


@dataclass
class Heard:
    """How listening went."""

    seconds: float = 0.0
    """Of sound, lost sound not counted."""
    latencies: list = field(default_factory=list)
    """Of each update, seconds from the arrival of its last sample until it was shown."""
    skipped: int = 0
    """Updates that were left out because the model had not finished the one before."""
    overruns: int = 0
    """Times that sound was lost, by the device or because the model took too long."""
    lost_seconds: float = 0.0
    """Of sound that was lost because the model took too long; the device does not say how much it lost."""

    def words(self):
        """One line for people."""
        said = f'heard {self.seconds:.1f} s, {len(self.latencies)} updates'
        if self.latencies:
            middle, most = np.percentile(1000 * np.array(self.latencies), (50, 95))
            said += f'; latency {middle:.0f} ms (median), {most:.0f} ms (95 %)'
        said += f'; {self.overruns} overruns' if self.overruns != 1 else '; 1 overrun'
        if self.lost_seconds:
            said += f' ({self.lost_seconds:.1f} s of sound lost)'
        if self.skipped:
            said += f'; {self.skipped} updates skipped: this machine takes longer than a hop. Give a longer --hop'
        return said


def live_grid(predictor, window_seconds=None, hop_seconds=None, silence_db=SILENCE_DB):
    """The emotion_windows.Grid to listen with. Raises SerError for a run without classes and lengths that do not
    fit.
    """
    if not predictor.classifies:
        raise SerError(f'this run predicts dimensions ({", ".join(predictor.names)}); listening names emotions and is '
                       'of runs that learnt classes')
    check_segments(0.0, silence_db)
    return grid_of(predictor.sample_rate, predictor.config.data.max_seconds, window_seconds, hop_seconds)


def listen(predictor, ring, rate, grid, show, silence_db=SILENCE_DB):
    """Show what is heard until the sound ends or Ctrl-C (KeyboardInterrupt); returns Heard.

    ring: a live_audio.Ring of samples at `rate` Hz. grid: of `live_grid`. show: called with an Update every hop; until
    a whole window is there with what there is. When the model falls behind, hops are skipped and counted, so that what
    is shown is never older than the model takes.
    """
    resampler = None if rate == grid.sample_rate else soxr.ResampleStream(rate, grid.sample_rate, 1, 'float64', 'HQ')
    hop = max(1, round(grid.hop * rate / grid.sample_rate))
    window, heard = np.zeros(0, np.int16), Heard()
    try:
        while (taken := ring.take(hop)) is not None:
            samples, arrived = taken
            heard.seconds += len(samples) / rate
            heard.skipped += len(samples) // hop - 1
            if resampler is not None:
                new = resampler.resample_chunk(samples.astype(np.float64))
                samples = np.clip(np.rint(new), -32768, 32767).astype(np.int16)
            window = np.concatenate([window, samples])[-grid.window:]
            if not len(window):
                continue
            show(_update(predictor, window, heard.seconds, grid.frame, silence_db))
            heard.latencies.append(time.monotonic() - arrived)
    except KeyboardInterrupt:
        # How people end it.
        pass
    heard.overruns, heard.lost_seconds = ring.overruns, ring.lost / rate
    return heard


def _update(predictor, window, seconds, frame, silence_db):
    """The Update of int16 (n,) samples at the model's rate."""
    whole = len(window) // frame * frame
    frames = window[-whole:].reshape(-1, frame) if whole else window[None]
    loudest = max(float(level_db(frames).max()), LOWEST_DB)
    if loudest < silence_db:
        return Update(seconds, SILENCE, None, None, loudest)
    values = predictor.calibration.apply(predictor.values([window]))[0]
    return Update(seconds, *predictor.calibration.answer(values, predictor.names), values, loudest)
