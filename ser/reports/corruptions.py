"""What is done to test clips to see how much a model depends on good recordings: noise, codecs, bands, cuts, rooms.

Everything that is drawn (noise, who babbles, a room's echoes) is a pure function of the clip's key, so a clip sounds
the same in any batch, order, or part of the test. The same noise is used at every signal-to-noise ratio.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.signal import fftconvolve

from ser.config.waveform_augment import BandLimitStep, CodecStep
from ser.errors import SerError
from ser.features.augment_codec import codec
from ser.features.augment_filter import band_limit
from ser.features.augment_noise import mixed_at, normals
from ser.features.drawn import drawn_values
from ser.features.waveform import FULL_SCALE
from ser.randomness import generator, key_of

TALKERS = 6
"""Voices in the babble."""
MOST_TALKERS = 64
"""Clips of the test part that babble is made of, at most."""
TALKER_SECONDS = 10.0
LEVEL_DB = -20.0
CLIPPED_AT = 0.25
"""Share of its own peak at which an overdriven clip is cut off."""
DIRECT_SECONDS = 0.0025
"""Echoes begin this long after the direct sound, with the same energy as it has."""


@dataclass(frozen=True)
class Heard:
    """A clip as it is: float32 (n,) samples in [-1, 1] at `rate` Hz. babble: a Babble, or None where there is none."""

    key: str
    speaker: str | None
    samples: np.ndarray
    rate: int
    babble: object = None


@dataclass(frozen=True)
class Corruption:
    """One way to change a clip: apply(Heard) -> float32 (m,), m >= 1. group: what it belongs to, for tables.

    least_rate: Hz that the audio must have for it to change anything. seconds: what it cuts clips to, or None.
    """

    name: str
    group: str
    apply: Callable
    needs_babble: bool = False
    least_rate: int = 0
    seconds: float | None = None


class Babble:
    """Several people talking at once, none of them the speaker of the clip where that can be had."""

    def __init__(self, talkers):
        """talkers: (key, speaker or None, int16 (n,)) of at least two clips, in any order."""
        self.talkers = sorted(talkers, key=lambda talker: talker[0])
        if len(self.talkers) < 2:
            raise SerError('babble is made of other clips: at least two are needed')

    def under(self, heard):
        """float32 (n,): TALKERS voices at one level, as long as the clip, each from a place of its own."""
        others = [talker for talker in self.talkers if talker[0] != heard.key]
        strangers = [talker for talker in others if talker[1] is None or talker[1] != heard.speaker]
        rng, total = generator('robustness', 'babble', heard.key), np.zeros(len(heard.samples))
        pool = strangers or others
        for number in rng.permutation(len(pool))[:TALKERS]:
            voice = pool[number][2].astype(np.float64)
            power = np.sqrt(np.mean(voice**2))
            start = int(rng.integers(len(voice)))
            if power > 0:
                total += np.resize(np.roll(voice, -start), len(total)) / power
        return total.astype(np.float32)


def corruptions():
    """Every Corruption in the order of the table; the first leaves clips as they are."""
    return (
        Corruption('clean', 'clean', lambda heard: heard.samples),
        *(Corruption(f'white noise, {snr} dB', 'white noise', functools.partial(_noisy, white_noise, snr))
          for snr in (30, 20, 10, 0)),
        *(Corruption(f'babble, {snr} dB', 'babble', functools.partial(_noisy, _babble, snr), needs_babble=True)
          for snr in (20, 10, 0)),
        Corruption('telephone codec (8 bits, mu-law, 8 kHz)', 'codec', functools.partial(_codec, CodecStep())),
        Corruption('coarse codec (4 bits, mu-law, 8 kHz)', 'codec',
                   functools.partial(_codec, CodecStep(bits=(4, 4)))),
        Corruption('telephone band (300 to 3400 Hz)', 'band limit', functools.partial(_band, BandLimitStep())),
        Corruption('low-pass at 4 kHz', 'band limit',
                   functools.partial(_band, BandLimitStep(low_hz=None, high_hz=(4000.0, 4000.0))), least_rate=8001),
        Corruption(f'{-LEVEL_DB:g} dB softer, 16 bits', 'level', softer),
        Corruption(f'cut off at {CLIPPED_AT:g} of its peak', 'level', overdriven),
        *(Corruption(f'{place} {seconds:g} s', 'short clips', functools.partial(cut, place, seconds), seconds=seconds)
          for place in ('first', 'centre') for seconds in (0.5, 1.0, 2.0)),
        *(Corruption(f'reverberation, {seconds:g} s', 'reverberation', functools.partial(reverberant, seconds))
          for seconds in (0.3, 0.8)))


def white_noise(heard):
    """float32 (n,): Gaussian noise of the clip's own, of variance 1."""
    return normals(_keys('noise', heard), len(heard.samples))[0].numpy()


