"""What a page is made from: everything a run directory, or a folder of scores, says, read and checked once."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix

from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation.calibration import Calibration, read_calibration
from ser.evaluation.compare import evaluation_of
from ser.evaluation.dimension_files import read_task, read_test_part
from ser.evaluation.dimension_words import of_dimensions
from ser.evaluation.dimensions import DimensionPredictions
from ser.evaluation.dimensions import read_csv as read_dimensions
from ser.evaluation.folders import command_named, paths_named, without_folders
from ser.evaluation.predictions import Predictions
from ser.evaluation.reading import read_json, read_rows, read_table
from ser.evaluation.run_files import check_test_part, read_config, read_facts, read_names, read_split
from ser.evaluation.sides import ensemble_members, fold_runs, run_predictions, seed_runs
from ser.evaluation.tables import percent
from ser.training.run import check_folder

AGAIN = 'Write the scores anew: ser evaluate RUN'
_SHARED = {'n': int, 'interval_method': str, 'protocol': str, 'protocol_kind': str, 'covers_new_speakers': bool,
           'excludes_chance': bool, 'notes': list}
_OF_CLASSES = {'ua': float, 'ua_interval': list, 'wa': float, 'wa_interval': list, 'macro_f1': float,
               'weighted_f1': float, 'log_loss': float, 'chance': float, 'per_class': dict, 'confusion_matrix': list}
_OF_DIMENSIONS = {'mean_ccc': float, 'mean_ccc_interval': list, 'per_dimension': dict}


@dataclass(frozen=True, eq=False)
class Contents:
    """A folder with scores. None stands for a file that is not there.

    kind: 'run', 'folds', 'seeds', 'ensemble' or 'other shards'. metrics: test_metrics.json. names: labels.json.
    members: rows of split.csv. history: column of metrics.csv -> float64 (E,), NaN where empty. config: config.yaml as
    nested dicts. No text of them names a folder of this machine: pages are passed on.
    """

    path: Path
    kind: str
    metrics: dict
    names: tuple
    evaluation: EvaluationConfig
    predictions: Predictions | DimensionPredictions | None = None
    members: list | None = None
    data: dict | None = None
    config: dict | None = None
    history: dict | None = None
    environment: dict | None = None
    command: str | None = None
    calibration: Calibration | None = None
    task: dict | None = None

    @property
    def name(self):
        """The folder's name."""
        return self.path.resolve().name or str(self.path)

    @property
    def of_dimensions(self):
        """Whether numbers are predicted rather than classes."""
        return of_dimensions(self.metrics)

    @property
    def runs(self):
        """The single runs inside: the run itself, or every fold of every seed; none of what `ser evaluate` wrote."""
        found = [run for seed in seed_runs(self.path) or [self.path] for run in fold_runs(seed) or [seed]]
        return [run for run in found if (run / 'config.yaml').is_file()]

    @property
    def of_mean(self):
        """What predictions.csv is the mean of, in words, where it is of no single model; else None."""
        if self.kind == 'seeds':
            return f"the mean of the probabilities of {len(self.metrics['seeds'])} seeds"
        return f"the {self.metrics['ensemble']['what']}" if self.kind == 'ensemble' else None

    @property
    def mean_remark(self):
        """`of_mean` as a sentence to put after others, or None."""
        return f' All of it is of {self.of_mean}.' if self.of_mean else None


def read_contents(path):
    """The Contents of a run directory, a folder of folds or seeds, or what `ser evaluate` wrote.

    Raises SerError for a folder without scores, for files that are broken, and for scores that predictions.csv or
    confusion_matrix.csv contradict.
    """
    path = Path(path)
    metrics_file = path / 'test_metrics.json'
    if not metrics_file.is_file():
        check_folder(path)
        raise SerError(_no_scores(path))
    metrics = without_folders(read_json(metrics_file, dict))
    _check_metrics(metrics_file, metrics)
    task = read_task(path)
    dimensions = of_dimensions(metrics)
    names = tuple(read_json(path / 'labels.json', list)) if dimensions else read_names(path)
    found = Contents(path, _kind(path, metrics), metrics, names, evaluation_of(path), task=task,
                     **_predictions(path, names, dimensions, task), **_beside(path))
    if not dimensions:
        _check_agreement(found)
    return found


