"""`model`: the systems. `maxmvit` is any set of vision backbones on features, fused, with an MLP head."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.baselines import MajorityConfig, SvmConfig
from ser.config.crnn import CrnnConfig
from ser.config.moe import MoeConfig
from ser.config.section import Count, Fraction, PositiveInt, Section
from ser.config.ssl import SslConfig

OptionValue = bool | int | float | str | tuple[bool | int | float | str, ...]


class TimmBackbone(Section):
    """Any timm model by name, pooled features out."""

    kind: Literal['timm'] = 'timm'
    """timm.create_model(name, num_classes=0)."""
    name: str = 'maxvit_base_tf_224'
    """timm's model name."""
    pretrained: bool = True
    """Start from timm's published weights (downloaded once)."""
    weights: str | None = None
    """A local safetensors file of backbone weights, instead of the download."""
    drop_path: Fraction = 0.0
    """Stochastic depth rate."""
    train_last: Count | None = None
    """Train only so many of the last stages (of a plain ViT, blocks) and the norm after them, with the rest fixed in
    eval mode; 0 trains none of the backbone, null all of it."""
    options: dict[str, OptionValue] = {}
    """Further keyword arguments of timm.create_model."""


class MvitBackbone(Section):
    """MViTv2 of any size (timm's MultiScaleVit), for small models that train on a CPU."""

    kind: Literal['mvitv2'] = 'mvitv2'
    """timm's MultiScaleVit built from the sizes below."""
    weights: str | None = None
    """A local safetensors file of backbone weights."""
    drop_path: Fraction = 0.0
    """Stochastic depth rate."""
    train_last: Count | None = None
    """Train only so many of the last stages (of a plain ViT, blocks) and the norm after them, with the rest fixed in
    eval mode; 0 trains none of the backbone, null all of it."""
    depths: tuple[PositiveInt, ...] = (1, 1, 2, 1)
    """Blocks per stage."""
    embed_dim: tuple[PositiveInt, ...] = (16, 32, 64, 96)
    """Channels per stage."""
    num_heads: tuple[PositiveInt, ...] = (1, 2, 4, 6)
    """Attention heads per stage."""
    patch_kernel: tuple[PositiveInt, PositiveInt] = (11, 11)
    """Kernel of the patch embedding."""
    patch_stride: tuple[PositiveInt, PositiveInt] = (8, 8)
    """Stride of the patch embedding."""
    patch_padding: tuple[PositiveInt, PositiveInt] = (5, 5)
    """Padding of the patch embedding."""


Backbone = Annotated[TimmBackbone | MvitBackbone, Field(discriminator='kind')]


class ViewConfig(Section):
    """One image of the clip and the backbone that looks at it."""

    feature: Literal['cqt', 'mel', 'mfcc', 'chroma'] | None = None
    """Which feature; null takes the view's own name."""
    backbone: Backbone = TimmBackbone()
    """The vision backbone."""


class ConcatFusion(Section):
    """The views' vectors side by side."""

    kind: Literal['concat'] = 'concat'
    """[f1; f2; ...], any number of views."""


class GatedScalarFusion(Section):
    """One learned weight a in (0, 1) from both vectors."""

    kind: Literal['gated_scalar'] = 'gated_scalar'
    """a f1 and (1 - a) f2; two views."""
    mode: Literal['concat', 'sum'] = 'concat'
    """'concat': [a f1; (1 - a) f2]; 'sum': a f1 + (1 - a) f2, equal widths."""


class GatedChannelFusion(Section):
    """One learned weight per channel."""

    kind: Literal['gated_channel'] = 'gated_channel'
    """[g1 * f1; g2 * f2]; two views."""
    complementary: bool = True
    """g2 = 1 - g1 (equal widths) instead of a gate of its own."""


class AttnTokensFusion(Section):
    """Each vector is a token; a pre-norm Transformer encoder mixes them."""

    kind: Literal['attn2token'] = 'attn2token'
    """Tokens attended to each other, flattened; two or more views."""
    width: PositiveInt = 768
    """Token width."""
    layers: PositiveInt = 1
    """Encoder layers."""
    heads: PositiveInt = 8
    """Attention heads."""
    feedforward: PositiveInt = 3072
    """Width of the feed-forward layer."""
    dropout: Fraction = 0.1
    """Dropout inside the encoder."""


class HadamardFusion(Section):
    """Product of two projections."""

    kind: Literal['hadamard'] = 'hadamard'
    """p1 * p2, with or without the projections; two views."""
    width: PositiveInt = 768
    """Projection width."""
    mode: Literal['concat', 'prod'] = 'concat'
    """'concat': [p1; p2; p1 * p2]; 'prod': p1 * p2."""
    dropout: Fraction = 0.0
    """Dropout on the projections."""


