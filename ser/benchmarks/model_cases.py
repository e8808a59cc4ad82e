"""The cases of the network: its forward pass, the training step, and training from shards."""

import tempfile
import time
from pathlib import Path

import torch

from ser.benchmarks.clips import made_batch, make_shards
from ser.benchmarks.floor import network_work
from ser.benchmarks.timing import Case, Took, finish
from ser.errors import SerError
from ser.shards.stream import resolve_workers
from ser.training.distributed import World
from ser.training.evaluate import autocast
from ser.training.fit_once import fits_at_once
from ser.training.job import prepare
from ser.training.loop import Trainer
from ser.training.prefetch import Fetched
from ser.training.run import RunDirectory
from ser.training.warmup import warm_up

STEPS = {'cuda': 48}
"""Steps of one call of `train_from_shards`, by the device's type."""

FEWEST_STEPS = 8
"""The same on other devices."""

ENDLESS = 10**6


def model_cases(options):
    """The cases of this module's stages that `options` asks for."""
    cases = []
    for batch in options.batches:
        if 'model_forward' in options.stages:
            cases.append(_forward(options, batch))
        for stage, make in (('train_step', _train_step), ('train_from_shards', _from_shards)):
            if stage in options.stages:
                cases += [make(options, batch, name) for name in ('ser', 'cached') if options.wants(name)]
    return cases


def trainer_of(options, batch, stack, shards=None):
    """A Trainer of `batch` clips a step whose run directory stays empty; shards: to read, else a few made ones.

    Micro-batches are off, so that `batch` clips are on the device at once. Raises SerError for whatever `prepare`
    refuses, and for models that are not trained by steps.
    """
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='ser-benchmark-')))
    config = options.config
    if shards is None:
        # Never read, only counted: the split leaves about two thirds for training.
        make_shards(folder / 'shards', 64 + 3 * batch, 0.1, config.data.sample_rate, distinct=8)
        shards = (str(folder / 'shards'),)
    config = config.model_copy(update={
        'data': config.data.model_copy(update={'shards': shards, 'valid_shards': (), 'test_shards': (),
                                               'audit': 'quick'}),
        'training': config.training.model_copy(update={
            'batch_size': batch, 'accumulate': 1, 'epochs': ENDLESS, 'checkpoint_minutes': float(ENDLESS),
            'checkpoint_steps': None})})
    job = prepare(config, World(), options.device)
    if fits_at_once(job.model):
        raise SerError(f"model.kind '{config.model.kind}' is fitted at once: it has no step to measure. Name a system "
                       'that trains by steps, or --stages front_end')
    return Trainer(job, RunDirectory(folder / 'run'))


def fetched(options, batch, trainer, cached=False):
    """A made batch as a step takes it; cached: with its images on the device, so that no features are computed."""
    host = made_batch(batch, options.seconds, options.config.data.sample_rate, len(trainer.job.names))
    on_device = host.to(options.device)
    with torch.no_grad():
        return Fetched(on_device, host, 0.0, trainer.views(on_device, host) if cached else None)


def _step_work(options, batch, trainer, train):
    """The row's bytes and operations of the network of `trainer`."""
    views = fetched(options, batch, trainer, cached=True).views
    with autocast(trainer.device, trainer.dtype):
        return network_work(trainer.plain_network, views, batch, train).columns()


def _forward(options, batch):
    """Images to logits, as in evaluation."""
    held = {}

    def start(stack):
        trainer = held['trainer'] = trainer_of(options, batch, stack)
        stack.callback(held.clear)
        network, views = trainer.network.eval(), fetched(options, batch, trainer, cached=True).views

        def call():
            with torch.no_grad(), autocast(trainer.device, trainer.dtype):
                return network(views).logits

        return call

    return Case('model_forward', 'ser', batch, options.seconds, start,
                facts=lambda call: _step_work(options, batch, held['trainer'], train=False))


def _train_step(options, batch, implementation):
    """Features, forward, loss, backward, optimiser; `cached` without the features."""
    held = {}

    def start(stack):
        trainer = held['trainer'] = trainer_of(options, batch, stack)
        stack.callback(held.clear)
        given = [fetched(options, batch, trainer, implementation == 'cached')]
        return lambda: trainer.step(given)

    def facts(call):
        return _step_work(options, batch, held['trainer'], train=True) if implementation == 'ser' else {}

    return Case('train_step', implementation, batch, options.seconds, start, facts=facts)


def _from_shards(options, batch, implementation):
    """Training as it runs: readers, copy, step, readers started anew for each call but outside its time.

    `cached` takes as many steps on images that lie on the device.
    """
    held = {}
    steps = STEPS.get(options.device.type, FEWEST_STEPS)

    def start(stack):
        trainer = held['trainer'] = trainer_of(options, batch, stack, options.shards)
        stack.callback(held.clear)
        if implementation == 'cached':
            given = [fetched(options, batch, trainer, cached=True)]

            def train():
                for _ in range(steps):
                    trainer.launch(given)
                trainer.settle()

            return train

        warm_up(trainer.job, options.device)

        def call():
            took, held['data_wait'] = _read_and_train(trainer, steps)
            return Took(took)

        return call

    def facts(call):
        if implementation == 'cached':
            return {}
        return {'data_wait': held['data_wait'], **_step_work(options, batch, held['trainer'], train=True)}

    return Case('train_from_shards', implementation, batch, options.shard_seconds, start, clips=batch * steps,
                facts=facts)


def _read_and_train(trainer, steps):
    """(seconds of `steps` steps from shards, share of them spent waiting for data), as things are in mid-epoch."""
    data = trainer.config.data
    # What readers prepared before the clock started would hide that they are too slow.
    ahead = data.prefetch * resolve_workers(data.workers, ENDLESS, on_cpu=trainer.device.type == 'cpu')
    with trainer.job.train_stream((0, 0)) as stream:
        stream.start()
        batches = iter(trainer.device_batches(stream))
        for _ in range(ahead):
            trainer.step([next(batches)])
        finish(trainer.device)
        started, waited = time.perf_counter(), 0.0
        for _ in range(steps):
            given = next(batches)
            waited += given.waited
            trainer.launch([given])
        trainer.settle()
        finish(trainer.device)
        took = time.perf_counter() - started
    return took, waited / took
