"""The network's cases: real training steps, with and without their features."""

from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch

from ser.benchmarks.clips import make_shards
from ser.benchmarks.model_cases import fetched, model_cases, trainer_of
from ser.benchmarks.timing import measure
from ser.config.load import load_config
from ser.errors import SerError
from tests.tiny_benchmark import no_long_warm_up, tiny_options  # noqa: F401

STAGES = ('model_forward', 'train_step', 'train_from_shards')


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, 48, 0.3, 16000)
    return (str(folder),)


@pytest.mark.slow
def test_every_case_runs(shards, caplog):
    options = tiny_options(STAGES, ['cached'], shards=shards)
    cases = model_cases(options)
    assert [(case.stage, case.implementation) for case in cases] == [
        ('model_forward', 'ser'), ('train_step', 'ser'), ('train_step', 'cached'), ('train_from_shards', 'ser'),
        ('train_from_shards', 'cached')]
    rows = measure(cases, 1, options.device, lambda line: None)
    assert [row.error for row in rows] == [None] * 5
    forward, step, cached, whole, whole_cached = rows
    assert forward.clips == 4 and whole.clips == whole_cached.clips == 32
    assert step.extra['flops'] == 3 * forward.extra['flops'] > 0
    assert 0 <= whole.extra['data_wait'] <= 1 and cached.extra == whole_cached.extra == {}
    assert not [record for record in caplog.records if record.levelname != 'INFO']


def test_a_step_trains_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = tiny_options(['train_step'])
    case, = model_cases(options)
    with ExitStack() as stack:
        trainer = trainer_of(options, 4, stack)
        folder = trainer.run.path.parent
        before = [parameter.clone() for parameter in trainer.model.parameters()]
        trainer.step([fetched(options, 4, trainer)])
        assert trainer.progress.global_step == 1 and not trainer.run.path.exists()
        assert any(not torch.equal(old, new) for old, new in zip(before, trainer.model.parameters(), strict=True))
        # Kept from saving in mid-measurement.
        assert trainer.config.training.checkpoint_minutes > 1e5 and trainer.config.training.accumulate == 1
    assert not folder.exists() and not list(tmp_path.iterdir()) and case.batch == 4


def test_cached_images_are_the_trainers_own_and_are_what_a_step_takes(monkeypatch):
    options = tiny_options(['train_step'])
    with ExitStack() as stack:
        trainer = trainer_of(options, 4, stack)
        plain, cached = fetched(options, 4, trainer), fetched(options, 4, trainer, cached=True)
        assert plain.views is None and sorted(cached.views) == ['cqt', 'mel']
        for name, image in trainer.views(plain.batch, plain.host).items():
            assert torch.equal(cached.views[name], image)
        monkeypatch.setattr(trainer.model, 'views', lambda *_: 1 / 0)
        trainer.step([cached])
        with pytest.raises(ZeroDivisionError):
            trainer.step([plain])


def test_readers_run_only_while_they_are_timed(shards, monkeypatch):
    from ser.benchmarks import model_cases as module

    counted = []
    real = module._read_and_train
    monkeypatch.setattr(module, '_read_and_train', lambda trainer, steps: counted.append(steps) or real(trainer, steps))
    options = tiny_options(['train_from_shards'], assignments=['data.workers=1'], shards=shards)
    case, = model_cases(options)
    with ExitStack() as stack:
        call = case.start(stack)
        took = call()
        assert took.seconds > 0 and counted == [8]
        assert not torch.multiprocessing.active_children()


@pytest.mark.slow
def test_what_prepare_refuses_is_a_row(shards):
    options = tiny_options(['train_step', 'train_from_shards'], batches=(1, 64), shards=shards)
    rows = measure(model_cases(options), 1, options.device, lambda line: None)
    errors = {(row.stage, row.batch): row.error for row in rows}
    assert 'micro-batches of at least 2 clips' in errors['train_step', 1]
    assert 'are fewer than training.batch_size 64' in errors['train_from_shards', 64]
    assert errors['train_step', 64] is None


def test_a_model_that_is_fitted_at_once_has_no_step(shards):
    options = tiny_options(['train_step'], shards=shards)
    config = load_config(('majority',), ['data.sample_rate=16000'])
    with ExitStack() as stack, pytest.raises(SerError, match="model.kind 'majority' is fitted at once"):
        trainer_of(replace(options, config=config), 4, stack, shards)
