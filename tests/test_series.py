"""Several runs in turn: finished ones stay, one that fails does not stop the others."""

import logging
from pathlib import Path

import pytest

from ser.config.load import load_config
from ser.errors import SerError
from ser.training import series
from ser.training.distributed import World
from ser.training.series import Item, Place, check_emotions, series_folder, split_lines, train_series
from tests.pretend import pretender
from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS

PLACE = Place(World(), None, 'told so')


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    shards = tmp_path_factory.mktemp('shards')
    make_shards(shards, n_speakers=6, clips_per=1)
    return load_config(('base',), ASSIGNMENTS, {'--shards': ('data.shards', [str(shards)])})


def items_of(config, folder, count=3):
    return [Item(f'seed {seed}', config.model_copy(update={'run': config.run.model_copy(update={'seed': seed})}),
                 folder / f'seed-{seed}') for seed in range(count)]


def test_each_is_trained_once_and_finished_ones_stay(config, tmp_path, monkeypatch):
    trained, seen = [], []
    monkeypatch.setattr(series, '_train', pretender(trained=trained))
    items = items_of(config, tmp_path)
    assert train_series(items[:2], PLACE) == (0, {})
    assert train_series(items, PLACE, lambda: seen.append(len(trained))) == (0, {})
    assert trained == ['seed 0', 'seed 1', 'seed 2'] and seen == [2, 2, 3]


def test_one_that_fails_does_not_stop_the_others(config, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(series, '_train', pretender(failing={'seed 1': SerError('no good')}))
    monkeypatch.setattr(logging.getLogger('ser'), 'propagate', True)
    with caplog.at_level(logging.WARNING, logger='ser'):
        code, failed = train_series(items_of(config, tmp_path), PLACE)
    assert (code, failed) == (0, {'seed 1': 'no good'})
    assert series.failure_lines(failed) == ['failed: seed 1: no good'] and 'seed 1 failed: no good' in caplog.text


def test_a_fault_of_all_runs_is_raised_at_the_second(config, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(series, '_train', pretender(failing={'seed': SerError('no good')}, trained=trained))
    with pytest.raises(SerError, match='no good'):
        train_series(items_of(config, tmp_path, 5), PLACE)
    assert trained == ['seed 0', 'seed 1']


def test_among_several_ranks_a_failure_is_raised_at_once(config, tmp_path, monkeypatch):
    class Two(World):
        def from_main(self, value):
            return value

    monkeypatch.setattr(series, '_train', pretender(failing={'seed 1': SerError('no good')}))
    with pytest.raises(SerError, match='no good'):
        train_series(items_of(config, tmp_path), Place(Two(0, 2), None, ''))


def test_a_signal_stops_the_series(config, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(series, '_train', pretender(codes={'seed 1': 130}, trained=trained))
    assert train_series(items_of(config, tmp_path), PLACE) == (130, {})
    assert trained == ['seed 0', 'seed 1']


def test_a_run_of_another_config_is_refused_before_anything_is_trained(config, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(series, '_train', pretender(trained=trained))
    items = items_of(config, tmp_path)
    train_series(items[2:], PLACE)
    other = config.model_copy(update={'training': config.training.model_copy(update={'epochs': 9})})
    with pytest.raises(SerError, match='training.epochs is 3 in this run and cannot change to 9'):
        train_series(items_of(other, tmp_path), PLACE)
    assert trained == ['seed 2']


def test_finished_runs_are_not_joined_by_runs_on_other_shards(config, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(series, '_train', pretender(trained=trained))
    train_series(items_of(config, tmp_path / 'out', 1), PLACE)
    # The same keys, speakers and split: only the audio is another.
    make_shards(tmp_path / 'other', n_speakers=6, clips_per=1, seconds=0.5)
    other = config.model_copy(update={'data': config.data.model_copy(update={'shards': (str(tmp_path / 'other'),)})})
    with pytest.raises(SerError, match='seed-0: began with other data \\(digest'):
        train_series(items_of(other, tmp_path / 'out', 2), PLACE)
    assert trained == ['seed 0']


def test_the_folder_holds_runs_of_one_kind(config, tmp_path):
    folder = tmp_path / 'out'
    assert series_folder(PLACE, config, str(folder), r'seed-\d+') == folder and not folder.exists()
    (folder / 'seed-1').mkdir(parents=True)
    (folder / 'seed-1' / 'config.yaml').touch()
    assert series_folder(PLACE, config, str(folder), r'seed-\d+') == folder
    for pattern in (r'fold-\d+', r'seed-\d+/fold-\d+'):
        with pytest.raises(SerError, match='holds the run seed-1, which is none of these'):
            series_folder(PLACE, config, str(folder), pattern)
    (folder / 'config.yaml').touch()
    with pytest.raises(SerError, match='already holds a run'):
        series_folder(PLACE, config, str(folder), r'seed-\d+')
    assert series_folder(PLACE, config, None, r'seed-\d+').parent == Path(config.run.folder)


def test_splits_are_described_without_training(config, tmp_path):
    index, names = series.labelled(config)
    bad = config.model_copy(update={'protocol': config.protocol.model_copy(
        update={'valid_fraction': 0.6, 'test_fraction': 0.6})})
    lines, failed = split_lines(index, names, [Item('good', config, tmp_path), Item('bad', bad, tmp_path)])
    assert lines[0].startswith('good: speaker (speaker-disjoint): ') and 'speakers in train/valid/test' in lines[0]
    assert list(failed) == ['bad'] and 'leave nothing to train on' in failed['bad']


def test_dimensions_do_not_go_with_every_series(config):
    check_emotions(config, '--seeds')
    dimensions = load_config(('base',), ['task.kind=dimensions', 'training.loss={kind: ccc}'])
    with pytest.raises(SerError, match="--seeds: goes with task.kind 'emotion'; of 'dimensions' train single runs"):
        check_emotions(dimensions, '--seeds')
