"""`features.waveform`: what happens to samples before anything is computed of them."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import NUMBER, NonNegative, Positive, Section


class NoTrim(Section):
    """Clips keep their ends."""

    kind: Literal['none'] = 'none'
    """No trimming."""


class LevelTrim(Section):
    """Quiet beginnings and ends are cut off (librosa.effects.trim); pauses within the clip stay."""

    kind: Literal['level'] = 'level'
    """Trim by level."""
    below_db: Positive = 35.0
    """Frames this far below the clip's loudest frame are quiet."""
    margin_seconds: NonNegative = 0.1
    """Kept on either side of what is loud."""
    window_seconds: Positive = 0.064
    """Length of the frames whose level (RMS) is taken, four to a window."""


class WholeLength(Section):
    """Clips keep their length; masks tell where they end."""

    kind: Literal['whole'] = 'whole'
    """The whole utterance."""


class FixedLength(Section):
    """Longer clips are cut, at a random place in training and at the centre elsewhere; shorter ones end in zeros, which
    masks keep out of everything."""

    kind: Literal['fixed'] = 'fixed'
    """At most so many seconds."""
    seconds: Positive = 3.0
    """Length of every batch."""
    crop: Literal['random', 'centre'] = 'random'
    """Where training cuts: a random place, drawn anew each epoch, or the centre."""
    evaluate: Literal['centre', 'whole'] = 'centre'
    """What validation, test and prediction hear: the centre of as many seconds, or the whole clip."""


class NoLevel(Section):
    """Samples keep their level."""

    kind: Literal['none'] = 'none'
    """As recorded."""


class PeakLevel(Section):
    """Samples are divided by the largest magnitude of their clip; silence stays."""

    kind: Literal['peak'] = 'peak'
    """The loudest sample becomes 1."""


class RmsLevel(Section):
    """Samples are scaled to one root mean square over their clip; silence stays. May pass full scale: nothing clips."""

    kind: Literal['rms'] = 'rms'
    """The same energy for each clip."""
    target_db: Annotated[float, Field(allow_inf_nan=False), NUMBER] = -20.0
    """Root mean square in dB of full scale."""


class WaveformConfig(Section):
    """From stored samples to what features hear, in this order: trimmed, resampled to features.sample_rate, augmented
    (training, augment.waveform), cut to length, levelled."""

    trim: Annotated[NoTrim | LevelTrim, Field(discriminator='kind')] = NoTrim()
    """Quiet ends."""
    length: Annotated[WholeLength | FixedLength, Field(discriminator='kind')] = WholeLength()
    """Length."""
    level: Annotated[NoLevel | PeakLevel | RmsLevel, Field(discriminator='kind')] = NoLevel()
    """Level."""


class SequenceConfig(Section):
    """Features as sequences of frames with masks, for models that want time (crnn, moe)."""

    reference: Literal['max', 'mean'] = 'max'
    """What 0 dB is: the loudest bin of the clip, or its mean power over all bins and frames, which takes the clip's
    level out and keeps how far it varies."""
    normalise: tuple[Literal['mel', 'mfcc', 'chroma'], ...] = ('mel', 'mfcc')
    """Features each of whose rows gets mean 0 and deviation 1 over the clip's own frames."""
