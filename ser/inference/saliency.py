"""What an answer of a network depends on, by gradients: saliency of its views, Grad-CAM of its last maps."""

import math
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Look:
    """A network's answer for one clip and how one of its logits leans on what it saw."""

    output: object
    """Its contract.Output."""
    target: int
    """Which logit is explained."""
    gradients: dict
    """view -> float32 as the view without the clip axis: d logit / d view."""
    maps: dict
    """view -> the last map of its backbone and the logit's gradient by it, float32 (K, h, w) each."""


def look(network, views, names, target=None):
    """The Look of a network in eval mode at the views of one clip, with gradients by those called `names`.

    target: None explains the largest logit.
    """
    leaves = {name: views[name].detach().clone().requires_grad_() for name in names}
    with torch.enable_grad(), watched(network) as caught:
        output = network({**views, **leaves})
        logits = output.logits[0].float()
        target = int(logits.argmax()) if target is None else target
        caught = {view: x for view, x in caught.items() if x.requires_grad}
        wanted = [*leaves.values(), *caught.values()]
        found = torch.autograd.grad(logits[target], wanted, allow_unused=True, materialize_grads=True) if wanted else ()
    gradients = {name: gradient[0] for name, gradient in zip(leaves, found, strict=False)}
    maps = {}
    for view, gradient in zip(caught, found[len(leaves):], strict=True):
        body = network.backbones[view].body
        pair = [_as_map(body, x.detach().float()) for x in (caught[view], gradient)]
        if pair[0] is not None:
            maps[view] = tuple(pair)
    return Look(output, target, gradients, maps)


def saliency(gradient):
    """How strongly each value of a view counts: |d logit / d view|, of an image's channels the largest.

    gradient: (C, H, W) of an image -> (H, W); (rows, N) of a sequence and (T,) of a waveform keep their shape.
    Simonyan et al. 2014, "Deep inside convolutional networks".
    """
    strength = gradient.abs()
    return strength.amax(dim=0) if strength.ndim == 3 else strength


def grad_cam(activation, gradient, size=None):
    """Where in a map lies what speaks for the logit: float32 (h, w) >= 0, or `size` (H, W) by bilinear interpolation.

    activation, gradient: (K, h, w). Channels are weighed by the mean of their gradient, summed, negatives cut
    (Selvaraju et al. 2017, "Grad-CAM").
    """
    weights = gradient.mean(dim=(1, 2), keepdim=True)
    found = (weights * activation).sum(dim=0).clamp(min=0.0)
    if size is None:
        return found
    return functional.interpolate(found[None, None], size, mode='bilinear', align_corners=False)[0, 0]


@contextmanager
def watched(network):
    """Catch the last map of each vision backbone while the network runs: gives a dict view -> tensor with its graph."""
    caught, changed = {}, []
    for view, backbone in getattr(network, 'backbones', {}).items():
        body = getattr(backbone, 'body', None)
        inner = getattr(body, 'forward_features', None)
        if inner is None:
            continue

        def catching(x, view=view, inner=inner):
            caught[view] = inner(x)
            return caught[view]

        # No hook reaches what is a method and no module.
        body.forward_features = catching
        changed.append(body)
    try:
        yield caught
    finally:
        for body in changed:
            del body.forward_features


def _as_map(body, x):
    """(K, h, w) of a map (1, K, h, w), (1, h, w, K) or of tokens (1, N, K) that fill a square; else None."""
    if x.ndim == 4:
        return x[0].permute(2, 0, 1) if getattr(body, 'output_fmt', 'NCHW') == 'NHWC' else x[0]
    if x.ndim != 3:
        return None
    tokens = x[0, getattr(body, 'num_prefix_tokens', 0):]
    side = math.isqrt(len(tokens))
    return tokens.T.reshape(-1, side, side) if side * side == len(tokens) else None
