"""The weights that validation liked best, also after a kill."""

import logging

from ser.errors import SerError
from ser.files import sha256_of, verifies
from ser.training.checkpoint import load_checkpoint, save_weights
from ser.training.state import scored_state

log = logging.getLogger(__name__)


def check_best(run, progress):
    """Write best.safetensors again when a kill left one of an epoch that the checkpoint does not know.

    run: a RunDirectory. progress: state.Progress of the checkpoint. Raises SerError when no checkpoint of that epoch
    is left either.
    """
    best = run.path / 'best.safetensors'
    if progress.best_epoch and not (verifies(best) and sha256_of(best) == progress.best_sha256):
        state = load_checkpoint(run.checkpoints, progress.top[0][2]) if progress.top else None
        if state is None:
            raise SerError(f'{best}: lost or damaged, and no checkpoint of epoch {progress.best_epoch} is left '
                           '(training.keep_best). Start a new run')
        log.warning('best.safetensors was lost or of another epoch: written again from its checkpoint')
        save_weights(best, scored_state(state))
