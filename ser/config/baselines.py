"""`model` of the kinds majority and svm: what a user compares a trained network with."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import OpenFraction, Positive, PositiveInt, Section

Grid = Annotated[tuple[Positive, ...], Field(min_length=1)]


class MajorityConfig(Section):
    """The commonest class of training for every clip: UA is chance, log loss that of the classes' shares."""

    kind: Literal['majority'] = 'majority'
    """Looks at no audio. Nothing is trained by steps: training.optimizer, schedule, loss, clip_norm and ema are
    refused, the other keys of training, but for batch_size, change nothing."""


class FunctionalsConfig(Section):
    """Descriptors of short frames and their statistics over time, at features.sample_rate."""

    window_seconds: Positive = 0.04
    """Length of a frame (Hann); two periods of the lowest pitch at least, better three."""
    hop_seconds: Positive = 0.01
    """Between frames."""
    bands: PositiveInt = 26
    """Mel bands from 50 Hz to half the sample rate."""
    coefficients: PositiveInt = 14
    """Mel cepstral coefficients, without the 0th."""
    pitch_low_hz: Positive = 65.0
    """Lowest pitch looked for."""
    pitch_high_hz: Positive = 600.0
    """Highest pitch looked for."""
    voicing: OpenFraction = 0.45
    """Normalised autocorrelation above which a frame is voiced."""


class SvmConfig(Section):
    """A support vector machine (radial kernel) on functionals, fitted once to the training part."""

    kind: Literal['svm'] = 'svm'
    """scikit-learn's SVC on standardised functionals, classes weighed alike. Nothing is trained by steps:
    training.optimizer, schedule, loss, clip_norm and ema are refused, the other keys of training, but for batch_size,
    change nothing. Of a clip over data.max_seconds it hears what evaluation does, in windows that count as one clip
    together."""
    functionals: FunctionalsConfig = FunctionalsConfig()
    """What it hears of a clip."""
    penalties: Grid = (3.0, 10.0, 30.0)
    """C to choose from by the UA of validation, the lower log loss among equals."""
    widths: Grid = (0.125, 0.25, 0.5)
    """Kernel coefficients to choose from likewise, as multiples of 1 / (number of functionals)."""
