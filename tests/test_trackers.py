"""Trackers: the numbers of metrics.csv read back from each tracker's own files."""

import csv
import json
import logging
import struct
import time
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
import torch
from matplotlib.image import imread, imsave

from ser.config.load import load_config
from ser.config.run import NoTracker as NoTrackerConfig
from ser.config.run import TensorBoardTracker, WandbTracker
from ser.errors import SerError
from ser.train import main
from ser.training import trackers
from ser.training.run import RunDirectory
from ser.training.trackers import NoTracker, check_tracker, run_name, score_numbers, start_tracker
from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS

METRICS = {'ua': 0.5, 'ua_interval': [0.4, 0.75], 'n': 12, 'speaker_disjoint': True, 'best_epoch': None,
           'protocol': 'speaker', 'per_class': {'sad': {'recall': 0.25, 'f1': None, 'support': 4}},
           'confusion_matrix': [[1, 2], [3, 4]], 'audit': {'leaks': 3}}
NUMBERS = {'test_ua': 0.5, 'test_ua_low': 0.4, 'test_ua_high': 0.75, 'test_n': 12, 'test_recall/sad': 0.25,
           'test_support/sad': 4}


def row(epoch, loss=None):
    return {'epoch': epoch, 'steps': 5 * epoch, 'train_loss': loss or 1 / (2 + epoch), 'lr': 1e-3 / epoch, 'best': 1}


def config(tracker):
    return load_config(('base',), [f'run.tracker={tracker}'])


def started(folder, tracker, rows=()):
    """The tracker of a run whose metrics.csv has these rows."""
    folder.mkdir(exist_ok=True)
    run = RunDirectory(folder)
    if rows:
        run.write_metrics(rows)
    return start_tracker(config(tracker), run)


@pytest.fixture(scope='module')
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp('picture') / 'confusion_matrix.png'
    imsave(path, np.random.default_rng(0).random((8, 6, 3)))
    return path


def scalars(folder):
    """tag -> {step: value} by TensorBoard's own reader, every step once."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / 'tensorboard'))
    events.Reload()
    found = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()['scalars']}
    assert all(len(dict(pairs)) == len(pairs) for pairs in found.values())
    return {tag: dict(pairs) for tag, pairs in found.items()}, events


def wandb_records(folder):
    """(run records, history rows, summary) of all offline files, in order."""
    # W&B's own process may still be writing when a run has ended.
    deadline = time.monotonic() + 60
    while True:
        files = [list(records_of(path)) for path in sorted(folder.glob('wandb/offline-run-*/*.wandb'))]
        if all(records and records[-1].HasField('exit') for records in files) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    records, summary = [record for of_file in files for record in of_file], {}
    for record in records:
        summary |= _items(record.summary.update)
    return ([record.run for record in records if record.HasField('run')],
            [_items(record.history.item) for record in records if record.HasField('history')], summary)


def records_of(path):
    """The records of a .wandb file, which is in leveldb's log format after 7 bytes of its own."""
    from wandb.proto import wandb_internal_pb2

    data, place, record = path.read_bytes(), 7, b''
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, size, kind = struct.unpack('<IHB', data[place:place + 7])
        record, place = record + data[place + 7:place + 7 + size], place + 7 + size
        # 1 is a whole record, 4 the last piece of one.
        if kind in (1, 4) and place <= len(data):
            yield wandb_internal_pb2.Record.FromString(record)
            record = b''


def _items(items):
    return {item.key or '/'.join(item.nested_key): json.loads(item.value_json) for item in items}


def test_without_a_tracker_nothing_happens(tmp_path):
    with started(tmp_path, '{kind: none}', [row(1)]) as tracker:
        assert type(tracker) is NoTracker
        tracker.log_epoch(row(2))
        tracker.log_test(METRICS, tmp_path / 'none.png')
    assert [path.name for path in tmp_path.iterdir()] == ['metrics.csv']
    check_tracker(NoTrackerConfig())