def _kind(path, metrics):
    if (path / 'config.yaml').is_file():
        return 'run'
    if metrics.get('seeds'):
        return 'seeds'
    if metrics.get('folds'):
        return 'folds'
    return 'ensemble' if ensemble_members(path) else 'other shards'


def _no_scores(path):
    if (path / 'config.yaml').is_file():
        return (f'{path}: this run is not finished: no test_metrics.json. Finish it: python -m ser.train --resume '
                f'{path}; or, where its predictions are there, ser evaluate {path}')
    if seed_runs(path) or fold_runs(path):
        return f'{path}: its runs have no joint score yet. Pool them: ser evaluate {path}; or name one of them'
    runs = sorted(run.parent.name for run in path.glob('*/config.yaml'))
    inside = f' It holds runs: name one of them, such as {path / runs[0]}' if runs else \
        ' A run is what python -m ser.train makes'
    return f'{path}: not a run directory (no config.yaml, no test_metrics.json).{inside}'


def _check_metrics(path, metrics):
    for key, kind in {**_SHARED, **(_OF_DIMENSIONS if of_dimensions(metrics) else _OF_CLASSES)}.items():
        value = metrics.get(key)
        if not isinstance(value, kind) or (kind is float and not math.isfinite(value)):
            said = f"'{key}' is {value!r:.60}" if key in metrics else f"no key '{key}'"
            raise SerError(f'{path}: {said}. {AGAIN}')


def _predictions(path, names, dimensions, task):
    """`predictions` and `members` where the files are there, held against each other where both are."""
    file, split = path / 'predictions.csv', path / 'split.csv'
    if dimensions:
        if task and file.is_file() and split.is_file():
            predictions, _, members = read_test_part(path, task['names'])
            return {'predictions': predictions, 'members': members}
        return {'predictions': read_dimensions(file) if file.is_file() else None}
    predictions = run_predictions(path, names) if file.is_file() else None
    members = read_split(path, names) if split.is_file() else None
    if predictions and members and (path / 'data.json').is_file():
        check_test_part(file, predictions, members, read_facts(path))
    return {'predictions': predictions, 'members': members}


def _beside(path):
    return {
        'config': paths_named(read_config(path)) if (path / 'config.yaml').is_file() else None,
        'data': _optional(path / 'data.json'), 'environment': _optional(path / 'environment.json'),
        'history': read_columns(path / 'metrics.csv'), 'calibration': read_calibration(path),
        'command': _command(path / 'command.txt')}


def _optional(path):
    return without_folders(read_json(path, dict)) if path.is_file() else None


def _command(path):
    if not path.is_file():
        return None
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    return command_named(lines[0]) if lines else None


def read_columns(path):
    """Column -> float64 (E,) of a metrics.csv, NaN for an empty cell; None where there is no file or no epoch.

    Raises SerError for a cell that is no number.
    """
    if not path.is_file():
        return None
    rows = read_table(path, ('epoch',))
    columns = {}
    for line, row in rows:
        for name, cell in row.items():
            try:
                columns.setdefault(name, []).append(float(cell) if cell.strip() else math.nan)
            except ValueError:
                raise SerError(f"{path}:{line}: {name} is '{cell}', a number is wanted. Train again, or delete the "
                               'file to have a page without learning curves') from None
    return {name: np.array(values) for name, values in columns.items()} or None


def _check_agreement(found):
    """Raises SerError where scores, predictions and the confusion matrix are not of one test."""
    counts, metrics = found.metrics['confusion_matrix'], found.metrics
    if found.predictions is not None and found.kind != 'seeds':
        said = found.predictions
        recomputed = confusion_matrix(said.label_ids, said.predicted_ids, labels=np.arange(len(said.names))).tolist()
        if recomputed != counts:
            right = sum(recomputed[i][i] for i in range(len(counts))) / len(said)
            raise SerError(f'{found.path}: test_metrics.json and predictions.csv are of different tests (WA '
                           f"{percent(metrics['wa'])} of {metrics['n']} clips, {percent(right)} of {len(said)}). "
                           f'{AGAIN}')
    path = found.path / 'confusion_matrix.csv'
    if path.is_file():
        (_, header), *rows = read_rows(path)
        written = [[name, *map(str, row)] for name, row in zip(found.names, counts, strict=True)]
        if header != ['label', *found.names] or [cells for _, cells in rows] != written:
            raise SerError(f'{path}: not the counts of test_metrics.json. {AGAIN}')
