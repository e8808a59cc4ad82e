"""`model` of kind crnn: convolutions over spectra, then recurrence over time."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import Count, Fraction, PositiveInt, Section

Pool = tuple[PositiveInt, PositiveInt]


class CrnnConfig(Section):
    """Spectral CRNN: a convolutional branch per feature, joined frame by frame, a BiGRU, attention pooling."""

    kind: Literal['crnn'] = 'crnn'
    """The recurrent system, on sequences with masks."""
    features: tuple[str, ...] = ('mel', 'mfcc')
    """Which sequences it sees, each through a branch of its own: mel, mfcc, chroma."""
    input_norm: bool = False
    """Standardise each row by statistics of the training clips (batch normalisation without scale and shift)."""
    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (32, 64, 128)
    """Channels of the 3 x 3 convolutions of a branch, each followed by normalisation, activation and dropout."""
    pools: tuple[Pool, ...] = ((1, 1), (2, 2), (2, 2))
    """After each convolution, the maximum over so many rows and frames."""
    activation: Literal['relu', 'gelu'] = 'relu'
    """After each convolution."""
    conv_dropout: Fraction = 0.2
    """Whole channels dropped after each convolution."""
    width: PositiveInt = 128
    """What each branch gives per frame."""
    bottleneck: Literal['half', 'none'] | PositiveInt = 'half'
    """Width that the joined branches are brought to, by dropout and layer normalisation: half of theirs, a number, or
    'none' for no such layer."""
    bottleneck_dropout: Fraction = 0.2
    """Dropout in the bottleneck."""
    hidden: PositiveInt = 128
    """Units of the GRU in each direction."""
    layers: PositiveInt = 1
    """Layers of the GRU."""
    recurrent_dropout: Fraction = 0.0
    """Dropout between layers of the GRU; with one layer there is nothing between."""
    pooling: Literal['attention', 'statistics', 'mean'] = 'attention'
    """Over time: a mean weighed by attention, that and the weighted deviation beside it, or the plain mean."""
    attention_hidden: Count = 0
    """Width of a tanh layer before the attention's score; 0 scores by one linear layer."""
    dropout: Fraction = 0.4
    """Dropout before the classifier."""
