"""A trained model from its run directory: config.yaml, labels.json, best.safetensors and nothing else."""

from pathlib import Path

import torch

from ser.models import build_model
from ser.training.checkpoint import load_weights
from ser.training.run import auxiliary_of, open_run


def load_run(path):
    """(config, class names, SpeechModel) of a run directory; the model on the CPU, in eval mode, without gradients.

    Nothing is downloaded and nothing is unpickled; every tensor of the file must fit and none may be missing.
    Raises SerError for a folder that is no run, a config of another version, and weights that are missing, damaged
    or of another model.
    """
    config, names = open_run(path)
    # Building draws initial weights, which the file replaces: the caller's generator must not notice.
    with torch.random.fork_rng(devices=[]):
        model = build_model(config, names, load_pretrained=False, auxiliary=auxiliary_of(path))
    load_weights(Path(path) / 'best.safetensors', model)
    return config, names, model.eval().requires_grad_(False)