def test_tensorboard_holds_the_numbers_and_the_picture(tmp_path, picture):
    with started(tmp_path, '{kind: tensorboard}') as tracker:
        for epoch in (1, 2, 3):
            tracker.log_epoch({**row(epoch), 'lr/x0.1': 1e-4 / epoch})
        tracker.log_test(METRICS, picture)
    found, events = scalars(tmp_path)
    assert {name: steps[3] for name, steps in found.items() if name.startswith('test_')} == pytest.approx(NUMBERS)
    assert set(found) == {*row(1), 'lr/x0.1', *NUMBERS}
    for epoch in (1, 2, 3):
        assert {name: found[name][epoch] for name in row(1)} == pytest.approx(row(epoch))
    image, = events.Images('confusion_matrix')
    (tmp_path / 'again.png').write_bytes(image.encoded_image_string)
    np.testing.assert_allclose(imread(tmp_path / 'again.png'), imread(picture), atol=1 / 255)


def test_a_resumed_tensorboard_has_every_epoch_once(tmp_path):
    with started(tmp_path, '{kind: tensorboard}') as tracker:
        for epoch in (1, 2, 3):
            tracker.log_epoch(row(epoch))
    # Epoch 3 was told and then lost with the process: it is done again.
    with started(tmp_path, '{kind: tensorboard}', [row(1), row(2)]) as tracker:
        tracker.log_epoch(row(3, loss=9.0))
        tracker.log_epoch(row(4))
    loss = scalars(tmp_path)[0]['train_loss']
    assert loss == pytest.approx({1: row(1)['train_loss'], 2: row(2)['train_loss'], 3: 9.0, 4: row(4)['train_loss']})


def test_a_tracker_that_comes_late_is_told_what_it_missed(tmp_path):
    rows = [{name: str(value) for name, value in row(epoch).items()} for epoch in (1, 2)]
    with started(tmp_path, '{kind: tensorboard}', rows) as tracker:
        tracker.log_epoch(row(3))
    found, _ = scalars(tmp_path)
    assert found['lr'] == pytest.approx({epoch: row(epoch)['lr'] for epoch in (1, 2, 3)})


def test_wandb_offline_holds_the_numbers_the_config_and_the_picture_over_a_resume(tmp_path, picture, monkeypatch):
    # Nothing may be asked, not even the way to a host.
    monkeypatch.setenv('WANDB_BASE_URL', 'http://127.0.0.1:9')
    folder = tmp_path / 'seed-1'
    tracker = '{kind: wandb, project: emotions, entity: us, mode: offline}'
    with started(folder, tracker) as told:
        told.log_epoch(row(1))
        told.log_epoch(row(2))
    identity = json.loads((folder / 'tracker.json').read_text())['wandb']['id']
    with started(folder, tracker, [row(1)]) as told:
        told.log_epoch(row(2))
        told.log_epoch(row(3))
        told.log_test(METRICS, picture)
    assert json.loads((folder / 'tracker.json').read_text()) == {'wandb': {'id': identity, 'epoch': 3}}
    runs, history, summary = wandb_records(folder)
    assert {(run.run_id, run.project, run.entity, run.display_name) for run in runs} == {
        (identity, 'emotions', 'us', f'{tmp_path.name}/seed-1')}
    assert '"epochs"' in next(item.value_json for item in runs[0].config.update if item.key == 'training')
    epochs = [entry for entry in history if 'train_loss' in entry]
    assert [entry['_step'] for entry in epochs] == [1, 2, 3]
    for entry in epochs:
        assert {name: entry[name] for name in row(1)} == pytest.approx(row(entry['epoch']))
    assert {name: summary[name] for name in NUMBERS} == NUMBERS
    image, = folder.glob('wandb/offline-run-*/files/media/images/*.png')
    assert image.read_bytes() == picture.read_bytes()


class Broken:
    """A writer that fails from the second epoch on."""

    withdraws, state, told = False, {}, 'nowhere'

    def __init__(self, config, path, state, first):
        self.calls = []

    def write(self, epoch, numbers):
        self.calls.append(epoch)
        if epoch > 1:
            raise OSError('the host is gone\nand more')

    def finish(self, epoch, numbers, picture):
        raise AssertionError

    def close(self, failed):
        raise AssertionError