class LowRankBilinearFusion(Section):
    """Low-rank bilinear pooling (Kim et al. 2017)."""

    kind: Literal['lowrank_bilinear'] = 'lowrank_bilinear'
    """Linear(U f1 * V f2); two views."""
    rank: PositiveInt = 256
    """Rank of the product."""
    width: PositiveInt = 768
    """Output width."""
    dropout: Fraction = 0.0
    """Dropout on both factors."""


class GmuFusion(Section):
    """Gated multimodal unit (Arevalo et al. 2017)."""

    kind: Literal['gmu'] = 'gmu'
    """g tanh(W1 f1) + (1 - g) tanh(W2 f2); two views."""
    width: PositiveInt = 768
    """Width of the unit."""


class CrossAttentionFusion(Section):
    """The maps before pooling attend to each other, token by token."""

    kind: Literal['cross_attention'] = 'cross_attention'
    """Cross-attention both ways over pre-pool tokens, mean-pooled; two views."""
    width: PositiveInt = 768
    """Token width."""
    layers: PositiveInt = 2
    """Layers, each with both directions."""
    heads: PositiveInt = 8
    """Attention heads."""
    dropout: Fraction = 0.1
    """Dropout inside attention and feed-forward, and of 'project'."""
    norm: Literal['pre', 'post'] = 'pre'
    """LayerNorm before attention and feed-forward, or after each with the residual added."""
    merge: Literal['concat', 'add', 'gated', 'project'] = 'concat'
    """How the two pooled vectors join; 'project': Linear - LayerNorm - GELU - Dropout of both, `width` wide."""


class SelfAttentionFusion(Section):
    """The map before pooling of each view attends to itself."""

    kind: Literal['self_attention'] = 'self_attention'
    """Pre-norm self-attention over each view's pre-pool tokens, mean-pooled, side by side; any number of views."""
    layers: PositiveInt = 1
    """Layers per view, as wide as its tokens, the feed-forward four times as wide."""
    heads: PositiveInt = 8
    """Attention heads."""
    dropout: Fraction = 0.1
    """Dropout inside attention and feed-forward."""


Fusion = Annotated[
    ConcatFusion | GatedScalarFusion | GatedChannelFusion | AttnTokensFusion | HadamardFusion
    | LowRankBilinearFusion | GmuFusion | CrossAttentionFusion | SelfAttentionFusion, Field(discriminator='kind')]


class BatchNormHead(Section):
    """Linear - BatchNorm - Dropout - ReLU - Linear, in the paper's order."""

    kind: Literal['mlp_bn'] = 'mlp_bn'
    """The paper's head."""
    hidden: PositiveInt = 512
    """Hidden width."""
    dropout: Fraction = 0.2
    """Dropout."""


class LayerNormHead(Section):
    """Linear - LayerNorm - GELU - Dropout - Linear."""

    kind: Literal['mlp_ln'] = 'mlp_ln'
    """No statistics over the batch."""
    hidden: PositiveInt = 512
    """Hidden width."""
    dropout: Fraction = 0.2
    """Dropout."""


class ResidualHead(Section):
    """Linear, residual LayerNorm blocks, LayerNorm, Linear."""

    kind: Literal['mlp_residual_ln'] = 'mlp_residual_ln'
    """h += Linear(Dropout(GELU(LN(h)))) per block."""
    hidden: PositiveInt = 512
    """Hidden width."""
    dropout: Fraction = 0.2
    """Dropout."""
    blocks: PositiveInt = 2
    """Residual blocks."""


Head = Annotated[BatchNormHead | LayerNormHead | ResidualHead, Field(discriminator='kind')]


class MaxMVitConfig(Section):
    """MaxViT on CQT and MViTv2 on Mel, fused, with an MLP head."""

    kind: Literal['maxmvit'] = 'maxmvit'
    """The fused transformer."""
    views: dict[str, ViewConfig | None] = Field(default={
        'cqt': ViewConfig(backbone=TimmBackbone(name='maxvit_base_tf_224')),
        'mel': ViewConfig(backbone=TimmBackbone(name='mvitv2_base'))})
    """The views by name, in order; null removes one that a preset named."""
    fusion: Fusion = ConcatFusion()
    """How the views' vectors join; with one view there is nothing to fuse, only 'concat' and 'self_attention' are
    allowed."""
    head: Head = BatchNormHead()
    """The classifier head."""


# The further systems of the field join this union, each a class with a `kind` of its own.
ModelConfig = Annotated[MaxMVitConfig | CrnnConfig | SslConfig | MoeConfig | MajorityConfig | SvmConfig,
                        Field(discriminator='kind')]
