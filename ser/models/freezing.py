"""Training only the end of a backbone: which parameters are fixed, and which modules stay in eval mode."""

from types import SimpleNamespace

from timm.models import group_parameters
from torch import nn

from ser.errors import SerError


def freeze(body: nn.Module, last: int, where: str) -> list[nn.Module]:
    """Fix all of a timm model but its `last` last stages and what follows them (final norm, pooled head).

    Stages are what timm's `group_matcher(coarse=True)` says: those of a hierarchical model, the blocks of a plain ViT.
    0 fixes everything. `where`: the backbone's dotted key in the config, for messages. Returns the modules to keep in
    eval mode, so that neither statistics nor dropout move in what is fixed. Raises SerError for more stages than
    there are, and for a model whose stages timm does not tell.
    """
    learning = _names_from(body, last, where) if last else set()
    fixed = set()
    for name, parameter in body.named_parameters():
        if name not in learning:
            parameter.requires_grad_(False)
            fixed.add(parameter)
    return _still(body, fixed) if last else [body]


def _names_from(body, last, where):
    """Names of the parameters in the last stages and after them."""
    model = type(body).__name__
    if not hasattr(body, 'group_matcher'):
        raise SerError(f'{where}.train_last: timm does not tell the stages of {model}. '
                       'Allowed: null (train everything) and 0 (train none of it)')
    # Group 0 is the stem. Names that no pattern matches share the last group, what follows the stages. Models without
    # such parameters get one here, so that the last group is never a stage.
    named = [(name, None) for name, _ in body.named_parameters()] + [('-', None)]
    listed = SimpleNamespace(named_parameters=lambda: named)
    group = group_parameters(listed, body.group_matcher(coarse=True), reverse=True)
    stages = group['-'] - 1
    if last > stages:
        raise SerError(f'{where}.train_last: {model} has {stages} stages, not {last}. '
                       f'Allowed: null (train everything) and 0 to {stages}')
    return {name for name, number in group.items() if number > stages - last}


def _still(module, fixed):
    """Submodules in which nothing learns: those with fixed parameters, and those without any (dropout, drop path) that
    come before the first sibling that learns."""
    found, reached = [], False
    for child in module.children():
        parameters = list(child.parameters())
        learns = any(parameter.requires_grad for parameter in parameters)
        if learns and any(parameter in fixed for parameter in parameters):
            found += _still(child, fixed)
        elif not learns and (not reached or any(parameter in fixed for parameter in parameters)):
            found.append(child)
        reached = reached or learns
    return found
