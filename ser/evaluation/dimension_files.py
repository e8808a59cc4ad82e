"""What a run directory of the task 'dimensions' says besides its predictions: task and test part."""

import math
from pathlib import Path

from ser.errors import SerError
from ser.evaluation.dimensions import are_names, read_csv
from ser.evaluation.reading import read_json, run_remedy
from ser.evaluation.run_files import check_clips, read_facts, read_history, read_split
from ser.shards.targets import STRATA

KIND = 'dimensions'


def read_task(run):
    """The content of a run's task.json, or None where there is none: then the run tells emotions apart.

    A dict: `kind` 'dimensions', `names` (D), `mean` and `std` (D numbers of the training part, in the corpus's units)
    and `unit` (D pairs of the lowest and highest training label). Raises SerError for a file that says anything else.
    """
    path = Path(run) / 'task.json'
    if not path.exists():
        return None
    task = read_json(path, dict)
    if task.get('kind') != KIND:
        raise SerError(f"{path}: kind {task.get('kind')!r}; known: '{KIND}'. Use the version that trained this run")
    names = task.get('names')
    if not isinstance(names, list) or not are_names(names):
        raise SerError(f"{path}: 'names' is {names!r}; a list of at least one dimension and different names is "
                       f'wanted. {run_remedy(path)}')
    wanted = {'mean': 'numbers', 'std': 'numbers above 0', 'unit': 'pairs [lowest, highest]'}
    fits = {'mean': _is_number, 'std': lambda value: _is_number(value) and value > 0, 'unit': _is_range}
    for key, what in wanted.items():
        values = task.get(key)
        if not isinstance(values, list) or len(values) != len(names) or not all(map(fits[key], values)):
            raise SerError(f"{path}: '{key}' is {values!r}; a list of {len(names)} {what} is wanted. "
                           f'{run_remedy(path)}')
    labels = Path(run) / 'labels.json'
    said = read_json(labels, list)
    if said != names:
        raise SerError(f"{labels}: holds {said}, but task.json says {', '.join(names)}. {run_remedy(path)}")
    return task


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_range(value):
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]


def one_task(runs):
    """Whether the runs predict dimensions. Raises SerError when some do and others tell emotions apart."""
    runs = list(runs)
    of_dimensions = [read_task(run) is not None for run in runs]
    if len(set(of_dimensions)) > 1:
        raise SerError(f'{runs[of_dimensions.index(False)]}: has no task.json, so it tells emotions apart, but '
                       f'{runs[of_dimensions.index(True)]} predicts dimensions; only folds of one task can be pooled')
    return any(of_dimensions)


def read_test_part(run, names):
    """(DimensionPredictions, Facts, Members) of a run whose dimensions are `names`, checked against each other.

    Raises SerError naming the file for one that is missing, broken, or at odds with another.
    """
    run = Path(run)
    facts, members = read_facts(run, read_history(run).best_epoch), read_split(run, STRATA)
    path = run / 'predictions.csv'
    predictions = read_csv(path)
    if predictions.names != tuple(names):
        raise SerError(f"{path}: dimensions {', '.join(predictions.names)}, but task.json says {', '.join(names)}. "
                       f'{run_remedy(path)}')
    check_clips(path, predictions, members, facts)
    return predictions, facts, members
