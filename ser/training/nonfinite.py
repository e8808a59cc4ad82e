"""A step whose loss or gradient is not finite: noticed before its update, kept to be looked at, then fatal or left out.

The numbers that decide are sums over all ranks, so that every rank decides alike.
"""

import logging
import math

from ser.errors import SerError
from ser.files import write_json
from ser.training.checkpoint import save_weights

log = logging.getLogger(__name__)
FOLDER = 'nonfinite'
MOST_KEYS = 4


class Guard:
    """Decides by training.on_nonfinite what becomes of a step with a loss or a gradient that is not finite."""

    def __init__(self, training, world, run_path, network):
        self.training, self.world, self.folder = training, world, run_path / FOLDER
        # What a step changes besides the parameters: running means that it made NaN would stay so.
        self._buffers = list(network.buffers()) if training.on_nonfinite == 'skip' else []
        self._before = []

    def remember(self):
        """Before a step: keep what its forward pass changes."""
        self._before = [buffer.clone() for buffer in self._buffers]

    def allows(self, launched, numbers, progress):
        """Whether the step may change the weights; one that may not is written down and counted in `progress`.

        Raises SerError on every rank with training.on_nonfinite 'stop', and above training.max_nonfinite.
        """
        _, loss, norm, _ = numbers
        if math.isfinite(loss) and math.isfinite(norm):
            return True
        progress.nonfinite_steps += 1
        progress.epoch_nonfinite += 1
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(before)
        said = self._keep(launched, loss, norm)
        training, count = self.training, progress.nonfinite_steps
        if training.on_nonfinite == 'stop':
            raise SerError(f'{said}. Lower training.optimizer.lr, set training.clip_norm or training.precision: '
                           'float32; or leave such steps out: --set training.on_nonfinite=skip')
        if count > training.max_nonfinite:
            raise SerError(f'{said}. That is step {count} of this kind, more than training.max_nonfinite '
                           f'{training.max_nonfinite} allows: lower training.optimizer.lr or set training.clip_norm')
        log.warning('left out: %s', said)
        return False

    def _keep(self, launched, loss, norm):
        """Write the batches of all ranks into the run; returns what happened, in words, on every rank."""
        ranks = self.world.gather([_mine(host, logits) for host, logits in
                                   zip(launched.hosts, launched.logits, strict=True)])
        batches = [(rank, number, *batch) for rank, mine in enumerate(ranks) for number, batch in enumerate(mine)]
        path = self.folder / f'step-{launched.global_step + 1:09d}.safetensors'
        kept = ''
        if self.world.is_main:
            kept = self._write(path, launched, {'loss': loss, 'gradient_norm': norm}, batches)
        what = 'gradient' if math.isfinite(loss) else 'loss'
        return (f'the {what} is not finite at epoch {launched.epoch + 1}, step {launched.step + 1} (loss {loss:g}, '
                f'gradient norm {norm:g}), and the step changed nothing. {_clips(batches)}. '
                f'{self.world.from_main(kept)}')

    def _write(self, path, launched, numbers, batches):
        facts = {'epoch': launched.epoch + 1, 'step': launched.step + 1, 'global_step': launched.global_step + 1,
                 **{name: value if math.isfinite(value) else str(value) for name, value in numbers.items()},
                 'batches': [{'rank': rank, 'batch': number, 'keys': keys, 'finite': finite, 'sample_rate': rate}
                             for rank, number, _, keys, finite, rate in batches]}
        tensors = {f'rank{rank}.batch{number}.{name}': tensor for rank, number, found, *_ in batches
                   for name, tensor in found.items()}
        try:
            save_weights(path, tensors)
            write_json(path.with_suffix('.json'), facts)
        except SerError as error:
            return f'They could not be kept: {error}'
        return f'They are kept in {path} and what is known of them in {path.stem}.json'


def _mine(host, logits):
    """(tensors by name, keys, whether each clip's logits are finite, Hz) of a batch of this rank."""
    logits = logits.detach().float().cpu()
    tensors = {'ids': host.ids, 'copies': host.ids.new_tensor(host.copies), 'waveforms': host.waveforms,
               'lengths': host.lengths, 'weights': host.weights, 'logits': logits,
               **{f'targets.{name}': target for name, target in host.targets.items()}}
    return ({name: tensor.clone() for name, tensor in tensors.items()}, list(host.keys),
            logits.isfinite().flatten(1).all(1).tolist(), host.sample_rate)


def _clips(batches):
    """The clips whose logits are not finite, or all of the step where that tells nothing."""
    clips = [(key, fine) for _, _, _, keys, finite, _ in batches for key, fine in zip(keys, finite, strict=True) if key]
    bad = [key for key, fine in clips if not fine]
    named = bad or [key for key, _ in clips]
    more = f' and {len(named) - MOST_KEYS} more' if len(named) > MOST_KEYS else ''
    what = 'Clips of which the network said NaN or infinity' if bad else 'Its clips'
    return f'{what}: {", ".join(named[:MOST_KEYS])}{more}'
