"""Vision backbones: any timm model, or MViTv2 of any size. Images in, one vector or a map of tokens out."""

from functools import partial

import timm
import torch
from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ser.errors import SerError
from ser.models.freezing import freeze
from ser.models.pretrained import check_name, first_line, first_mismatch, load_weights, published, weights_file

# What libraries raise for arguments and sizes that they do not take.
_REFUSALS = (TypeError, ValueError, AssertionError, RuntimeError, LookupError, AttributeError, ArithmeticError)
_OURS = {'img_size': 'features.image.size', 'in_chans': 'features.image.channels', 'num_classes': 'the labels',
         'pretrained': 'pretrained', 'drop_path_rate': 'drop_path', 'global_pool': 'model.fusion',
         'features_only': 'model.fusion', 'checkpoint_path': 'weights', 'pretrained_cfg': 'name',
         'pretrained_cfg_overlay': 'weights'}


class Backbone(nn.Module):
    """A vision model without its classifier: images (B, C, S, S) float -> vectors (B, width), or with
    `as_tokens` the map before pooling, (B, N, width), class tokens left out.

    `width` is the last axis of what it returns. Parameters that the output does not depend on (the pooled head under
    `as_tokens`) are removed or frozen, so that all others get a gradient.
    """

    def __init__(self, body: nn.Module, sample: torch.Tensor, as_tokens: bool = False):
        """sample: one image (1, C, S, S), run through once to learn the width and which parameters matter."""
        super().__init__()
        self.body = body
        self.as_tokens = as_tokens
        self._recomputes = False
        self._hooks: list = []
        self._inside = False
        self._still: list[nn.Module] = []
        self._probe(sample)

    def forward(self, images):
        if not self._recomputes:
            return self._run(images)
        self._inside = True
        try:
            return self._run(images)
        finally:
            self._inside = False

    def _run(self, images):
        return self.tokens(images) if self.as_tokens else self.vector(images)

    def vector(self, images):
        """Pooled features (B, C)."""
        return self.body(_channels_last(images))

    def tokens(self, images):
        """The map before pooling as tokens (B, N, C), row by row."""
        found = self.body.forward_features(_channels_last(images))
        if found.ndim == 3:
            return found[:, getattr(self.body, 'num_prefix_tokens', 0):]
        if getattr(self.body, 'output_fmt', 'NCHW') == 'NHWC':
            return found.flatten(1, 2)
        return found.flatten(2).transpose(1, 2)

    def freeze(self, last: int | None, where: str):
        """Train only the `last` last stages and what follows them; None trains everything. See `freezing.freeze`."""
        if last is not None:
            self._still = freeze(self.body, last, where)
            self.train(self.training)

    def train(self, mode: bool = True):
        """As torch's; what is fixed stays in eval mode."""
        super().train(mode)
        for module in self._still:
            module.eval()
        return self

    def set_gradient_checkpointing(self, enable: bool = True):
        """Recompute this backbone's activations in the backward pass. Raises SerError where timm cannot."""
        try:
            self.body.set_grad_checkpointing(enable)
        except (AttributeError, AssertionError) as error:
            if enable:
                raise SerError(f'training.gradient_checkpointing: {type(self.body).__name__} cannot recompute its '
                               'activations. Set it to false, or take another backbone') from error
        for hook in self._hooks:
            hook.remove()
        norms = [module for module in self.body.modules() if isinstance(module, _BatchNorm)]
        for norm in norms:
            norm.momentum = norm.usual_momentum = getattr(norm, 'usual_momentum', norm.momentum)
        self._hooks = [norm.register_forward_pre_hook(self._before_norm) for norm in norms] if enable else []
        self._recomputes = enable

    def _before_norm(self, norm, _):
        # A recomputed forward, outside of ours, must not move the running statistics a second time. Nothing is
        # assigned without need: torch.compile cannot trace an assignment within what is recomputed.
        momentum = norm.usual_momentum if self._inside else 0.0
        if norm.momentum != momentum:
            norm.momentum = momentum
        if not self._inside and norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.sub_(1)

    def _probe(self, sample):
        self.body.eval()
        with torch.enable_grad():
            output = self._run(sample)
        self.body.train()
        if output.ndim != (3 if self.as_tokens else 2):
            raise ValueError(f'{type(self.body).__name__} gives an output of shape {tuple(output.shape)}')
        self.width = output.shape[-1]
        used = _leaves(output)
        head = getattr(self.body, 'head', None)
        if self.as_tokens and isinstance(head, nn.Module) and not any(id(p) in used for p in head.parameters()):
            self.body.head = nn.Identity()
        for parameter in self.body.parameters():
            if id(parameter) not in used:
                parameter.requires_grad_(False)


def _channels_last(images):
    # A few per cent faster on CPUs; convolutions keep the layout. MPS has had wrong gradients in it.
    return images if images.device.type == 'mps' else images.contiguous(memory_format=torch.channels_last)


def _leaves(output):
    """ids of the parameters in the autograd graph of `output`."""
    seen, found, pending = set(), set(), [output.grad_fn]
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, 'variable'):
            found.add(id(node.variable))
        pending.extend(following for following, _ in node.next_functions)
    return found


