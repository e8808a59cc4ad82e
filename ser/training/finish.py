"""After the last epoch: the best weights on the test part, predictions, scores, pictures, model card."""

import logging

import numpy as np

from ser.evaluation.calibration import VALIDATION
from ser.evaluation.dimensions import DimensionPredictions
from ser.evaluation.gates import Gates
from ser.evaluation.predictions import Predictions
from ser.evaluation.report import evaluate_run
from ser.training.checkpoint import load_weights
from ser.training.evaluate import evaluate_stream

log = logging.getLogger(__name__)


def predict_part(model, index, rows, heads, stream, world, device, dtype):
    """(predictions, gates) of the clips `rows` (row numbers of the index) from a stream over them, on every rank.

    heads: of a Task. predictions: a dict from each head's target to its Predictions (or DimensionPredictions), the main
    one first; of an auxiliary head those clips whose value is known, and none at all where it is known of no clip.
    gates: the Gates of a network whose detail 'gate' weighs what it says is `gated`, else None.
    """
    gated = getattr(model.network, 'gated', ())
    evaluated = evaluate_stream(model, model.network, stream, world, device, dtype, rows, heads,
                                details=('gate',) if gated else ())
    found = {}
    for head, truth, values in zip(heads, evaluated.truths, evaluated.values, strict=True):
        known = np.arange(len(values)) if head.scale is not None else np.flatnonzero(truth >= 0)
        if len(known) or head.main:
            found[head.target] = _predictions(head, [index.rows[i] for i in evaluated.ids[known]], index, truth[known],
                                              values[known])
    return found, _gates(gated, evaluated, heads[0], index) if gated else None


def _gates(gated, evaluated, main, index):
    keys = [index.rows[i].key for i in evaluated.ids]
    labels = None if main.scale is not None else [main.names[number] for number in evaluated.targets]
    return Gates.from_detail(keys, labels, gated, main.names, evaluated.details['gate'])


def _predictions(head, members, index, truth, values):
    keys, speakers = [row.key for row in members], [index.speaker_name(row) for row in members]
    if head.scale is not None:
        return DimensionPredictions(keys, speakers, truth, values, head.names)
    return Predictions.from_probabilities(keys, speakers, truth, values, head.names)


def test_run(job, run):
    """Score best.safetensors on the test part and write every file of the run; returns the metrics (rank 0).

    What the same weights say of the validation part is kept beside it: the calibration is fitted to that.
    """
    # Rank 0 wrote the weights; the others may be on machines that do not see its disk.
    job.world.on_main(lambda: load_weights(run.path / 'best.safetensors', job.model))
    job.world.share(job.model)
    main = job.task.heads[0]
    predictions, gates = _predict(job, 'test', job.task.heads)
    # Numbers have no confidence that could be calibrated.
    validation = _predict(job, 'valid', (main,))[0] if main.scale is None else {}
    if not job.world.is_main:
        return None
    for target, found in predictions.items():
        found.write_csv(run.path / ('predictions.csv' if target == main.target else f'predictions-{target}.csv'))
    for found in validation.values():
        found.write_csv(run.path / VALIDATION)
    if gates is not None:
        gates.write(run.path, job.config.evaluation.details)
    return evaluate_run(run.path, job.config.evaluation)


def _predict(job, part, heads):
    with job.evaluation_stream(part) as stream:
        return predict_part(job.model.to(job.device), job.index, job.split.parts[part], heads, stream, job.world,
                            job.device, job.dtype)
