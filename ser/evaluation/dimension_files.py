"""What a run directory of the task 'dimensions' says besides its predictions: task, epochs, test part."""

import math
from pathlib import Path

import numpy as np

from ser.errors import SerError
from ser.evaluation.dimensions import are_names, read_csv
from ser.evaluation.reading import RUN_REMEDY, read_json, read_table
from ser.evaluation.run_files import History, read_facts, read_split
from ser.evaluation.tables import counted
from ser.shards.targets import STRATA

KIND = 'dimensions'
HISTORY_COLUMNS = ('epoch', 'train_loss', 'valid_loss', 'valid_ccc', 'lr', 'best')


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
                       f'wanted. {RUN_REMEDY}')
    wanted = {'mean': 'numbers', 'std': 'numbers above 0', 'unit': 'pairs [lowest, highest]'}
    fits = {'mean': _is_number, 'std': lambda value: _is_number(value) and value > 0, 'unit': _is_range}
    for key, what in wanted.items():
        values = task.get(key)
        if not isinstance(values, list) or len(values) != len(names) or not all(map(fits[key], values)):
            raise SerError(f"{path}: '{key}' is {values!r}; a list of {len(names)} {what} is wanted. {RUN_REMEDY}")
    labels = Path(run) / 'labels.json'
    said = read_json(labels, list)
    if said != names:
        raise SerError(f"{labels}: holds {said}, but task.json says {', '.join(names)}. {RUN_REMEDY}")
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


def read_history(run):
    """The run_files.History of a run's metrics.csv, with `valid_ccc` in the place of `valid_ua`.

    Raises SerError for a cell that is no number and when no epoch is best.
    """
    path = Path(run) / 'metrics.csv'
    rows = read_table(path, HISTORY_COLUMNS)
    columns = {name: np.array([_cell(path, line, name, row[name]) for line, row in rows]) for name in HISTORY_COLUMNS}
    best = columns['epoch'][columns['best'] == 1]
    if not len(best) or math.isnan(best[-1]):
        raise SerError(f'{path}: no epoch is marked best (column best = 1). {RUN_REMEDY}')
    return History(columns, int(best[-1]))


def _cell(path, line, name, cell):
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise SerError(f"{path}:{line}: {name} is '{cell}', a number is wanted. {RUN_REMEDY}") from None


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
                       f'{RUN_REMEDY}')
    check_test_part(path, predictions, members, facts)
    return predictions, facts, members


def check_test_part(path, predictions, members, facts):
    """Check that predictions cover the test part of split.csv exactly once, with its speakers.

    Also that no test speaker is in training when the facts promise it. Raises SerError naming `path`.
    """
    test = {member.key: member for member in members if member.part == 'test'}
    keys = set(predictions.keys)
    for fault, wrong in (('missing', set(test) - keys), ('too many', keys - set(test))):
        if wrong:
            raise SerError(f'{path}: {counted(len(wrong), "clip")} {fault}, for one {min(wrong)}; split.csv has '
                           f'{len(test)} in the test part. {RUN_REMEDY}')
    for key, speaker in zip(predictions.keys, predictions.speakers, strict=True):
        if speaker != test[key].speaker:
            raise SerError(f'{path}: clip {key} is by {speaker or "unknown"}, split.csv says '
                           f'{test[key].speaker or "unknown"}. {RUN_REMEDY}')
    heard = {member.speaker for member in members if member.part in ('train', 'valid')} - {None}
    shared = sorted(heard & {member.speaker for member in test.values()})
    if shared and facts.speaker_disjoint:
        raise SerError(f'{Path(path).parent / "data.json"}: speaker_disjoint is true, but in split.csv test speaker '
                       f'{shared[0]} is in training or validation too. Start a new run')
