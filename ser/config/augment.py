"""`augment`: what training does to a sample, every parameter drawn by key before it is applied."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import Count, NonNegative, Probability, Section
from ser.config.waveform_augment import WaveformStep


class NoSpecAugment(Section):
    """Images and sequences are left as they are."""

    kind: Literal['none'] = 'none'
    """No masks."""


class MaskSpecAugment(Section):
    """Time and frequency masks on the [0, 1] image, before normalisation (Park et al. 2019)."""

    kind: Literal['masks'] = 'masks'
    """Masks of random place and width."""
    probability: Probability = 1.0
    """Chance that a clip is masked at all."""
    time_masks: Count = 2
    """Masks along time."""
    time_width: Probability = 0.1
    """Widest time mask, as a share of the image's width or of the clip's own frames; widths are uniform
    from 0."""
    frequency_masks: Count = 2
    """Masks along frequency."""
    frequency_width: Probability = 0.1
    """Widest frequency mask, as a share of the image's height or of the feature's rows; widths are uniform
    from 0."""
    fill: Literal['floor', 'mean'] = 'floor'
    """What a mask is filled with: 'floor' (the clip's quietest level, 0 in images) or 'mean' (its mean level)."""
    shared: bool = False
    """The same masks on every view, instead of masks of its own for each."""


class MixupConfig(Section):
    """Convex mixtures of two clips and of their losses (Zhang et al. 2018), one partner for all views."""

    alpha: NonNegative = 0.0
    """Parameter of Beta(alpha, alpha) for the share; 0 is off."""
    probability: Probability = 1.0
    """Chance that a batch is mixed."""
    mixes: Literal['views', 'waveforms'] = 'views'
    """What is mixed: what the network sees (images, sequences of frames), or the audio that it is computed from."""


class AugmentConfig(Section):
    """Augmentation of training batches; evaluation sees none."""

    waveform: tuple[WaveformStep, ...] = ()
    """Steps on the audio at the features' rate, in this order, each for the clips that its probability picks: gain,
    polarity, shift, noise, noise_level, background, speed, stretch, pitch, band_limit, codec, and one_of several."""
    spec_augment: Annotated[NoSpecAugment | MaskSpecAugment, Field(discriminator='kind')] = NoSpecAugment()
    """Masks on images and sequences; systems that see neither (ssl) take none."""
    mixup: MixupConfig = MixupConfig()
    """Mixup; scores are always of clean clips."""
