"""After the last epoch: the best weights on the test part, predictions, scores, pictures, model card."""

import logging

from ser.evaluation.predictions import Predictions
from ser.evaluation.report import evaluate_run
from ser.training.checkpoint import load_weights
from ser.training.evaluate import evaluate_stream

log = logging.getLogger(__name__)


def predict_part(model, index, rows, names, stream, world, device, dtype):
    """Predictions of the clips `rows` (row numbers of the index) from a stream over them, on every rank."""
    evaluated = evaluate_stream(model, model.network, stream, world, device, dtype, rows)
    members = [index.rows[i] for i in evaluated.ids]
    return Predictions(keys=[row.key for row in members], speakers=[index.speaker_name(row) for row in members],
                       labels=[names[i] for i in evaluated.targets],
                       predicted=[names[i] for i in evaluated.probabilities.argmax(1)],
                       probabilities=evaluated.probabilities, names=names)


def test_run(job, run):
    """Score best.safetensors on the test part and write every file of the run; returns the metrics (rank 0)."""
    # Rank 0 wrote the weights; nobody may read them earlier.
    job.world.from_main(True)
    load_weights(run.path / 'best.safetensors', job.model)
    with job.evaluation_stream('test') as stream:
        predictions = predict_part(job.model.to(job.device), job.index, job.split.parts['test'], job.names, stream,
                                   job.world, job.device, job.dtype)
    if not job.world.is_main:
        return None
    predictions.write_csv(run.path / 'predictions.csv')
    return evaluate_run(run.path, job.config.evaluation)
