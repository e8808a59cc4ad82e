"""Which cases, in which order, and what is made of their rows."""

import tempfile
from contextlib import ExitStack
from dataclasses import replace

import torch

from ser.benchmarks.clips import make_shards
from ser.benchmarks.floor import add_floor, measure_rates
from ser.benchmarks.front_end_cases import front_end_cases
from ser.benchmarks.librosa_path import check_librosa
from ser.benchmarks.model_cases import model_cases
from ser.benchmarks.names import RIVALS, SHARD_STAGES, STAGES, chosen
from ser.benchmarks.options import BenchmarkOptions
from ser.benchmarks.parts import has_images, without_work
from ser.benchmarks.timing import measure
from ser.errors import SerError
from ser.shards.index import build_index, named_shards
from ser.training.device import network_dtype, set_deterministic

FEWEST_CLIPS = 256
"""Of made shards; so many batches of the largest size at least."""

BATCHES = 4

SHARDS = 8


def build_options(config, device, *, batches, seconds, stages, against, repeats, shards=()):
    """BenchmarkOptions from what a person gave; stages: None for all that the config has.

    Raises SerError for an unknown name, a number out of bounds, shards that are not there, a stage that the config has
    not, and a rival that is not installed.
    """
    for option, value in (('--batch', min(batches)), ('--repeats', repeats)):
        if value < 1:
            raise SerError(f'{option} {value}: at least 1 is wanted')
    if not 0 < seconds <= config.data.max_seconds:
        raise SerError(f'--seconds {seconds:g}: more than 0 and at most data.max_seconds, {config.data.max_seconds:g}, '
                       'is wanted; for longer clips --set data.max_seconds=...')
    against = chosen('--against', against, RIVALS)
    if 'librosa' in against:
        against = chosen('--against', (*against, 'librosa-parallel'), RIVALS)
    if {'librosa', 'librosa-parallel'} & {*against}:
        check_librosa()
    if shards:
        named_shards(config.data.model_copy(update={'shards': tuple(shards)}))
    missing = without_work(config)
    if stages is None:
        stages = [stage for stage in STAGES if stage not in missing]
    stages = chosen('--stages', stages, STAGES)
    for stage in stages:
        if stage in missing:
            raise SerError(f'--stages {stage}: this config has no such work: {missing[stage]}')
    return BenchmarkOptions(without_weights(config), device, tuple(dict.fromkeys(batches)), float(seconds), stages,
                            against, config.run.threads, repeats, tuple(shards))


def without_weights(config):
    """`config` with published and given weights of its backbones off: they cost a download and change no time."""
    if not has_images(config):
        return config
    views = {}
    for name, view in config.model.views.items():
        if view is not None:
            off = {key: value for key, value in (('pretrained', False), ('weights', None))
                   if key in type(view.backbone).model_fields}
            view = view.model_copy(update={'backbone': view.backbone.model_copy(update=off)})
        views[name] = view
    return config.model_copy(update={'model': config.model.model_copy(update={'views': views})})


def start_device(config, device):
    """Threads and determinism as training has them."""
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    set_deterministic(config.run.deterministic)
    if device.type == 'cuda':
        torch.cuda.set_device(device)


def measure_all(options, say):
    """A Row for each case of `options`, by batch and stage. Raises SerError for shards that cannot be read."""
    with ExitStack() as stack:
        options = with_shards(options, stack, say)
        cases = cases_of(options)
        for name in options.against:
            if name not in {case.implementation for case in cases}:
                say(f'--against {name}: nothing to compare with in stages {", ".join(options.stages)} of this config')
        rows = measure(cases, options.repeats, options.device, say)
    add_percent(rows)
    if any('bytes' in row.extra for row in rows):
        say('the floor: bandwidth and matrix products')
        dtype = network_dtype(options.config.training.precision, options.device)
        add_floor(rows, measure_rates(options.device, dtype))
    return rows


def cases_of(options):
    """Every case, batch by batch, stages in their order, ser before its rivals."""
    from ser.benchmarks.data_cases import data_cases

    cases = [*front_end_cases(options), *model_cases(options), *data_cases(options)]
    names = ('ser', *RIVALS)
    return sorted(cases, key=lambda case: (options.batches.index(case.batch), STAGES.index(case.stage),
                                           names.index(case.implementation)))


def with_shards(options, stack, say):
    """`options` with shards to read and their clips' mean length, made into a temporary folder where none were given.

    Raises SerError for shards that cannot be indexed.
    """
    if not {*options.stages} & {*SHARD_STAGES}:
        return options
    if options.shards:
        rows = build_index(options.config.data.model_copy(update={'shards': options.shards})).rows
        lengths = [row.frames / row.sample_rate for row in rows if row.frames and row.sample_rate]
        return replace(options, shard_seconds=sum(lengths) / len(lengths) if lengths else options.seconds)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='ser-benchmark-'))
    count = max(FEWEST_CLIPS, BATCHES * max(options.batches))
    say(f'making shards of {count} clips')
    # As many shards as plain webdataset can share out evenly among its readers.
    make_shards(folder, count, options.seconds, options.config.data.sample_rate, shard_size=-(-count // SHARDS))
    return replace(options, shards=(folder,), shard_seconds=options.seconds)


def add_percent(rows):
    """`percent_of_step`: a clip's time beside that of ser's training step at the same batch, where it was measured."""
    steps = {row.batch: row.ms_per_clip for row in rows
             if (row.stage, row.implementation) == ('train_step', 'ser') and row.ms_per_clip}
    for row in rows:
        if row.error is None and row.batch in steps:
            row.extra['percent_of_step'] = 100.0 * row.ms_per_clip / steps[row.batch]
