"""How much a network with a gate relied on each of its experts: gates.csv, gates.json, a table of the model card.

gates-clips.csv holds the weights of each clip, where they were asked for.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser.errors import SerError
from ser.evaluation.reading import read_json, run_remedy
from ser.evaluation.tables import counted, markdown_table, percent
from ser.files import write_json, write_rows

FILE = 'gates.json'
ALL = 'all'


@dataclass(frozen=True, eq=False)
class Gates:
    """The weight of each of K experts for N clips.

    keys: N sample keys. labels: N class names, or None where numbers are predicted. experts: K names. names: class
    names in index order. weights: float64 (N, K), rows that sum to 1.
    """

    keys: tuple
    labels: tuple | None
    experts: tuple
    names: tuple
    weights: np.ndarray

    @classmethod
    def from_detail(cls, keys, labels, experts, names, weights):
        """Gates of a network's detail: (N, K), or (N, K - 1), where the last expert has what is left of 1."""
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape[1] == len(experts) - 1:
            weights = np.concatenate([weights, 1 - weights.sum(axis=1, keepdims=True)], axis=1)
        return cls(tuple(keys), None if labels is None else tuple(labels), tuple(experts), tuple(names), weights)

    def averages(self):
        """The content of gates.json: `experts`, `clips`, `mean` (expert -> mean weight) and `per_class`: class ->
        `clips` and `mean`, of classes that the clips have."""
        found = {'experts': list(self.experts), **self._mean(np.arange(len(self.keys))), 'per_class': {}}
        for name in self.names if self.labels is not None else ():
            members = [i for i, label in enumerate(self.labels) if label == name]
            if members:
                found['per_class'][name] = self._mean(members)
        return found

    def _mean(self, members):
        mean = self.weights[members].mean(axis=0).tolist()
        return {'clips': len(members), 'mean': dict(zip(self.experts, mean, strict=True))}

    def write(self, folder, wanted='summary'):
        """Write gates.csv and gates.json into a folder, and gates-clips.csv where evaluation.details says 'clips'."""
        if wanted == 'none':
            return
        folder, averages = Path(folder), self.averages()
        if wanted == 'clips':
            labels = [''] * len(self.keys) if self.labels is None else self.labels
            rows = [[key, label, *map(repr, row)]
                    for key, label, row in zip(self.keys, labels, self.weights.tolist(), strict=True)]
            write_rows(folder / 'gates-clips.csv', [['key', 'label', *self.experts], *rows])
        rows = [[name, part['clips'], *map(repr, part['mean'].values())] for name, part in _parts(averages)]
        write_rows(folder / 'gates.csv', [['label', 'clips', *self.experts], *rows])
        write_json(folder / FILE, averages)


def _parts(averages):
    """(name, {clips, mean}) of each class, then of all clips."""
    return [*averages['per_class'].items(), (ALL, averages)]


def gates_of(run):
    """{'gates': the content of gates.json} of a folder, or {} where there is none: the network has no gate.

    Raises SerError for a file that is broken.
    """
    path = Path(run) / FILE
    if not path.is_file():
        return {}
    found = read_json(path, dict)
    try:
        for _, part in _parts(found):
            if not isinstance(part['clips'], int) or any(not isinstance(part['mean'][name], float)
                                                         for name in found['experts']):
                raise TypeError
    except (KeyError, TypeError, AttributeError):
        raise SerError(f"{path}: is not what training writes: 'experts', and of all clips and each class 'clips' and "
                       f"'mean'. {run_remedy(path)}") from None
    return {'gates': found}


def gate_files(metrics):
    """The row about gates in a card's table of files; none without gates."""
    return [('gates.csv, gates.json', "the gate's mean weight of each expert, by label")] if 'gates' in metrics else []


def gate_lines(metrics):
    """The experts' mean weights in a test_metrics.json dict as Markdown, ending in an empty line; none without."""
    if 'gates' not in metrics:
        return []
    experts = metrics['gates']['experts']
    rows = [(name, *(percent(part['mean'][expert]) for expert in experts), part['clips'])
            for name, part in _parts(metrics['gates'])]
    return ['## Experts', '',
            f"The gate's mean weight of each expert on the {counted(metrics['gates']['clips'], 'test clip')}, by "
            'label. It says what the model leant on, not what a class sounds like.', '',
            *markdown_table(('label', *experts, 'clips'), rows, 'l' + 'r' * (len(experts) + 1)), '']
