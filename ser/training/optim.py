"""Optimisers per part of the model, and the learning rate over time."""

import math

import torch

from ser.errors import SerError, did_you_mean

OPTIMIZERS = {'adam': torch.optim.Adam, 'radam': torch.optim.RAdam, 'adamw': torch.optim.AdamW}


def _groups(parameters, config):
    """AdamW decays matrices and kernels only; the others decay everything, as their papers do."""
    if config.kind != 'adamw':
        return [{'params': parameters, 'weight_decay': config.weight_decay}]
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    return [{'params': matrices, 'weight_decay': config.weight_decay}, {'params': vectors, 'weight_decay': 0.0}]


def _single(config, parameters):
    groups = [group for group in _groups(parameters, config) if group['params']]
    return OPTIMIZERS[config.kind](groups, lr=config.lr, betas=config.betas)


def build_optimizers(config, parts):
    """{name: torch optimiser}, in a fixed order.

    parts: {part name: list of parameters}. With kind 'parts' each named part has its own optimiser and the
    others share `rest`. Raises SerError for a part that the model does not have.
    """
    if config.kind != 'parts':
        return {'all': _single(config, [p for parameters in parts.values() for p in parameters])}
    for name in config.parts:
        if name not in parts:
            raise SerError(f"training.optimizer.parts: the model has no part '{name}'. Parts: {', '.join(parts)}."
                           f'{did_you_mean(name, parts)}')
    optimizers = {name: _single(single, parts[name]) for name, single in config.parts.items() if parts[name]}
    rest = [p for name, parameters in parts.items() if name not in config.parts for p in parameters]
    if rest:
        optimizers['rest'] = _single(config.rest, rest)
    return optimizers


def rate_factor(config, step, steps_per_epoch, epochs):
    """The share of the configured rate at global step `step`: a pure function, so resuming needs no state."""
    if config.kind == 'plateau':
        return 1.0
    warmup = config.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (math.floor(warmup) + 1)
    if config.kind == 'constant':
        return 1.0
    done = min(1.0, (step - warmup) / max(1, epochs * steps_per_epoch - warmup))
    return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * done))


class Schedule:
    """Sets every optimiser's learning rate: by step (constant, cosine) or after validation (plateau)."""

    def __init__(self, config, optimizers, steps_per_epoch, epochs):
        self.config, self.optimizers = config, optimizers
        self.steps_per_epoch, self.epochs = steps_per_epoch, epochs
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group.setdefault('initial_lr', group['lr'])
        self.plateaus = {}
        if config.kind == 'plateau':
            self.plateaus = {name: torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=config.factor, patience=config.patience, min_lr=config.min_lr)
                for name, optimizer in optimizers.items()}

    def before_step(self, global_step):
        """Set the rates for the step about to be taken."""
        if self.plateaus:
            return
        factor = rate_factor(self.config, global_step, self.steps_per_epoch, self.epochs)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group['lr'] = group['initial_lr'] * factor

    def after_epoch(self, valid_loss):
        """Let plateau schedules see the validation loss."""
        for plateau in self.plateaus.values():
            plateau.step(valid_loss)

    def rate(self):
        """The first optimiser's learning rate, for the log."""
        return next(iter(self.optimizers.values())).param_groups[0]['lr']

    def state_dict(self):
        """Plain numbers of the plateau schedules; empty for pure functions of the step."""
        return {name: {k: v for k, v in plateau.state_dict().items() if isinstance(v, (int, float, list))}
                for name, plateau in self.plateaus.items()}

    def load_state_dict(self, state):
        """Restore what `state_dict` gave."""
        for name, plateau in self.plateaus.items():
            plateau.load_state_dict(state[name])
