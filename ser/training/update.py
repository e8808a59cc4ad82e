"""The update that a step ends in: made when the device has said whether the step's numbers are finite."""

from dataclasses import dataclass

import torch


class Arriving:
    """A tensor's numbers on their way to the host, which does other work until it asks for them."""

    def __init__(self, tensor):
        self._event, self._tensor = None, tensor
        if tensor.device.type == 'cuda':
            # Into pinned memory: the copy is queued behind the step, and nobody waits yet.
            self._tensor = tensor.to('cpu', non_blocking=True)
            self._event = torch.cuda.current_stream(tensor.device).record_event()

    def tolist(self):
        """The numbers; waits for the device where they are not there yet."""
        if self._event is not None:
            self._event.synchronize()
        return self._tensor.tolist()


@dataclass(frozen=True)
class Launched:
    """A step up to its gradient.

    hosts: this rank's batches. logits: what the main head said of each, (B, K). numbers: float32 (4,), over all ranks:
    the main head's loss summed over the step's clips, the loss that is minimised, the gradient's norm, the clips'
    weight.
    """

    epoch: int
    step: int
    global_step: int
    hosts: list
    logits: list
    numbers: Arriving


class Update:
    """Changes a network by its gradients: clipping, optimisers, average."""

    def __init__(self, config, network, optimizers, ema, guard):
        """guard: a nonfinite.Guard."""
        self.config, self.network, self.optimizers, self.ema, self.guard = config, network, optimizers, ema, guard
        self.launched = None

    def gradient_norm(self):
        """The total norm of the gradients, a scalar; they are clipped to training.clip_norm. The same on every rank."""
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        if self.config.training.clip_norm is None:
            return torch.nn.utils.get_total_norm([p.grad for p in parameters])
        return torch.nn.utils.clip_grad_norm_(parameters, self.config.training.clip_norm)

    def settle(self, progress):
        """Make the update of the `launched` step, if there is one and the guard allows it; adds its loss to `progress`.

        Raises SerError where the guard does.
        """
        launched, self.launched = self.launched, None
        if launched is None:
            return
        numbers = launched.numbers.tolist()
        allowed = self.guard.allows(launched, numbers, progress)
        total, _, _, weight = numbers
        if allowed:
            progress.loss_sum += total
            progress.loss_weight += weight
        changes = allowed and (self.config.data.on_error == 'raise' or weight > 0)
        for optimizer in self.optimizers.values():
            if changes:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if changes and self.ema is not None:
            self.ema.update_parameters(self.network)
