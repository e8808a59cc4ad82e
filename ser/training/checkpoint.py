"""Checkpoints and model weights: safe formats, verified before use."""

import io
import logging
import pickle
import re
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from ser.errors import SerError
from ser.files import sha256_of, verifies, write_with_digest

log = logging.getLogger(__name__)
_NAME = re.compile(r'step-(\d{9})\.pt')


def save_checkpoint(folder, state, global_step, keep=()):
    """Write `step-<global step>.pt` and remove all but the last two and the steps in `keep`.

    state: nested dicts and lists of tensors, numbers and strings. Returns the path. Raises SerError
    when the disk refuses; the earlier checkpoints are then intact.
    """
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    for leftover in folder.glob('.step-*.partial'):
        leftover.unlink()  # of a save that was killed
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = folder / f'step-{global_step:09d}.pt'
    write_with_digest(path, buffer.getvalue())
    for old in _checkpoints(folder)[2:]:
        if _step_of(old) not in keep:
            old.unlink()
    for digest in folder.glob('step-*.pt.sha256'):
        if not digest.with_suffix('').exists():
            digest.unlink()  # of those, and of saves that were killed
    return path


def _step_of(path):
    return int(_NAME.fullmatch(path.name)[1])


def _checkpoints(folder):
    """Newest first."""
    found = [path for path in Path(folder).glob('step-*.pt') if _NAME.fullmatch(path.name)]
    return sorted(found, key=_step_of, reverse=True)


def load_checkpoint(folder, global_step):
    """The checkpoint of one global step, or None when it is missing or damaged."""
    path = Path(folder) / f'step-{global_step:09d}.pt'
    return torch.load(path, map_location='cpu', weights_only=True) if verifies(path) else None


def load_newest(folder, expected):
    """The newest checkpoint that verifies, as (state, path), or (None, None) when there is none at all.

    expected: {name: value} that the checkpoint must carry under 'identity' (digest, batch size, labels).
    Raises SerError for a checkpoint of another identity, and when all are damaged.
    """
    paths = _checkpoints(folder)
    for path in paths:
        if not verifies(path):
            log.warning('%s is damaged (its sha256 does not match): trying the one before', path.name)
            continue
        try:
            state = torch.load(path, map_location='cpu', weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
            raise SerError(f'{path}: not a checkpoint of this program: {str(error).splitlines()[0]}') from error
        for name, value in expected.items():
            found = state.get('identity', {}).get(name)
            if found != value:
                raise SerError(f'{path}: was made with another {name}: {found}, now {value}. '
                               'Resume with the same data and options, or start a new run')
        return state, path
    if paths:
        raise SerError(f'{folder}: all {len(paths)} checkpoints are damaged. Start a new run')
    return None, None


def load_newest_of_main(world, folder, expected):
    """(state, file name) of rank 0's `load_newest`, on every rank; raises its SerError on every rank.

    The others read the same file where they see it and are sent its content where they do not: machines need not share
    a disk. world: a distributed.World.
    """
    states = []

    def newest():
        state, path = load_newest(folder, expected)
        states.append(state)
        return path and (path.name, sha256_of(path))

    found = world.on_main(newest)
    if found is None:
        return None, None
    name, digest = found
    path = Path(folder) / name
    seen = world.is_main or (path.is_file() and sha256_of(path) == digest)
    if not all(world.gather(seen)):
        return world.from_main(states[0] if states else None), name
    return states[0] if states else torch.load(path, map_location='cpu', weights_only=True), name


def save_weights(path, state_dict):
    """A state dict as safetensors with its sha256 beside; no name, time or path inside. Returns the sha256."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    return write_with_digest(path, safetensors.torch.save(tensors))


def load_weights(path, model):
    """Fill `model` from a file of `save_weights`, strictly.

    Raises SerError for a missing or damaged file and for weights of another model.
    """
    path = Path(path)
    if not path.is_file():
        raise SerError(f'{path}: no such weights. Train first, or resume the run: --resume {path.parent}')
    if not verifies(path):
        raise SerError(f'{path}: damaged: its sha256 does not match {path.name}.sha256. Copy both files again')
    try:
        tensors = safetensors.torch.load_file(path)
        model.load_state_dict(tensors)
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise SerError(f'{path}: weights of another model: {" ".join(str(error).split())[:200]}') from error
