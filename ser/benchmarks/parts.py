"""The parts of a front end that several cases share, and which of them a config has."""

import torch

from ser.benchmarks.clips import made_batch
from ser.benchmarks.launches import launches
from ser.benchmarks.timing import Case
from ser.features.frontend import FrontEnd
from ser.features.sequences import SEQUENCES
from ser.models.front_ends import build_front_end
from ser.models.maxmvit import features_of_views


def without_work(config):
    """Stages that have nothing to do under `config`, with the reason."""
    wanted = features_wanted(config)
    sees = ' and '.join(wanted) or 'the waveform'
    reasons = {stage: f'the model sees {sees} alone' for stage in ('cqt', 'mel') if stage not in wanted}
    if config.augment.spec_augment.kind == 'none':
        reasons['spec_augment'] = "augment.spec_augment.kind is 'none'"
    if not has_images(config):
        said = f'model.kind {config.model.kind} sees no images; front_end is the whole of what it sees'
        reasons |= dict.fromkeys(('level_image', 'spec_augment'), said)
    return reasons


def has_images(config):
    """Whether the model of `config` sees images, one for each of its views."""
    return hasattr(config.model, 'views')


def features_wanted(config):
    """Which features the model of `config` sees, without repeats; none where it hears the waveform alone."""
    if has_images(config):
        return tuple(dict.fromkeys(features_of_views(config.model).values()))
    return tuple(name for name in getattr(config.model, 'features', ()) if name in SEQUENCES)


def front_end_of(options, wanted=None, every_frame=False):
    """The config's front end on the device.

    wanted: images of these features alone, or None for what the model sees. every_frame: of images, as
    features.image.frames 'all'.
    """
    config, features = options.config, options.config.features
    if wanted is None and not has_images(config):
        return build_front_end(config).to(options.device)
    views = features_of_views(config.model) if wanted is None else {name: name for name in wanted}
    if every_frame:
        features = features.model_copy(update={'image': features.image.model_copy(update={'frames': 'all'})})
    front_end = FrontEnd(features, config.augment, views, data_rate=config.data.sample_rate)
    return front_end.to(options.device)


def device_batch(options, batch):
    """A made Batch on the device."""
    return made_batch(batch, options.seconds, options.config.data.sample_rate).to(options.device)


def feature_samples(options):
    """Samples of a clip at the features' rate, no more than the model hears of it."""
    length, seconds = options.config.features.waveform.length, options.seconds
    if length.kind == 'fixed' and length.evaluate == 'centre':
        seconds = min(seconds, length.seconds)
    return round(seconds * options.config.features.sample_rate)


def images_of(front_end, power, samples, lengths):
    """Normalised images of the power of samples: what the front end does after its transforms."""
    columns = front_end.columns(lengths, samples.shape[1])
    return front_end.finish(front_end.images(power, lengths, columns))


def feature_case(options, batch, stage, implementation, make, work=None, memory=True):
    """The Case of make(stack), which gives the call to time; it runs without autograd."""
    def start(stack):
        call = make(stack)

        def without_graph():
            with torch.no_grad():
                return call()

        return without_graph

    def facts(call):
        return {'launches': launches(call, options.device), **work.columns()}

    return Case(stage, implementation, batch, options.seconds, start, facts=facts if work is not None else None,
                memory=memory)
