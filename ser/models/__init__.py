"""The systems, by `model.kind`."""

from ser.models.contract import Output, SpeechModel
from ser.models.crnn import build_crnn, check_crnn
from ser.models.fitted import check_fitted_keys
from ser.models.majority import build_majority
from ser.models.maxmvit import build_maxmvit
from ser.models.moe import build_moe, check_moe, check_moe_fit
from ser.models.pretrained import check_pretrained
from ser.models.ssl import build_ssl, check_ssl, check_ssl_fit, settle_encoder
from ser.models.svm import build_svm

__all__ = ['MODELS', 'Output', 'SpeechModel', 'build_model', 'check_fit', 'check_weights', 'settled']

MODELS = {
    'maxmvit': build_maxmvit,
    'crnn': build_crnn,
    'ssl': build_ssl,
    'moe': build_moe,
    'majority': build_majority,
    'svm': build_svm,
}
# Whether a system's own section is sound and the published weights that it starts from can be had, said before any
# audio is read.
CHECKS = {
    'maxmvit': check_pretrained,
    'crnn': check_crnn,
    'ssl': check_ssl,
    'moe': check_moe,
}
# Whether it goes with the other sections: of a Config that is settled, said before any audio is read as well.
FITS = {
    'ssl': check_ssl_fit,
    'moe': check_moe_fit,
    'majority': check_fitted_keys,
    'svm': check_fitted_keys,
}

# What a run's own config must hold, so that its model can be built from it alone.
SETTLES = {
    'ssl': settle_encoder,
    'moe': settle_encoder,
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
    """Raise SerError where a model's config section is not sound or its pretrained weights cannot be had; reads no
    audio."""
    if model.kind in CHECKS:
        CHECKS[model.kind](model)


def settled(config):
    """The Config with whatever its model's architecture takes from published files written into it.

    Reads no audio. Raises SerError where they cannot be had.
    """
    return SETTLES[config.model.kind](config) if config.model.kind in SETTLES else config


def check_fit(config):
    """Raise SerError where a settled Config's model does not go with its features, as far as that shows without audio
    and weights."""
    if config.model.kind in FITS:
        FITS[config.model.kind](config)
