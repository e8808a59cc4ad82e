"""MaxMViT-MLP: each view through a vision backbone of its own, the vectors fused, an MLP head.

With the defaults, MaxViT on the CQT and MViTv2 on the Mel spectrogram, as published; any backbones, any number of
views, any fusion and head by config.
"""

from torch import nn

from ser.errors import SerError
from ser.features.frontend import FEATURES, FrontEnd
from ser.features.mixup import mix_views
from ser.models.contract import Output, SpeechModel
from ser.models.fusion import GatedScalarFusion, build_fusion, check_views, wants_tokens
from ser.models.heads import build_head
from ser.models.pretrained import check_pretrained

_PARTS = ('fusion', 'head', 'front_end')


class FusedNetwork(nn.Module):
    """Images by view -> logits.

    `forward(views, mix)`: views maps each view's name to images (B, C, S, S) float; mix is applied to all of them.
    auxiliary: heads of further targets by name, beside the main one on the fused vector. gated: names of the views that
    the detail 'gate' weighs by one number each, if any; of two, the second has what the first leaves.
    """

    def __init__(self, backbones: dict[str, nn.Module], fusion: nn.Module, head: nn.Module,
                 auxiliary: dict[str, nn.Module] | None = None):
        super().__init__()
        self.backbones = nn.ModuleDict(backbones)
        self.fusion = fusion
        self.head = head
        self.auxiliary = nn.ModuleDict(auxiliary or {})
        self.gated = tuple(backbones) if isinstance(fusion, GatedScalarFusion) else ()

    def forward(self, views, mix=None) -> Output:
        if mix is not None:
            views = mix_views(views, mix)
        fused, details = self.fusion([backbone(views[name]) for name, backbone in self.backbones.items()])
        return Output(self.head(fused), {name: head(fused) for name, head in self.auxiliary.items()}, details, fused)

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Parameters that learn: one part per view, then 'fusion' and 'head' (all heads)."""
        modules = {**self.backbones, 'fusion': self.fusion, 'head': nn.ModuleList([self.head, self.auxiliary])}
        return {name: [p for p in module.parameters() if p.requires_grad] for name, module in modules.items()}

    def set_gradient_checkpointing(self, enable: bool = True):
        """Recompute the backbones' activations in the backward pass."""
        for backbone in self.backbones.values():
            backbone.set_gradient_checkpointing(enable)


def build_network(model, image, classes: int, load_pretrained: bool = True, auxiliary=None) -> FusedNetwork:
    """The network of `model` (its config section) for the images of `image` (features.image).

    auxiliary: further target -> its values; each gets a head of the same kind.
    Raises SerError for views, backbones, fusion or weights that do not fit together.
    """
    # timm takes seconds to import, which commands that read the config alone and the other systems do without.
    from ser.models.backbones import build_backbone

    views = features_of_views(model)
    check_views(model.fusion, len(views))
    if load_pretrained:
        check_pretrained(model)
    channels = 1 if image.channels == 'single' else 3
    backbones = {
        name: build_backbone(model.views[name].backbone, image.size, channels, where=f'model.views.{name}.backbone',
                             as_tokens=wants_tokens(model.fusion), load_pretrained=load_pretrained)
        for name in views}
    fusion = build_fusion(model.fusion, [backbone.width for backbone in backbones.values()])
    head = build_head(model.head, fusion.width, classes)
    return FusedNetwork(backbones, fusion, head, {name: build_head(model.head, fusion.width, len(values))
                                                  for name, values in (auxiliary or {}).items()})


def features_of_views(model) -> dict[str, str]:
    """Which feature each view of the model sees, in order; views set to null are left out.

    Raises SerError when no view is left, for a view that names no feature, and for names that cannot be used.
    """
    views = {}
    for name, view in model.views.items():
        if view is None:
            continue
        if not name.isidentifier() or name in _PARTS or hasattr(nn.ModuleDict, name):
            raise SerError(f"model.views: '{name}' cannot name a view. Take a plain word other than "
                           f"{', '.join(_PARTS)}")
        feature = view.feature or name
        if feature not in FEATURES:
            raise SerError(f"model.views.{name}.feature: '{name}' is no feature; say which one this view sees: "
                           f"{', '.join(FEATURES)}")
        views[name] = feature
    if not views:
        raise SerError('model.views: every view is null; at least one is needed')
    return views


def build_maxmvit(config, names, load_pretrained: bool = True, auxiliary=None) -> SpeechModel:
    """The whole system for the classes `names` and the `auxiliary` targets: front end and network."""
    network = build_network(config.model, config.features.image, len(names), load_pretrained, auxiliary)
    front_end = FrontEnd(config.features, config.augment, features_of_views(config.model),
                         data_rate=config.data.sample_rate)
    return SpeechModel(front_end, network)
