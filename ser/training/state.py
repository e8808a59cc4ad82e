"""Where a run stands, and everything a checkpoint holds."""

from dataclasses import dataclass, field

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def averaged(network, decay):
    """The exponential moving average of a network's weights and buffers (training.ema), or None without a decay."""
    if decay is None:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


@dataclass
class Progress:
    """Counters of the loop; plain numbers that travel in the checkpoint."""

    epoch: int = 0
    step: int = 0
    global_step: int = 0
    best_score: float = float('-inf')
    best_loss: float = float('inf')
    best_epoch: int = 0
    best_sha256: str = ''
    stale_epochs: int = 0
    finished: bool = False
    loss_sum: float = 0.0
    loss_weight: float = 0.0
    epoch_seconds: float = 0.0
    epoch_wait: float = 0.0
    epoch_clips: int = 0
    epoch_nonfinite: int = 0
    nonfinite_steps: int = 0
    counters: dict = field(default_factory=dict)  # what the readers met: reason -> clips
    top: list = field(default_factory=list)  # [[score, -loss, global step of its checkpoint], ...], best first

    def start_epoch(self, epoch):
        """Forget the running sums of the epoch before."""
        self.epoch, self.step = epoch, 0
        self.loss_sum = self.loss_weight = self.epoch_seconds = self.epoch_wait = 0.0
        self.epoch_clips = self.epoch_nonfinite = 0

    def improves(self, score, loss):
        """Whether the validation score (UA, or mean CCC) is the best so far; a tie goes to the lower loss."""
        return score > self.best_score or (score == self.best_score and loss < self.best_loss)


def snapshot(progress, network, ema, optimizers, schedule, identity):
    """The state dict of a checkpoint: tensors, numbers, strings, lists and dicts only."""
    return {
        'identity': identity,
        'progress': dict(vars(progress)),
        'network': network.state_dict(),
        'ema': ema.state_dict() if ema is not None else None,
        'optimizers': {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        'schedule': schedule.state_dict(),
        'torch': str(torch.__version__),
    }


def restore(state, network, ema, optimizers, schedule):
    """Load what `snapshot` gave; returns the Progress."""
    network.load_state_dict(state['network'])
    if ema is not None:
        ema.load_state_dict(state['ema'])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(state['optimizers'][name])
    schedule.load_state_dict(state['schedule'])
    return Progress(**state['progress'])


def scored_state(state):
    """The SpeechModel state dict that validation scored: a snapshot's averaged weights, or its plain ones."""
    if state['ema'] is None:
        return {f'network.{name}': tensor for name, tensor in state['network'].items()}
    # AveragedModel keeps the network under `module.` and a counter of its own beside it.
    return {name.replace('module.', 'network.', 1): tensor for name, tensor in state['ema'].items()
            if name.startswith('module.')}
