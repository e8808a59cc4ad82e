"""One cell: kept while its weights are, scored on the row's own clips or on all of a set."""

import json
import shutil

import pytest

from ser.config.data import DataConfig
from ser.errors import SerError
from ser.inference.matrix_cells import DONE, WAITING, Cell, kept_cell, make_cell, weights_of
from ser.inference.matrix_plan import ShardSet
from ser.shards.index import build_index
from ser.training.run import open_run
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture
def tested(tiny_run):  # noqa: F811
    entries = (str(tiny_run.shards),)
    return ShardSet('test', entries, build_index(DataConfig(shards=entries)))


def test_a_cell_of_its_own_domain_is_the_runs_test_part(tiny_run, tested, tmp_path):  # noqa: F811
    config, _ = open_run(tiny_run.path)
    cell = make_cell(Cell('row', 'test', True), tmp_path / 'cell', tiny_run.path, tested, config)
    scored = json.loads((tiny_run.path / 'test_metrics.json').read_text())
    assert cell.status == DONE and cell.seconds > 0
    # The audit and what was trained on are told in the row's own card.
    own = {key: value for key, value in scored.items() if key not in ('notes', 'audit', 'calibration', 'origin')}
    assert {key: cell.metrics[key] for key in own} == own
    assert cell.metrics['calibration']['test'] == scored['calibration']['test']
    assert {path.name for path in (tmp_path / 'cell').iterdir()} == {
        'cell.json', 'test_metrics.json', 'predictions.csv', 'labels.json', 'confusion_matrix.csv',
        'confusion_matrix.png', 'README.md'}
    record = json.loads((tmp_path / 'cell' / 'cell.json').read_text())
    assert record == {'train': 'row', 'test': 'test', 'in_domain': True, 'weights': weights_of(tiny_run.path),
                      'digest': tested.index.digest, 'seconds': cell.seconds}


def test_a_cell_is_kept_while_it_is_whole_and_of_the_same_weights(tiny_run, tested, tmp_path):  # noqa: F811
    config, _ = open_run(tiny_run.path)
    begun, folder = Cell('row', 'test', True), tmp_path / 'cell'
    assert kept_cell(begun, folder, tiny_run.path) is begun
    made = make_cell(begun, folder, tiny_run.path, tested, config)
    assert kept_cell(begun, folder, tiny_run.path) == made
    run = tmp_path / 'run'
    shutil.copytree(tiny_run.path, run)
    (run / 'best.safetensors.sha256').write_text('0 best.safetensors\n')
    assert kept_cell(begun, folder, run).status == WAITING
    (folder / 'predictions.csv').unlink()
    assert kept_cell(begun, folder, tiny_run.path) is begun


def test_no_clip_of_the_set_in_the_test_part_is_an_error(tiny_run, tested, tmp_path):  # noqa: F811
    config, _ = open_run(tiny_run.path)
    empty = ShardSet('none', (), type(tested.index)((), (), tested.index.ignored, ()))
    with pytest.raises(SerError, match='no clip of none is in the test part of row'):
        make_cell(Cell('row', 'none', True), tmp_path / 'cell', tiny_run.path, empty, config)
