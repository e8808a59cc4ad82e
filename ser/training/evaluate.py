"""The model over an evaluation stream: every clip once, whatever the number of ranks."""

from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch

from ser.errors import SerError
from ser.training.prefetch import DeviceBatches


@dataclass(frozen=True)
class Evaluated:
    """What the model said of each clip, in index order; one entry per head, the main one first.

    truths: class numbers int64 (N,), -1 where unknown, or numbers float32 (N, K). values: float64 (N, K),
    probabilities that sum to 1 or numbers in the corpus's own units. details: those asked for, name -> float64 (N, K).
    """

    ids: np.ndarray
    truths: tuple
    values: tuple
    details: dict = field(default_factory=dict)

    @property
    def targets(self):
        """The main head's truths."""
        return self.truths[0]

    @property
    def probabilities(self):
        """The main head's values."""
        return self.values[0]

    @property
    def loss(self):
        """Mean negative log probability of the true class."""
        true = self.probabilities[np.arange(len(self.targets)), self.targets]
        return float(-np.log(np.clip(true, 1e-15, None)).mean())


def autocast(device, dtype):
    """Autocast to `dtype` on the device, or nothing for float32."""
    return torch.autocast(device.type, dtype=dtype) if dtype is not None else nullcontext()


@torch.no_grad()
def evaluate_stream(model, network, stream, world, device, dtype, expected, heads, details=()):
    """An Evaluated over all ranks, on every rank.

    model: gives the views; network: classifies them (the EMA's, where there is one). expected: int64 (N,), the
    part's row numbers. heads: of a Task. details: names of Output.details to keep, of one width in every batch. A long
    clip's windows are averaged. Raises SerError when a clip is missing or doubled and when the network's output is not
    finite.
    """
    network.eval()
    ids, truths, outputs, kept = [], [], [], []

    def views_of(batch, host):
        return model.views(batch.waveforms, batch.lengths, network=network)

    # The stream beside this one does not wait for the step that changed the filters last.
    for fetched in DeviceBatches(stream, device, None if model.learns_filters else views_of):
        batch, host = fetched.batch, fetched.host
        views = fetched.views if fetched.views is not None else views_of(batch, host)
        with autocast(device, dtype):
            output = network(views)
        real = host.weights > 0
        ids.append(host.ids[real])
        truths.append([host.targets[head.target][real] for head in heads])
        # Numbers stay on the device until the end: reading them would wait for each batch.
        outputs.append(([head.read(output).float() for head in heads], real))
        kept.append(([output.details[name].float() for name in details], real))
    values = [[head.values(logits.cpu()[real]) for head, logits in zip(heads, of_batch, strict=True)]
              for of_batch, real in outputs]
    kept = [[detail.cpu()[real].double() for detail in of_batch] for of_batch, real in kept]
    mine = [_numpy(ids), *(_numpy(parts) for columns in (truths, values, kept) for parts in zip(*columns, strict=True))]
    return _join(world.gather(mine), expected, details)


def _numpy(parts):
    parts = list(parts)
    return torch.cat(parts).numpy() if parts else np.empty(0)


def _join(per_rank, expected, details=()):
    """Every rank's rows in id order, windows of one clip averaged, each clip of `expected` exactly once.

    Of each rank ids, the heads' truths, the heads' values, and one column for each name of `details`.
    """
    per_rank = [rows for rows in per_rank if len(rows[0])]
    if not per_rank:
        raise SerError('evaluation saw no clip at all')
    ids, *columns = (np.concatenate(parts) for parts in zip(*per_rank, strict=True))
    heads = (len(columns) - len(details)) // 2
    truths, values, kept = columns[:heads], columns[heads:2 * heads], columns[2 * heads:]
    # Windows of a clip follow each other on one rank, so a clip that comes a second time starts a second run.
    runs = sum(1 + np.count_nonzero(np.diff(rows[0])) for rows in per_rank)
    unique, first, inverse, counts = np.unique(ids, return_index=True, return_inverse=True, return_counts=True)
    if runs != len(unique) or not np.array_equal(unique, np.sort(expected)):
        raise SerError(f'evaluation saw {len(unique)} clips in {runs} places where {len(expected)} are wanted once '
                       'each: do all ranks read the same shards?')
    if not all(np.isfinite(head).all() for head in values):
        raise SerError("the network's output is not finite: training diverged. Lower training.optimizer.lr or set "
                       'training.clip_norm')
    return Evaluated(unique, tuple(truth[first] for truth in truths),
                     tuple(_mean_of(head, inverse, counts) for head in values),
                     {name: _mean_of(detail, inverse, counts) for name, detail in zip(details, kept, strict=True)})


def _mean_of(values, inverse, counts):
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, inverse, values)
    return sums / counts[:, None]
