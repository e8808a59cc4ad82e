"""`model` of kind moe: an expert on a self-supervised encoder and one per spectral feature, weighed clip by clip."""

from typing import Literal

from ser.config.section import Count, Fraction, NonNegative, Positive, PositiveInt, Section
from ser.config.ssl import EncoderConfig, EncoderTraining, TrainNone


class ExpertEncoder(EncoderConfig):
    """The encoder behind an expert: as model.encoder of kind ssl, but frozen unless told otherwise."""

    train: EncoderTraining = TrainNone()
    """What of it learns."""


class ExpertTransformer(Section):
    """Pre-norm Transformer layers over an expert's frames, after sinusoidal positions."""

    layers: Count = 1
    """Encoder layers; 0 adds neither layers nor positions."""
    heads: PositiveInt = 4
    """Attention heads, a divisor of the frames' width."""
    feedforward: PositiveInt = 512
    """Width of the feed-forward layer."""
    dropout: Fraction = 0.1
    """Dropout inside the layers."""


class GateConfig(Section):
    """How much each expert counts for a clip: a softmax over experts, seen from all their vectors."""

    hidden: PositiveInt = 128
    """Width of the gate's hidden layer."""
    dropout: Fraction = 0.1
    """Dropout in the gate."""
    temperature: Positive = 1.0
    """What the gate's logits are divided by: under 1 the choice is sharper, above 1 more even."""


class MoeConfig(Section):
    """SSL + spectral mixture of experts: the gate's weighted sum of one vector per expert, and an MLP head on it."""

    kind: Literal['moe'] = 'moe'
    """The mixture of experts, on waveforms and on sequences with masks."""
    features: tuple[str, ...] = ('ssl', 'mel', 'mfcc', 'chroma')
    """The experts in order: ssl, and at least one of mel, mfcc, chroma."""
    encoder: ExpertEncoder = ExpertEncoder()
    """The self-supervised encoder behind the expert 'ssl'."""
    projection: PositiveInt | None = 256
    """Width that its hidden states are projected to (Linear, LayerNorm, GELU); null leaves them as they are."""
    ssl_transformer: ExpertTransformer = ExpertTransformer()
    """Over the encoder's frames."""
    channels: PositiveInt = 128
    """Channels of a spectral expert's two convolutions over time (kernel 5, stride 2)."""
    spectral_transformer: ExpertTransformer = ExpertTransformer()
    """Over a spectral expert's frames, a quarter as many as the feature has."""
    attention_hidden: PositiveInt = 128
    """Width of the tanh layer behind the scores of attentive statistics pooling."""
    width: PositiveInt = 256
    """Width of each expert's vector."""
    gate: GateConfig = GateConfig()
    """The gate."""
    head_hidden: PositiveInt = 256
    """Hidden width of the head."""
    dropout: Fraction = 0.4
    """Dropout before and inside the head."""
    expert_loss: NonNegative = 0.0
    """How much the loss of a classifier of its own on the mel expert (else on the first spectral one) counts beside the
    main loss; 0 is off, and no such classifier is made."""
    balance_loss: NonNegative = 0.0
    """How much the squared coefficient of variation of the experts' mean gate weights over the batch counts (Shazeer et
    al. 2017): it keeps the gate from settling on one expert; 0 is off."""
