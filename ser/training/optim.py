"""Optimisers per part of the model, and tiers of learning rates inside them."""

import torch

from ser.errors import SerError, did_you_mean

OPTIMIZERS = {'adam': torch.optim.Adam, 'radam': torch.optim.RAdam, 'adamw': torch.optim.AdamW}


def build_optimizers(config, parts, depths=None):
    """{name: torch optimiser}, in a fixed order.

    parts: {part name: list of parameters}, names dotted where a part lies in a larger one. depths: part -> how many
    layers lie between it and the head, 0 of those not named; None where the network does not tell. With kind 'parts'
    each named part, or prefix of parts up to a dot, has its own optimiser and the others share `rest`. Raises SerError
    for a part that the model does not have, for layer_decay without depths, and where nothing learns.
    """
    if config.kind != 'parts':
        return _with_parameters({'all': _single(config, parts, depths, 'training.optimizer')})
    _check_named(config.parts, parts, 'training.optimizer.parts')
    shares = {name: {} for name in (*config.parts, 'rest')}
    for part, parameters in parts.items():
        shares[_longest(config.parts, part) or 'rest'][part] = parameters
    built = {}
    for name, own in shares.items():
        where = f'training.optimizer.{f"parts.{name}" if name in config.parts else name}'
        built[name] = _single(config.parts.get(name, config.rest), own, depths, where)
    return _with_parameters(built)


def _with_parameters(built):
    """The optimisers that have any. Raises SerError where none has."""
    found = {name: optimizer for name, optimizer in built.items() if optimizer is not None}
    if not found:
        raise SerError('training.optimizer: nothing of this model learns: every part of it is frozen. Unfreeze one '
                       'under model')
    return found


def _single(config, parts, depths, where):
    """The optimiser of `parts` by its config, or None where they hold no parameters."""
    _check_named(config.tiers, parts, f'{where}.tiers')
    if config.layer_decay != 1 and depths is None:
        raise SerError(f'{where}.layer_decay: this model does not tell how deep its layers lie. Set it to 1, and rates '
                       f'by part in {where}.tiers')
    tiers = {}
    for part, parameters in parts.items():
        factor = config.tiers.get(_longest(config.tiers, part), 1.0)
        if config.layer_decay != 1:
            factor *= config.layer_decay ** depths.get(part, 0)
        tiers.setdefault(factor, []).extend(parameters)
    groups = [{**group, 'lr': config.lr * factor, 'tier': factor}
              for factor, parameters in tiers.items() for group in _groups(parameters, config) if group['params']]
    return OPTIMIZERS[config.kind](groups, lr=config.lr, betas=config.betas) if groups else None


def _groups(parameters, config):
    """AdamW decays matrices and kernels only; the others decay everything, as their papers do."""
    if config.kind != 'adamw':
        return [{'params': parameters, 'weight_decay': config.weight_decay}]
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    return [{'params': matrices, 'weight_decay': config.weight_decay}, {'params': vectors, 'weight_decay': 0.0}]


def _prefixes(part):
    """'a.b.c', 'a.b', 'a' of 'a.b.c'."""
    names = part.split('.')
    return ['.'.join(names[:count]) for count in range(len(names), 0, -1)]


def _longest(wanted, part):
    """The longest of `wanted` that is the part or what its name begins with up to a dot, or None."""
    return next((prefix for prefix in _prefixes(part) if prefix in wanted), None)


def _check_named(wanted, parts, where):
    """Raises SerError for a name that is neither a part nor the beginning of one."""
    known = dict.fromkeys(prefix for part in parts for prefix in reversed(_prefixes(part)))
    for name in wanted:
        if name not in known:
            raise SerError(f"{where}: the model has no part '{name}'. Parts: {', '.join(parts)}."
                           f'{did_you_mean(name, list(known))}')
