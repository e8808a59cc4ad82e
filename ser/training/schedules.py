"""The learning rate over time."""

import math

import torch


def rate_at(config, lr, step, steps_per_epoch, epochs):
    """The learning rate at global step `step` where `lr` is configured: a pure function, so resuming needs no state.

    config: the config's training.schedule, of any kind. A plateau leaves the rate to validation: it is `lr`.
    """
    total = epochs * steps_per_epoch
    if config.kind == 'plateau':
        return lr
    if config.kind == 'one_cycle':
        return lr * _one_cycle(config, step, total)
    warmup = config.warmup_epochs * steps_per_epoch
    if step < warmup:
        return lr * (step + 1) / (math.floor(warmup) + 1)
    if config.kind == 'constant':
        return lr
    if config.kind == 'cosine':
        return lr * _between(1, config.final, (step - warmup) / max(1, total - warmup))
    floor = min(lr, max(config.final * lr, config.min_lr))
    return _between(lr, floor, _of_cycle(config, math.floor(step - warmup), steps_per_epoch))


def _between(start, end, done):
    """Half a cosine from `start` to `end`; done: from 0 to 1, and it stays."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _of_cycle(config, step, steps_per_epoch):
    """How much of its half cosine is over at `step` after the warm-up. Each lasts a whole number of steps, the first
    round(first_epochs) of epochs' steps."""
    exact = config.first_epochs * steps_per_epoch
    length = max(1, round(exact))
    if config.multiply == 1:
        return step % length / length
    while step >= length:
        step -= length
        exact *= config.multiply
        length = max(1, round(exact))
    return step / length


def _one_cycle(config, step, total):
    """Share of the rate: torch.optim.lr_scheduler.OneCycleLR with two phases and cosines."""
    peak, last = max(0.0, config.rise * total - 1), total - 1
    if step < peak:
        return _between(config.start, 1, step / peak)
    return _between(1, config.final, (step - peak) / max(1.0, last - peak))


class Schedule:
    """Sets every optimiser's learning rates: by step, or after validation (plateau)."""

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
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group['lr'] = rate_at(self.config, group['initial_lr'], global_step, self.steps_per_epoch, self.epochs)

    def after_epoch(self, valid_loss):
        """Let plateau schedules see the validation loss."""
        for plateau in self.plateaus.values():
            plateau.step(valid_loss)

    def rate(self):
        """The learning rate for the log: the first optimiser's, of its highest tier."""
        groups = next(iter(self.optimizers.values())).param_groups
        return max(groups, key=lambda group: group.get('tier', 1.0))['lr']

    def rates(self):
        """'lr' as `rate` gives it, then 'lr/<tier>' for each where there are several: its factor as 'x0.1', after the
        optimiser's name where there are several of these."""
        tiers = {}
        for name, optimizer in self.optimizers.items():
            of = f'{name}/' if len(self.optimizers) > 1 else ''
            tiers |= {f"lr/{of}x{group.get('tier', 1.0):.4g}": group['lr'] for group in optimizer.param_groups}
        return {'lr': self.rate(), **(tiers if len(tiers) > 1 else {})}

    def state_dict(self):
        """Plain numbers of the plateau schedules; empty for pure functions of the step."""
        return {name: {k: v for k, v in plateau.state_dict().items() if isinstance(v, (int, float, list))}
                for name, plateau in self.plateaus.items()}

    def load_state_dict(self, state):
        """Restore what `state_dict` gave."""
        for name, plateau in self.plateaus.items():
            plateau.load_state_dict(state[name])
