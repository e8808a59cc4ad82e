"""The front end of a config's system without its network, for whoever wants to see what it sees."""

from ser.features.frontend import FrontEnd
from ser.features.sequences import SequenceFrontEnd, checked_sequences
from ser.models import build_model
from ser.models.maxmvit import features_of_views


def _images(config):
    return FrontEnd(config.features, config.augment, features_of_views(config.model),
                    data_rate=config.data.sample_rate)


def _sequences(config):
    wanted = checked_sequences(config.model.features, 'model.features')
    return SequenceFrontEnd(config.features, config.augment, wanted, config.data.sample_rate)


# Systems whose front end the config alone decides.
FRONT_ENDS = {'maxmvit': _images, 'crnn': _sequences}


def build_front_end(config):
    """The front end of a Config, as its model has it.

    What audio an encoder wants, only the encoder knows: of such systems the whole model is built, without pretrained
    weights. Raises SerError as `build_model`.
    """
    build = FRONT_ENDS.get(config.model.kind)
    if build is not None:
        return build(config)
    return build_model(config, ('no', 'yes'), load_pretrained=False).front_end
