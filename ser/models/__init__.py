"""The systems, by `model.kind`."""

from ser.models.contract import Output, SpeechModel
from ser.models.crnn import build_crnn
from ser.models.maxmvit import build_maxmvit
from ser.models.pretrained import check_pretrained

__all__ = ['MODELS', 'Output', 'SpeechModel', 'build_model', 'check_weights']

MODELS = {
    'maxmvit': build_maxmvit,
    'crnn': build_crnn,
}
# Whether the published weights that a system starts from can be had, said before any audio is read.
CHECKS = {
    'maxmvit': check_pretrained,
}


def build_model(config, names, load_pretrained: bool = True, auxiliary=None) -> SpeechModel:
    """The model of a config for the classes (or dimensions) `names`, in index order, on the CPU, in training mode.

    auxiliary: further target -> its values, a head each.
    Weights start from torch's global generator: seed it first. load_pretrained: False skips downloads and weights
    files, for a model whose weights are loaded from a run. Raises SerError for whatever does not fit together and
    for weights that cannot be had; call it before reading audio.
    """
    return MODELS[config.model.kind](config, tuple(names), load_pretrained, auxiliary or {})


def check_weights(model):
    """Raise SerError where the pretrained weights of a model's config section cannot be had; reads no audio."""
    if model.kind in CHECKS:
        CHECKS[model.kind](model)