def test_one_that_fails_on_the_way_is_said_once_and_told_no_more(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(trackers.WRITERS, 'tensorboard', Broken)
    with caplog.at_level(logging.WARNING), started(tmp_path, '{kind: tensorboard}') as tracker:
        for epoch in (1, 2, 3):
            tracker.log_epoch(row(epoch))
        tracker.log_test(METRICS, tmp_path / 'x.png')
    assert tracker.writer.calls == [1, 2]
    said, = caplog.messages
    assert said == ('run.tracker: tensorboard failed (the host is gone) and is told nothing more; the run goes on, '
                    f"its numbers are in {tmp_path / 'metrics.csv'}")
    # Whoever resumes begins with what was not told.
    assert json.loads((tmp_path / 'tracker.json').read_text()) == {'tensorboard': {'epoch': 1}}


def test_one_that_cannot_start_is_refused(tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError('api_key not configured.')

    monkeypatch.setitem(trackers.WRITERS, 'wandb', fail)
    with pytest.raises(SerError) as error:
        started(tmp_path, '{kind: wandb}')
    assert str(error.value) == ('run.tracker: wandb cannot be started (api_key not configured). Mend that, '
                                'run.tracker.mode to offline, or set run.tracker.kind to none')
    (tmp_path / 'tensorboard').write_text('a file')
    with pytest.raises(SerError, match='tensorboard cannot be started .*tensorboard.*Mend that, or set run.tracker'):
        started(tmp_path, '{kind: tensorboard}')


@pytest.mark.parametrize(('tracker', 'extra'), [(TensorBoardTracker(), 'tensorboard'), (WandbTracker(), 'wandb')])
@pytest.mark.parametrize('spec', [None, ModuleSpec('a folder of this name', None)])
def test_a_missing_package_names_its_extra(tracker, extra, spec, monkeypatch):
    check_tracker(tracker)
    monkeypatch.setattr(trackers, 'find_spec', lambda name: spec)
    with pytest.raises(SerError) as error:
        check_tracker(tracker)
    assert f"kind '{extra}' needs a package that is not installed: pip install -e '.[{extra}]'" in str(error.value)


def test_a_broken_state_is_named(tmp_path):
    (tmp_path / 'tracker.json').write_text('[]')
    with pytest.raises(SerError, match=r'tracker.json: holds list.*Remove it: the tracker then starts afresh'):
        started(tmp_path, '{kind: tensorboard}')


def test_scores_have_names_of_their_own():
    assert score_numbers(METRICS) == NUMBERS
    told = score_numbers({'mean_ccc': 0.5, 'per_dimension': {'arousal': {'ccc': 0.25, 'ccc_interval': [0, 1]}}})
    assert told == {'test_mean_ccc': 0.5, 'test_ccc/arousal': 0.25}


def test_folds_and_seeds_are_named_after_their_folder(tmp_path):
    assert run_name(tmp_path / 'alone') == 'alone'
    assert run_name(tmp_path / 'try' / 'fold-02') == 'try/fold-02'
    assert run_name(tmp_path / 'try' / 'seed-1' / 'fold-02') == 'try/seed-1/fold-02'


@pytest.mark.slow
def test_a_training_tells_what_its_metrics_say(tmp_path, monkeypatch, capfd):
    make_shards(tmp_path / 'shards', n_speakers=6, clips_per=2)
    out, threads = tmp_path / 'run', torch.get_num_threads()
    arguments = ['--shards', str(tmp_path / 'shards'), '--out', str(out), '--set', *ASSIGNMENTS, 'training.epochs=2',
                 'training.optimizer.tiers={mel: 0.1}', 'training.schedule={kind: restarts, first_epochs: 2}',
                 'training.loss={kind: focal, contrastive: {weight: 0.2}}', 'augment.mixup.probability=0.5',
                 'run.tracker={kind: tensorboard}']
    with monkeypatch.context() as patch:
        patch.setitem(trackers.WRITERS, 'tensorboard', lambda *given: 1 / 0)
        assert main(arguments) == 2
    assert 'tensorboard cannot be started (division by zero)' in capfd.readouterr().err
    # The folder is no run yet: the same command goes on.
    assert not (out / 'config.yaml').exists() and main(arguments) == 0
    torch.set_num_threads(threads)
    found, events = scalars(out)
    with open(out / 'metrics.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    for number, told in enumerate(rows, start=1):
        for name, value in told.items():
            assert found[name][number] == pytest.approx(float(value), rel=1e-6)
        assert found['lr/x0.1'][number] == pytest.approx(float(told['lr']) / 10)
    metrics = json.loads((out / 'test_metrics.json').read_text())
    assert found['test_ua'] == pytest.approx({2: metrics['ua']})
    assert events.Images('confusion_matrix')
