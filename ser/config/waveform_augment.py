"""`augment.waveform`: what training does to the audio of a clip, step by step, in bounds of which each clip draws."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from ser.config.section import NUMBER, NonNegative, PositiveInt, Probability, Section


def _ordered(bounds):
    if bounds[0] > bounds[1]:
        raise ValueError('should be [lowest, highest]')
    return bounds


def _whole_percents(bounds):
    if any(abs(100 * bound - round(100 * bound)) > 1e-6 for bound in bounds):
        raise ValueError('should be whole percents, such as [0.9, 1.1]')
    return bounds


def _bounds(least, greatest, number=float):
    """[lowest, highest], both within [least, greatest]; equal ones leave nothing to chance."""
    bound = Annotated[number, Field(ge=least, le=greatest), NUMBER]
    return Annotated[tuple[bound, bound], AfterValidator(_ordered)]


Decibels = _bounds(-100.0, 100.0)
Factors = _bounds(0.5, 2.0)
Hertz = _bounds(1.0, 400_000.0)


class GainStep(Section):
    """Louder or softer; samples may pass full scale, nothing clips."""

    kind: Literal['gain'] = 'gain'
    """Every sample times one factor."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    db: Decibels = (-6.0, 6.0)
    """Bounds of the gain in dB."""


class PolarityStep(Section):
    """The waveform upside down, as by a microphone wired the other way."""

    kind: Literal['polarity'] = 'polarity'
    """Every sample times -1."""
    probability: Probability = 0.5
    """Chance that a clip gets it."""


class ShiftStep(Section):
    """A circular shift: what leaves the clip at one end comes back at the other."""

    kind: Literal['shift'] = 'shift'
    """Samples rolled within the clip."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    share: _bounds(-1.0, 1.0) = (-0.2, 0.2)
    """Bounds of the shift as a share of the clip's own length; above 0 is later."""


class NoiseStep(Section):
    """White Gaussian noise relative to the clip's own level; silence stays silent."""

    kind: Literal['noise'] = 'noise'
    """Noise at a signal-to-noise ratio."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    snr_db: Decibels = (10.0, 40.0)
    """Bounds of the ratio in dB of the powers of clip and noise, over the clip's own samples."""


class NoiseLevelStep(Section):
    """White Gaussian noise of a level of its own, whatever the clip's."""

    kind: Literal['noise_level'] = 'noise_level'
    """Noise at a level."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    deviation: _bounds(0.0, 1.0) = (0.001, 0.015)
    """Bounds of the noise's standard deviation, where full scale is 1."""


class SpeedStep(Section):
    """Speed perturbation (Ko et al. 2015): played faster or slower, so that duration, pitch and formants change."""

    kind: Literal['speed'] = 'speed'
    """Resampled by a factor of whole percents."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    factor: Annotated[Factors, AfterValidator(_whole_percents)] = (0.9, 1.1)
    """Bounds of the factor in whole percents; above 1 is faster, shorter and higher."""


class StretchStep(Section):
    """Time stretch: duration changes, pitch and level do not."""

    kind: Literal['stretch'] = 'stretch'
    """Phase vocoder."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    rate: Factors = (0.9, 1.1)
    """Bounds of the rate; above 1 is faster and shorter. Drawn in steps of 0.001."""


class PitchStep(Section):
    """Pitch shift: pitch and formants change, duration and level do not."""

    kind: Literal['pitch'] = 'pitch'
    """Stretched by the phase vocoder, then resampled to the old length."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    semitones: _bounds(-12.0, 12.0) = (-2.0, 2.0)
    """Bounds of the shift in semitones; the factor of frequency is rounded to 1/200, 5 cents at most."""


class BackgroundStep(Section):
    """An excerpt of a recording from a folder, relative to the clip's own level; silence stays silent."""

    kind: Literal['background'] = 'background'
    """Recordings mixed in at a signal-to-noise ratio."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    folder: Annotated[str, Field(min_length=1)]
    """Folder of audio files, those in folders inside too; each is as likely. All are held in memory, 16 bits a sample;
    one shorter than the clip is repeated."""
    snr_db: Decibels = (5.0, 20.0)
    """Bounds of the ratio in dB of the powers of clip and excerpt, over the clip's own samples."""


class BandLimitStep(Section):
    """A transmission band: everything below and above it is filtered out (linear phase, 53 dB down, no delay)."""

    kind: Literal['band_limit'] = 'band_limit'
    """High pass and low pass; as they are, a telephone's 300 to 3400 Hz."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    low_hz: Hertz | None = (300.0, 300.0)
    """Bounds of the lower edge, where half of the amplitude is left; null is no high pass."""
    high_hz: Hertz | None = (3400.0, 3400.0)
    """Bounds of the upper edge; null, or beyond half the sampling rate, is no low pass."""

    @field_validator('high_hz')
    @classmethod
    def _leaves_a_band(cls, high, info):
        low = info.data.get('low_hz')
        if 'low_hz' in info.data and low is None and high is None:
            raise ValueError('low_hz or high_hz is needed, both are null')
        if low is not None and high is not None and low[1] >= high[0]:
            raise ValueError(f'high_hz should lie above low_hz, which goes up to {low[1]:g}')
        return high


class CodecStep(Section):
    """A telephone's codec: fewer samples a second and fewer bits a sample, then back to the features' rate."""

    kind: Literal['codec'] = 'codec'
    """Resampled, quantised and expanded; as it is, close to G.711 (8 bits, mu-law, 8 kHz)."""
    probability: Probability = 1.0
    """Chance that a clip gets it."""
    law: Literal['mu', 'linear'] = 'mu'
    """Where the levels lie: 'mu' (logarithmic, as mu-law telephony) or 'linear' (evenly, as a coarse converter)."""
    bits: _bounds(2, 16, int) = (8, 8)
    """Bounds of the bits a sample; 2^bits - 1 levels about 0, samples beyond full scale are cut off."""
    rate_hz: PositiveInt | None = 8000
    """Sampling rate of the codec; null, or one not below the features' rate, keeps that."""


PlainStep = Annotated[
    GainStep | PolarityStep | ShiftStep | NoiseStep | NoiseLevelStep | SpeedStep | StretchStep | PitchStep
    | BackgroundStep | BandLimitStep | CodecStep, Field(discriminator='kind')]


class OneOfStep(Section):
    """One of several steps for each clip."""

    kind: Literal['one_of'] = 'one_of'
    """A choice by weight."""
    probability: Probability = 1.0
    """Chance that a clip gets any of them."""
    steps: Annotated[tuple[PlainStep, ...], Field(min_length=1)]
    """The alternatives; a probability of their own counts after the choice."""
    weights: tuple[NonNegative, ...] = ()
    """How likely each is relative to the others, in the same order; empty: all the same."""

    @field_validator('weights')
    @classmethod
    def _one_for_each(cls, weights, info):
        steps = info.data.get('steps', ())
        if weights and steps and len(weights) != len(steps):
            raise ValueError(f'should be one for each of the {len(steps)} steps, or empty')
        if weights and sum(weights) == 0:
            raise ValueError('should not all be 0')
        return weights


WaveformStep = Annotated[
    GainStep | PolarityStep | ShiftStep | NoiseStep | NoiseLevelStep | SpeedStep | StretchStep | PitchStep
    | BackgroundStep | BandLimitStep | CodecStep | OneOfStep, Field(discriminator='kind')]
