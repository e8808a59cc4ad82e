"""`model` of kind ssl: an encoder trained by self-supervision on waveforms, and a classifier on its frames."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from ser.config.section import Count, Fraction, Positive, PositiveInt, Section


class EncoderFacts(Section):
    """What a checkpoint says of its encoder besides the weights, so that a run can be rebuilt alone and offline."""

    config: dict[str, JsonValue] = {}
    """transformers' own configuration of the encoder."""
    sample_rate: PositiveInt = 16000
    """Hz that it was trained on."""
    standardise: bool = False
    """Whether it was trained on waveforms of mean 0 and deviation 1 each."""


class HubSource(Section):
    """A published checkpoint: wav2vec2, HuBERT, WavLM, data2vec-audio or Whisper (its encoder)."""

    kind: Literal['hub'] = 'hub'
    """A checkpoint of the Hugging Face hub, downloaded once. Nothing in it is executed."""
    name: str = 'facebook/wav2vec2-base'
    """Its name: facebook/wav2vec2-base, facebook/hubert-large-ll60k, superb/hubert-large-superb-er,
    microsoft/wavlm-base-plus, ntu-spml/distilhubert, facebook/data2vec-audio-base, openai/whisper-base and others."""
    revision: str | None = None
    """A branch, tag or commit of it; null is the newest."""
    facts: EncoderFacts | None = None
    """Written into a run's own config by training; leave it null."""


class FolderSource(Section):
    """A checkpoint in a local folder, as transformers' save_pretrained writes it."""

    kind: Literal['folder'] = 'folder'
    """config.json and model.safetensors (or pytorch_model.bin) in a folder."""
    path: str = ''
    """The folder."""
    facts: EncoderFacts | None = None
    """Written into a run's own config by training; leave it null."""


class SizesSource(Section):
    """A new encoder of any size with random weights, for models that train from scratch on a CPU."""

    kind: Literal['config'] = 'config'
    """transformers' encoder built from the sizes below."""
    family: Literal['wav2vec2', 'hubert', 'wavlm', 'data2vec-audio', 'whisper'] = 'wav2vec2'
    """Which encoder."""
    hidden_size: PositiveInt = 96
    """Width of the transformer, a multiple of `heads`."""
    layers: PositiveInt = 3
    """Layers of the transformer."""
    heads: PositiveInt = 4
    """Attention heads."""
    intermediate_size: PositiveInt = 192
    """Width of the feed-forward layers."""
    dropout: Fraction = 0.1
    """Dropout in the transformer: on hidden states, in the feed-forward layers and of attention weights."""
    conv_dim: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (32, 64, 64, 64, 64, 64, 64)
    """Channels of the convolutions on the waveform (Whisper has two of its own, on a log-mel spectrogram)."""
    conv_kernel: tuple[PositiveInt, ...] = (10, 3, 3, 3, 3, 2, 2)
    """Their kernels."""
    conv_stride: tuple[PositiveInt, ...] = (5, 2, 2, 2, 2, 2, 2)
    """Their strides; the product is how many samples a frame stands for."""
    conv_norm: Literal['group', 'layer'] = 'group'
    """After the first convolution each channel over the clip (as the base encoders), or after each convolution all
    channels of a frame (as the large ones; data2vec-audio always)."""
    norm_first: bool = False
    """Normalise before attention and feed-forward instead of after (as the large encoders; data2vec-audio never,
    Whisper always)."""
    position_kernel: PositiveInt = 32
    """Frames that the convolution of positions spans; data2vec-audio has five such layers."""
    position_groups: PositiveInt = 4
    """Groups of that convolution, a divisor of hidden_size."""
    mel_bins: PositiveInt = 80
    """Whisper: mel bands."""
    seconds: Positive = 30.0
    """Whisper: the length that every clip is padded to, and the longest it can hear."""


EncoderSource = Annotated[HubSource | FolderSource | SizesSource, Field(discriminator='kind')]


class TrainAll(Section):
    """Every weight of the encoder learns."""

    kind: Literal['all'] = 'all'
    """The whole encoder."""


class TrainTransformer(Section):
    """All but the convolutional front end, as transformers' freeze_feature_encoder."""

    kind: Literal['transformer'] = 'transformer'
    """The transformer and what leads into it."""


class TrainTop(Section):
    """The last layers and the norm after them."""

    kind: Literal['top'] = 'top'
    """So many layers from the end."""
    layers: PositiveInt = 2
    """How many."""


class TrainNone(Section):
    """Nothing of the encoder: what stands on it learns alone, and the encoder stays in eval mode."""

    kind: Literal['none'] = 'none'
    """A frozen encoder."""


class TrainLora(Section):
    """Low-rank updates of chosen matrices (Hu et al. 2022); the encoder's own weights are fixed."""

    kind: Literal['lora'] = 'lora'
    """weight + alpha / rank * B A, of every layer."""
    rank: PositiveInt = 8
    """Rank of an update."""
    alpha: Positive = 16.0
    """Its scale, divided by the rank."""
    dropout: Fraction = 0.0
    """Share of a matrix's inputs that an update does without, drawn anew each step for the whole batch."""
    targets: Annotated[tuple[Literal['q', 'k', 'v', 'out', 'feed_in', 'feed_out'], ...], Field(min_length=1)] = (
        'q', 'v')
    """Which matrices: of attention the query, key, value and output, of the feed-forward layer the first and second."""


EncoderTraining = Annotated[TrainAll | TrainTransformer | TrainTop | TrainNone | TrainLora,
                            Field(discriminator='kind')]


class EncoderConfig(Section):
    """An encoder of waveforms: where it comes from, what of it is used, and what of it learns."""

    source: EncoderSource = HubSource()
    """Where it comes from."""
    standardise: Literal['auto'] | bool = 'auto'
    """Give it waveforms of mean 0 and deviation 1 each: 'auto' does what the checkpoint was trained with."""
    output: Literal['last', 'weighted'] = 'last'
    """Its last layer, or the mean of all layers and of what enters them, by weights that are learnt."""
    train: EncoderTraining = TrainAll()
    """What of it learns."""


class ProjectorHead(Section):
    """Linear on every frame, pooling, Linear: transformers' classifier."""

    kind: Literal['projector'] = 'projector'
    """What runs can be exported to transformers with."""
    hidden: PositiveInt = 256
    """Width of the projection."""
    dropout: Fraction = 0.0
    """Dropout before the classifier; transformers has none."""


class PerceptronHead(Section):
    """Pooling, then Linear, BatchNorm, ReLU and Dropout for each width, then Linear."""

    kind: Literal['mlp'] = 'mlp'
    """A perceptron on the pooled frames."""
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (512, 256)
    """Widths of its layers."""
    dropout: Fraction = 0.3
    """Dropout after each."""


class SslConfig(Section):
    """A speech encoder (wav2vec2, HuBERT, WavLM, data2vec-audio, Whisper), pooling over time, and a classifier."""

    kind: Literal['ssl'] = 'ssl'
    """The fine-tuned encoder, on waveforms with masks; needs the extra [ssl]."""
    encoder: EncoderConfig = EncoderConfig()
    """The encoder."""
    pooling: Literal['mean', 'attention', 'statistics'] = 'mean'
    """Over the clip's own frames: the plain mean, one weighed by attention, or that and the weighted deviation."""
    attention_hidden: Count = 128
    """Width of a tanh layer before the attention's score; 0 scores by one linear layer."""
    head: Annotated[ProjectorHead | PerceptronHead, Field(discriminator='kind')] = ProjectorHead()
    """The classifier."""
