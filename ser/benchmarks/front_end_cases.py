"""The cases of copy, CQT, Mel, level and image, SpecAugment, and the whole front end."""

import logging

import torch

from ser.benchmarks import rivals
from ser.benchmarks.clips import made_batch
from ser.benchmarks.floor import cqt_work, front_end_work, image_work, mask_work, mel_work, sequence_work
from ser.benchmarks.librosa_path import LibrosaPath, as_they_run_it, at_its_best
from ser.benchmarks.parts import (
    device_batch,
    feature_case,
    feature_samples,
    features_wanted,
    front_end_of,
    has_images,
    images_of,
)
from ser.benchmarks.stock import stock_case
from ser.benchmarks.timing import Case
from ser.features.augment import SpecAugment, draw_spec_augment
from ser.features.graphs import GraphedFrontEnd
from ser.models.maxmvit import features_of_views
from ser.training.prefetch import DeviceBatches

log = logging.getLogger(__name__)

COPIES = 8
"""Batches that one call of `copy` sends after each other, as training does."""


def front_end_cases(options):
    """The cases of this module's stages that `options` asks for."""
    return [case for batch in options.batches for stage in options.stages if stage in _STAGES
            for case in _STAGES[stage](options, batch)]


def _copy(options, batch):
    """Host batches to the device, pinned and on a side stream where there is one."""
    def start(stack):
        host = made_batch(batch, options.seconds, options.config.data.sample_rate)

        def call():
            for _ in DeviceBatches([host] * COPIES, options.device):
                pass

        return call

    samples = round(options.seconds * options.config.data.sample_rate)

    def facts(call):
        # A CPU has nothing to copy to.
        return {'bytes': 2.0 * samples, 'flops': 0.0} if options.device.type == 'cuda' else {}

    yield Case('copy', 'ser', batch, options.seconds, start, clips=batch * COPIES, facts=facts)


def _feature(options, batch, stage, work, stock):
    """A transform alone, on float32 samples that are on the device."""
    def samples():
        data = device_batch(options, batch)
        return front_end_of(options, (stage,)).waveform(data.waveforms, data.lengths)[0]

    def own(stack):
        front_end, given = front_end_of(options, (stage,)), samples()
        return (lambda: front_end.cqt(given)) if stage == 'cqt' else (lambda: front_end.banks(given))

    yield feature_case(options, batch, stage, 'ser', own, work(options.config.features, feature_samples(options)))
    yield from _librosa(options, batch, stage)
    yield from (stock_case(options, batch, stage, name) for name in stock if options.wants(name))
    if options.wants('bare-ffts'):
        yield feature_case(options, batch, stage, 'bare-ffts', lambda stack: _bare(options, batch, (stage,)))


def _cqt(options, batch):
    return _feature(options, batch, 'cqt', cqt_work, tuple(rivals.NNAUDIO))


def _mel(options, batch):
    return _feature(options, batch, 'mel', mel_work, ('torchaudio',))


def _librosa(options, batch, stage):
    """Both ways of running librosa on a stage."""
    config = options.config
    path = LibrosaPath(config.features, config.data.sample_rate)

    def host():
        return made_batch(batch, options.seconds, config.data.sample_rate)

    if options.wants('librosa'):
        yield feature_case(options, batch, stage, 'librosa', lambda stack: as_they_run_it(path, stage, host(), stack),
                           memory=False)
    if options.wants('librosa-parallel'):
        yield feature_case(options, batch, stage, 'librosa-parallel',
                           lambda stack: at_its_best(path, stage, host(), stack), memory=False)


def _bare(options, batch, wanted):
    """The FFTs of a padded batch and a copy of it."""
    config = options.config
    padded = made_batch(1, options.seconds, config.data.sample_rate).waveforms.shape[1]
    samples = round(padded * config.features.sample_rate / config.data.sample_rate)
    parts = {'cqt': rivals.bare_cqt, 'mel': rivals.bare_mel}
    # MFCC and chroma are made of the Mel's spectrum.
    needed = {'cqt' if name == 'cqt' else 'mel' for name in wanted}
    calls = [part(config.features, batch, samples, options.device) for name, part in parts.items() if name in needed]
    return lambda: [call() for call in calls]


def _level_image(options, batch):
    wanted = features_wanted(options.config)

    def make(stack):
        front_end, data = front_end_of(options), device_batch(options, batch)
        samples, lengths = front_end.waveform(data.waveforms, data.lengths)
        columns = front_end.columns(lengths, samples.shape[1])
        power = front_end.power(samples, None if front_end.every else columns)
        return lambda: images_of(front_end, power, samples, lengths)

    work = image_work(options.config.features, feature_samples(options), wanted)
    yield feature_case(options, batch, 'level_image', 'ser', make, work)


def _spec_augment(options, batch):
    """Drawing the masks and applying them, for every view."""
    config = options.config
    masks = config.augment.spec_augment
    views = features_of_views(config.model)

    def make(stack):
        layer, ids = SpecAugment(masks).to(options.device), torch.arange(batch)
        image = torch.rand(batch, 1, config.features.image.size, config.features.image.size, device=options.device)

        def call():
            draw = draw_spec_augment(masks, tuple(views), 0, 0, ids).to(options.device)
            return [layer(image, draw.views[view]) for view in views]

        return call

    yield feature_case(options, batch, 'spec_augment', 'ser', make, mask_work(config.features, tuple(views)))


def _front_end(options, batch):
    """int16 on the device to what the model sees: normalised images, whose rivals replace the transforms while level
    and images are ser's, or sequences."""
    config, wanted = options.config, features_wanted(options.config)

    def own(stack):
        front_end, data = front_end_of(options), device_batch(options, batch)
        if options.device.type == 'cuda' and config.run.cuda_graphs:
            front_end = GraphedFrontEnd(front_end)
            stack.callback(lambda: log.info(front_end.line()))
        return lambda: front_end(data.waveforms, data.lengths)

    work = front_end_work if has_images(config) else sequence_work
    yield feature_case(options, batch, 'front_end', 'ser', own,
                       work(config.features, feature_samples(options), wanted))
    # The rivals make these two images; beside a front end of others their time would compare with nothing.
    if has_images(config) and set(wanted) == {'cqt', 'mel'}:
        yield from _librosa(options, batch, 'front_end')
        yield from (stock_case(options, batch, 'front_end', name) for name in (*rivals.NNAUDIO, 'torchaudio')
                    if options.wants(name))
    if wanted and options.wants('bare-ffts'):
        yield feature_case(options, batch, 'front_end', 'bare-ffts', lambda stack: _bare(options, batch, wanted))


_STAGES = {'copy': _copy, 'cqt': _cqt, 'mel': _mel, 'level_image': _level_image, 'spec_augment': _spec_augment,
           'front_end': _front_end}