def build_backbone(config, size: int, channels: int, *, where: str, as_tokens: bool = False,
                   load_pretrained: bool = True) -> Backbone:
    """The backbone of one view, for images of `channels` x `size` x `size`.

    where: its dotted key in the config, for messages. load_pretrained: False leaves out every download and weights
    file (a model rebuilt from a run). Raises SerError for an unknown name, for options, a size or a
    train_last that the backbone does not take, and for weights that cannot be had or do not fit.
    """
    make = partial(_timm_body if config.kind == 'timm' else _mvit_body, config)
    backbone = _without_weights(make, size, channels, as_tokens, where)
    backbone.freeze(config.train_last, where)
    if load_pretrained and config.weights:
        body = _from_file(make, size, channels, weights_file(config.weights, where), where)
    elif load_pretrained and config.kind == 'timm' and config.pretrained:
        body = _from_timm(make, size, channels, where)
    else:
        return backbone
    backbone = _backbone(body, size, channels, as_tokens)
    backbone.freeze(config.train_last, where)
    return backbone


def _timm_body(config, size, channels, **source):
    """timm's model; raises whatever timm raises for its arguments."""
    options = {'num_classes': 0, 'in_chans': channels, **config.options, **source}
    if config.drop_path:
        options['drop_path_rate'] = config.drop_path
    try:
        return timm.create_model(config.name, img_size=size, **options)
    except TypeError as error:
        if 'img_size' not in str(error):
            raise
    return timm.create_model(config.name, **options)


def _mvit_body(config, size, channels):
    """timm's MultiScaleVit of the sizes in the config."""
    sizes = MultiScaleVitCfg(depths=config.depths, embed_dim=config.embed_dim, num_heads=config.num_heads,
                             patch_kernel=config.patch_kernel, patch_stride=config.patch_stride,
                             patch_padding=config.patch_padding,
                             stride_q=((1, 1),) + ((2, 2),) * (len(config.depths) - 1))
    return MultiScaleVit(sizes, img_size=size, in_chans=channels, num_classes=0, drop_path_rate=config.drop_path)


def _backbone(body, size, channels, as_tokens):
    sample = torch.zeros(1, channels, size, size, device=next(body.parameters()).device)
    return Backbone(body, sample, as_tokens)


def _without_weights(make, size, channels, as_tokens, where):
    """The backbone as it starts. Refuses (SerError) a name, options or a size that it does not take, so that weights
    are only asked for where they can be used."""
    config = make.args[0]
    if config.kind == 'timm':
        check_name(config.name, where)
        _check_options(config, where)
    else:
        _check_stages(config, where)
    try:
        return _backbone(make(size, channels), size, channels, as_tokens)
    except _REFUSALS as error:
        what = config.name if config.kind == 'timm' else 'mvitv2'
        sizes = _sizes_near(make, size, channels, as_tokens)
        if sizes:
            raise SerError(f'features.image.size: {what} ({where}) does not take {size} ({first_line(error)}). '
                           f"Sizes near it that it takes: {', '.join(map(str, sizes))}") from error
        raise SerError(f'{where}: timm refuses {what} with these options and features.image.size {size} '
                       f'({first_line(error)})') from error


def _sizes_near(make, size, channels, as_tokens):
    """The nearest sizes below and above, multiples of 32 or of 14 (patch sizes of timm's models), that work."""
    near = {n for step in (32, 14) for n in range(step, size + 65, step) if n != size and abs(n - size) <= 64}
    below = sorted((n for n in near if n < size), reverse=True)
    found = []
    for candidates in (below, sorted(near - set(below))):
        for candidate in candidates:
            try:
                _backbone(make(candidate, channels), candidate, channels, as_tokens)
            except _REFUSALS:
                continue
            found.append(candidate)
            break
    return found


def _check_options(config, where):
    for option in config.options:
        if option in _OURS:
            raise SerError(f"{where}.options: '{option}' is set by {_OURS[option]}, not here")


def _check_stages(config, where):
    stages = len(config.depths)
    for key in ('embed_dim', 'num_heads'):
        if len(getattr(config, key)) != stages:
            raise SerError(f'{where}.{key}: {len(getattr(config, key))} stages, but depths has {stages}. '
                           'depths, embed_dim and num_heads need one number per stage')
    for width, heads in zip(config.embed_dim, config.num_heads, strict=True):
        if width % heads:
            raise SerError(f'{where}.num_heads: {heads} does not divide the {width} channels of its stage')


def _from_timm(make, size, channels, where):
    config = make.args[0]
    overlay = published(config.name, where)
    try:
        return make(size, channels, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as error:  # each HTTP client has exceptions of its own, and options can make weights unfit
        raise SerError(f"{where}: the published weights of '{config.name}' cannot be loaded ({first_line(error)}). "
                       f'Set {where}.pretrained: false, or {where}.weights: FILE') from error


def _from_file(make, size, channels, file, where):
    body = make(size, channels)
    if load_weights(body, file, where):
        return body
    mismatch = first_mismatch(body, file)
    if make.args[0].kind == 'timm':
        try:  # timm resizes position tables and sums or repeats input channels
            return make(size, channels, pretrained=True, pretrained_cfg_overlay={'file': str(file)})
        except _REFUSALS as error:
            mismatch = f'{mismatch}; {first_line(error)}'
    raise SerError(f'{where}.weights: {file} does not fit this backbone ({mismatch}). '
                   'Give the weights of a backbone of the same name and options')
