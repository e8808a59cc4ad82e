"""One cell of a matrix: a row's model on one set of shards, with predictions and scores in a folder of its own."""

import shutil
import time
from dataclasses import dataclass, replace

from ser.errors import SerError
from ser.evaluation import predictions as prediction_files
from ser.evaluation.calibration_run import calibration_elsewhere
from ser.evaluation.matrix_table import cell_card
from ser.evaluation.predictions import Predictions
from ser.evaluation.reading import read_json
from ser.evaluation.report import score, write_scores
from ser.evaluation.run_files import read_facts, read_history
from ser.files import write_json
from ser.inference.evaluator import evaluate_shards
from ser.training.session import with_world

RECORD = 'cell.json'
DONE, FAILED, WAITING = 'done', 'failed', 'waiting'


@dataclass(frozen=True)
class Cell:
    """Where a cell stands. metrics: its test_metrics.json; reason: why it failed; seconds: what it took."""

    train: str
    test: str
    in_domain: bool
    status: str = WAITING
    metrics: dict | None = None
    seconds: float | None = None
    reason: str | None = None


def weights_of(run):
    """sha256 (hex) of a run's weights as its own file beside them says, or None."""
    path = run / 'best.safetensors.sha256'
    return path.read_text(encoding='utf-8').split()[0] if path.is_file() else None


def kept_cell(cell, folder, run):
    """The cell with the scores that are in its folder, or as it is when they are not of the run's present weights."""
    if not all((folder / name).is_file() for name in (RECORD, 'test_metrics.json', 'predictions.csv')):
        return cell
    record = read_json(folder / RECORD, dict)
    if record.get('weights') != weights_of(run):
        return cell
    return replace(cell, status=DONE, metrics=read_json(folder / 'test_metrics.json', dict),
                   seconds=record.get('seconds'))


def make_cell(cell, folder, run, tested, config, merge=None):
    """Score the row's run on the set `tested` (a ShardSet) and write the cell's folder; returns the finished cell.

    In its own domain these are the run's own test clips of that set, elsewhere all its clips. config: the row's.
    merge: label -> class of the labels of all sets; the row's config speaks of those of its own.
    Raises SerError for shards that cannot be read or scored.
    """
    started = time.monotonic()
    if cell.in_domain:
        metrics = _own_clips(cell, folder, run, tested.keys, config.evaluation)
    else:
        # What lies there was not to be kept: of other weights or shards, or cut short.
        shutil.rmtree(folder, ignore_errors=True)
        metrics, _ = with_world(config, lambda *_: evaluate_shards(run, tested.entries, folder, config.run.device,
                                                                   merge=merge))
    seconds = round(time.monotonic() - started, 3)
    # Last: whoever finds it finds everything else.
    write_json(folder / RECORD, {'train': cell.train, 'test': cell.test, 'in_domain': cell.in_domain,
                                 'weights': weights_of(run), 'digest': tested.index.digest, 'seconds': seconds})
    return replace(cell, status=DONE, metrics=metrics, seconds=seconds, reason=None)


def _own_clips(cell, folder, run, keys, evaluation):
    """Scores of the run's test clips that are among `keys`, from its predictions."""
    every = prediction_files.read_csv(run / 'predictions.csv')
    mine = [number for number, key in enumerate(every.keys) if key in keys]
    if not mine:
        raise SerError(f'no clip of {cell.test} is in the test part of {cell.train}')
    chosen = {field: [getattr(every, field)[number] for number in mine]
              for field in ('keys', 'speakers', 'labels', 'predicted')}
    predictions = Predictions(**chosen, probabilities=every.probabilities[mine], names=every.names)
    facts = read_facts(run, read_history(run).best_epoch)
    if len(mine) < len(every):
        facts = replace(facts, protocol=f'{facts.protocol}; of its test part, the clips of {cell.test}')
    metrics = score(predictions, facts, evaluation) | calibration_elsewhere(run, predictions, evaluation)
    predictions.write_csv(folder / 'predictions.csv')
    write_json(folder / 'labels.json', list(predictions.names))
    write_scores(folder, metrics, predictions.names, 'Test', cell_card(metrics, cell.train, cell.test))
    return metrics
