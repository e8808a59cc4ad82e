"""What a run learns: its heads, what readers hand over for them, and how validation scores them."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from ser.errors import SerError
from ser.evaluation.dimension_metrics import dimension_scores
from ser.evaluation.metrics import scores
from ser.shards.labelling import known_classes, label_index
from ser.shards.targets import (
    STRATA,
    auxiliary_column,
    auxiliary_values,
    dimension_column,
    dimension_names,
    stratified,
    vote_column,
    voted_labels,
    with_votes,
)


@dataclass(frozen=True)
class Head:
    """One head of a network and what its numbers mean.

    target: its name among Batch.targets. names: what its columns stand for. scale: (mean, std) float64 (K,) of a
    regression, None for classes. main: the network's logits, not an auxiliary head's.
    """

    target: str
    names: tuple[str, ...]
    scale: tuple | None = None
    main: bool = True

    def read(self, output):
        """This head's logits (B, K) of an Output."""
        return output.logits if self.main else output.auxiliary[self.target]

    def values(self, logits):
        """float64 (N, K) of logits (N, K): probabilities, or numbers in the corpus's own units."""
        logits = logits.double()
        if self.scale is None:
            return logits.softmax(1)
        mean, std = (torch.as_tensor(part, dtype=torch.float64) for part in self.scale)
        return logits * std + mean


@dataclass(frozen=True)
class Task:
    """What a run learns of each clip.

    heads: the main one first. labels: the names of the index rows' labels, which protocols divide: classes, or strata
    of the dimensions. columns: further targets for readers, name -> array with a row for each row of the index.
    """

    config: object
    heads: tuple[Head, ...]
    labels: tuple[str, ...]
    columns: dict = field(default_factory=dict)
    unit: tuple = ()
    """Lowest and highest training value of each dimension."""

    @property
    def names(self):
        """Classes in index order, or dimensions."""
        return self.heads[0].names

    @property
    def auxiliary(self):
        """Auxiliary target -> its values in index order."""
        return {head.target: head.names for head in self.heads[1:]}

    def facts(self):
        """What task.json says of a regression; None where classes are learnt."""
        if self.config.kind == 'emotion':
            return None
        mean, std = self.heads[0].scale
        return {'kind': 'dimensions', 'names': list(self.names), 'mean': mean.tolist(), 'std': std.tolist(),
                'unit': [list(pair) for pair in self.unit]}


def labelled_for(index, config):
    """The Labelled of an index for a Config: its classes, or strata of its dimensions where these are learnt.

    Raises SerError for labels that do not fit, unknown keys, and a loss that is not the task's.
    """
    task, loss = config.task, config.training.loss.kind
    if (task.kind == 'dimensions') != (loss == 'ccc'):
        wanted = 'ccc' if task.kind == 'dimensions' else 'cross_entropy or focal'
        raise SerError(f"training.loss.kind '{loss}' does not go with task.kind '{task.kind}'. It takes {wanted}")
    if task.kind == 'emotion':
        return label_index(index, config.data)
    return stratified(index, dimension_column(index, dimension_names(index, task.dimensions)))


def make_task(labelled, config, train_rows):
    """The Task of a run. train_rows: numbers of the training rows, the only ones that it learns values from.

    Raises SerError for keys without values, votes that are none, and soft labels where no clip has votes.
    """
    index, task = labelled.index, config.task
    if task.kind == 'dimensions':
        names = dimension_names(index, task.dimensions)
        column = dimension_column(index, names)
        values = column[train_rows].astype(np.float64)
        head = Head('dimensions', names, _scale(values, names))
        unit = tuple(zip(values.min(0).tolist(), values.max(0).tolist(), strict=True))
        return Task(task, (head,), STRATA, {'dimensions': column}, unit)
    main, columns = 'emotion', {}
    if task.soft_labels:
        if not with_votes(index):
            raise SerError("task.soft_labels: no clip has 'votes' in its JSON. Take a corpus with raters' votes, or "
                           'task.soft_labels=false')
        # A label may have votes and no clip of its own: it is merged all the same.
        class_of = known_classes(voted_labels(index), labelled.names, config.data) | labelled.class_of
        columns['votes'] = vote_column(index, labelled.names, class_of)
    heads = [Head(main, labelled.names)]
    for name, target in task.auxiliary.items():
        _check_name(name)
        key = target.key or name
        values = auxiliary_values(index, train_rows, name, key)
        columns[name] = auxiliary_column(index, key, values)
        heads.append(Head(name, values, main=False))
    return Task(task, tuple(heads), labelled.names, columns)


def _check_name(name):
    # predictions-validation.csv is of the validation part.
    taken = name in ('emotion', 'votes', 'dimensions') or name.lower() == 'validation'
    if taken or not name.isidentifier() or hasattr(nn.ModuleDict, name):
        raise SerError(f"task.auxiliary: '{name}' cannot name a target. Take a plain word other than emotion, votes, "
                       'dimensions and validation, and say with `key` which JSON key it is')


def _scale(values, names):
    """(mean, std) float64 (D,) of the training rows. Raises SerError for a dimension that does not vary."""
    std = values.std(0)
    for name, spread in zip(names, std, strict=True):
        if not spread > 0:
            raise SerError(f"task.dimensions: '{name}' is the same in every training clip; nothing can be learnt of it")
    return values.mean(0), std


@dataclass(frozen=True)
class Validation:
    """What an epoch's validation says: selection picks by `value`, of equals by the lower `loss`."""

    value: float
    loss: float
    row: dict
    """Cells of metrics.csv."""
    text: str


def main_head(names, facts):
    """The main Head of a run that is there already, from its labels.json and task.json (None where there is none)."""
    if facts is None:
        return Head('emotion', names)
    return Head('dimensions', names, (np.array(facts['mean']), np.array(facts['std'])))


def validate(task, evaluated):
    """The Validation of an Evaluated of the validation part."""
    if task.config.kind == 'dimensions':
        found = dimension_scores(evaluated.targets, evaluated.values[0], task.names)
        value = float(np.mean([of_one['ccc'] for of_one in found.values()]))
        return Validation(value, 1 - value, {'valid_loss': 1 - value, 'valid_ccc': value}, f'CCC {value:.3f}')
    found = scores(evaluated.targets, evaluated.probabilities.argmax(1), evaluated.probabilities, task.names)
    loss = evaluated.loss
    row = {'valid_loss': loss, 'valid_ua': found['ua'], 'valid_wa': found['wa'], 'valid_macro_f1': found['macro_f1']}
    return Validation(found['ua'], loss, row, f"loss {loss:.4f} UA {100 * found['ua']:.1f} %")