def _babble(heard):
    return heard.babble.under(heard)


def _noisy(make, snr_db, heard):
    """The clip with noise, the powers of both taken over the whole clip; samples may pass full scale."""
    samples, noise = (torch.from_numpy(x)[None] for x in (heard.samples, make(heard)))
    return mixed_at(samples, _lengths(heard), noise, torch.tensor([float(snr_db)]))[0].numpy()


def _codec(step, heard):
    drawn = _drawn(step, bits=np.array([step.bits[0]]))
    return codec(torch.from_numpy(heard.samples)[None], _lengths(heard), drawn, heard.rate)[0][0].numpy()


def _band(step, heard):
    low, high = step.low_hz or (0.0,), step.high_hz or (np.inf,)
    drawn = _drawn(step, low_hz=np.array([low[0]]), high_hz=np.array([high[0]]))
    return band_limit(torch.from_numpy(heard.samples)[None], _lengths(heard), drawn, heard.rate)[0][0].numpy()


def softer(heard):
    """The clip at LEVEL_DB, rounded to 16 bits as a recorder would."""
    return (np.rint(heard.samples * (10 ** (LEVEL_DB / 20) * FULL_SCALE)) / FULL_SCALE).astype(np.float32)


def overdriven(heard):
    """The clip cut off at CLIPPED_AT of its own peak, as by a microphone that is too close, at the level it had."""
    most = np.abs(heard.samples).max() * np.float32(CLIPPED_AT)
    return np.clip(heard.samples, -most, most)


def cut(place, seconds, heard):
    """The 'first' or 'centre' seconds of a clip; a shorter one as it is."""
    total = max(1, round(seconds * heard.rate))
    start = 0 if place == 'first' else max(0, (len(heard.samples) - total) // 2)
    return heard.samples[start:start + total]


def reverberant(seconds, heard):
    """The clip in a room of its own that takes `seconds` to fall by 60 dB, at the power and length that it had."""
    wet = fftconvolve(heard.samples.astype(np.float64), room(seconds, heard.rate, heard.key))[:len(heard.samples)]
    power, now = np.mean(heard.samples.astype(np.float64)**2), np.mean(wet**2)
    return (wet * np.sqrt(power / now if now > 0 else 0.0)).astype(np.float32)


def room(seconds, rate, key):
    """float64 (m,): the impulse response of a simple room: the direct sound, then Gaussian noise that decays by 60 dB
    in `seconds`, both of energy 1 (Polack's model)."""
    times = np.arange(round(1.2 * seconds * rate)) / rate
    echoes = generator('robustness', 'room', key).standard_normal(len(times)) * 10.0 ** (-3.0 * times / seconds)
    echoes[times < DIRECT_SECONDS] = 0.0
    echoes /= np.sqrt(np.sum(echoes**2))
    echoes[0] = 1.0
    return echoes


def _keys(kind, heard):
    return torch.from_numpy(np.array([key_of('robustness', kind, heard.key)], dtype=np.uint64).view(np.int64))


def _lengths(heard):
    return torch.tensor([len(heard.samples)])


def _drawn(step, **host):
    return drawn_values(step, np.zeros(1, dtype=np.int64), host, np.zeros(1, dtype=np.uint64))
