"""`features`: what the front end computes on the device, in the batch."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import NUMBER, NonNegative, Positive, PositiveInt, Section
from ser.config.waveform import SequenceConfig, WaveformConfig


class CqtConfig(Section):
    """Constant-Q transform, defined by nnAudio's kernels (CQT1992v2)."""

    engine: Literal['folded', 'nnaudio'] = 'folded'
    """'folded': one FFT and a band-limited sum, the fast one; 'nnaudio': nnAudio's own layer, the definition."""
    hop_length: PositiveInt = 512
    """Samples between frames."""
    fmin_hz: Positive = 32.70319566257483
    """Frequency of the lowest bin (C1)."""
    bins: PositiveInt = 84
    """Frequency bins."""
    bins_per_octave: PositiveInt = 12
    """Bins per octave."""
    trainable: bool = False
    """Let the kernels learn with the network, started from their definition, each within its own length (engine
    'nnaudio' only)."""
    table_mb: Positive = 256.0
    """Megabytes of kernel tables kept, one table per clip-length bucket, oldest use dropped first."""
    product: Literal['auto', 'complex', 'real'] = 'auto'
    """How 'folded' multiplies complex matrices: as such, or as real ones twice as wide; 'auto': 'complex' on a CPU,
    where it was measured to be faster, and whichever is faster when first met on another device: name one where two
    runs must round alike there."""


class MelConfig(Section):
    """Mel power spectrogram, defined by torchaudio's layer with Slaney scale and norm (librosa's numbers)."""

    engine: Literal['banded', 'torchaudio'] = 'banded'
    """'banded': the same numbers in cache-sized chunks, only the frames that are shown; 'torchaudio': its layer."""
    n_fft: PositiveInt = 4096
    """Samples per window (Hann), an even number."""
    hop_length: PositiveInt = 256
    """Samples between frames."""
    bins: PositiveInt = 128
    """Mel bands."""
    fmin_hz: NonNegative = 0.0
    """Lower edge of the lowest band."""
    fmax_hz: Positive | None = None
    """Upper edge of the highest band; null is half the sample rate."""
    trainable: bool = False
    """Let the bands' weights learn with the network, started from their definition, each within its own bins and not
    below 0. MFCC follow; chroma has filters of its own."""
    chunk_mb: Positive | Literal['auto'] = 'auto'
    """Megabytes of frames worked on at once: 'auto' stays within the cache on a CPU (6) and is 512 elsewhere."""


class MfccConfig(Section):
    """Mel cepstrum: DCT-II (orthonormal) of the clip's mel decibels; parameters of the mel are features.mel's."""

    coefficients: PositiveInt = 40
    """How many coefficients, from the 0th."""


class ChromaConfig(Section):
    """Pitch-class energy of the power spectrogram (librosa's filter bank); n_fft and hop are features.mel's."""

    bins: PositiveInt = 12
    """Pitch classes."""
    scale: Literal['decibels', 'power'] = 'decibels'
    """In sequences: decibels like the others, or the filters' power as it is. Images take decibels."""


class LevelConfig(Section):
    """Decibels relative to each clip's own maximum over its valid frames."""

    floor_db: Annotated[float, Field(lt=0, allow_inf_nan=False), NUMBER] = -80.0
    """Decibels below the maximum that count as silence."""


class StretchTime(Section):
    """Each clip's own valid frames fill the whole width of the image."""

    kind: Literal['stretch'] = 'stretch'
    """Duration is squeezed into the width, as the reference system does."""


class FixedTime(Section):
    """The image spans a fixed duration: longer clips are cut at the centre, shorter ones padded with the floor."""

    kind: Literal['fixed'] = 'fixed'
    """One time scale for every clip."""
    seconds: Positive = 3.0
    """Seconds that the width of the image spans."""


class ImageConfig(Section):
    """From decibels to the image a vision backbone takes."""

    size: PositiveInt = 224
    """Height and width in pixels."""
    time: Annotated[StretchTime | FixedTime, Field(discriminator='kind')] = StretchTime()
    """How duration becomes width."""
    frames: Literal['shown', 'all'] = 'shown'
    """'shown': levels are relative to the loudest of the frames that the columns lie between, and the banded Mel
    computes no other; 'all': to the loudest of the whole clip, as librosa's ref=max. Slopes ('delta') need all."""
    channels: Literal['replicate', 'single', 'delta'] = 'replicate'
    """'replicate': three copies; 'single': one channel; 'delta': static, delta and delta-delta."""
    delta_width: Annotated[int, Field(ge=3), NUMBER] = 9
    """Frames of the Savitzky-Golay slope behind 'delta' (odd)."""
    mean: tuple[Annotated[float, NUMBER], Annotated[float, NUMBER], Annotated[float, NUMBER]] = (0.485, 0.456, 0.406)
    """Per-channel mean subtracted after scaling to [0, 1] (ImageNet's); 'single' uses the average of the three."""
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    """Per-channel deviation divided by (ImageNet's); 'single' uses the average of the three."""


class FeaturesConfig(Section):
    """The front end. A view of the model names the feature it sees: cqt, mel, mfcc or chroma."""

    sample_rate: PositiveInt = 44100
    """Hz that the features are computed at; differs from data.sample_rate only with resampling on the device."""
    min_samples: PositiveInt = 4096
    """A shorter clip is zero-padded at its end to this many samples."""
    waveform: WaveformConfig = WaveformConfig()
    """Trimming, length, level."""
    cqt: CqtConfig = CqtConfig()
    """Constant-Q transform."""
    mel: MelConfig = MelConfig()
    """Mel spectrogram."""
    mfcc: MfccConfig = MfccConfig()
    """Mel-frequency cepstral coefficients."""
    chroma: ChromaConfig = ChromaConfig()
    """Chromagram."""
    level: LevelConfig = LevelConfig()
    """Decibels."""
    image: ImageConfig = ImageConfig()
    """Images."""
    sequence: SequenceConfig = SequenceConfig()
    """Sequences of frames."""
