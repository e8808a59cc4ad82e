import json
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ser.config.schema import Config
from ser.errors import SerError
from ser.training.run import RunDirectory, auxiliary_of, environment, new_run_path, open_run


def test_a_taken_directory_is_refused_and_nothing_is_created(tmp_path):
    path = new_run_path(Config().run, tmp_path / 'new')
    assert not path.exists()
    (tmp_path / 'config.yaml').write_text('')
    with pytest.raises(SerError, match='already holds a run. Continue it with --resume'):
        new_run_path(Config().run, tmp_path)
    with pytest.raises(SerError, match='is a file'):
        new_run_path(Config().run, tmp_path / 'config.yaml')


def test_two_runs_in_one_second_get_two_names(tmp_path):
    run = Config().run.model_copy(update={'folder': str(tmp_path)})
    first = new_run_path(run)
    first.mkdir()
    assert new_run_path(run) != first


HOLD = """
import sys, time
from ser.training.run import RunDirectory
from torch.multiprocessing import get_context
with RunDirectory(sys.argv[1]):
    child = get_context('fork').Process(target=time.sleep, args=(30,), daemon=True)
    child.start()
    print('held', flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_killed_whatever_its_readers_do(tmp_path):
    with subprocess.Popen([sys.executable, '-c', HOLD, str(tmp_path / 'run')], stdout=subprocess.PIPE,
                          text=True) as holder:
        assert holder.stdout.readline() == 'held\n'
        with pytest.raises(SerError, match='another process is writing there'), RunDirectory(tmp_path / 'run'):
            pass
        holder.kill()
        holder.wait()
        with RunDirectory(tmp_path / 'run'):
            pass


def test_what_is_created_reads_back(tmp_path):
    with RunDirectory(tmp_path / 'run') as run:
        task = SimpleNamespace(names=('sad', 'angry'), auxiliary={'gender': ('female', 'male')}, facts=lambda: None)
        run.write_facts(task, {'digest': 'x'}, lambda path: path.write_text('key\n'))
        run.create(Config(), environment('cpu', 'asked for', 1))
        logging.getLogger('ser').warning('one line')
    config, names = open_run(tmp_path / 'run')
    assert config == Config() and names == ('sad', 'angry')
    assert auxiliary_of(tmp_path / 'run') == {'gender': ('female', 'male')}
    assert not (tmp_path / 'run' / 'task.json').exists()
    assert json.loads((tmp_path / 'run' / 'environment.json').read_text())['packages']['torch']
    assert 'one line' in (tmp_path / 'run' / 'train.log').read_text()


def test_rows_after_the_resumed_epoch_are_dropped(tmp_path):
    with RunDirectory(tmp_path / 'run') as run:
        run.write_metrics([{'epoch': epoch, 'steps': 5, 'valid_ccc': 0.5} for epoch in (1, 2, 3)])
        run.truncate_metrics(2)
        assert [row['epoch'] for row in run.read_metrics()] == ['1', '2']
        assert run.read_metrics()[1] == {'epoch': '2', 'steps': '5', 'valid_ccc': '0.5'}
        run.truncate_metrics(0)
        assert run.read_metrics() == []


def test_rows_of_an_earlier_version_stay_and_gain_the_new_columns(tmp_path):
    with RunDirectory(tmp_path / 'run') as run:
        run.write_metrics([{'epoch': 1, 'best': 1}])
        run.write_metrics([*run.read_metrics(), {'epoch': 2, 'nonfinite_steps': 3, 'best': 0}])
        assert run.read_metrics() == [{'epoch': '1', 'best': '1', 'nonfinite_steps': ''},
                                      {'epoch': '2', 'best': '0', 'nonfinite_steps': '3'}]


@pytest.mark.parametrize('labels', ['{', '["one"]', '[1, 2]'])
def test_a_folder_that_is_no_run_is_refused(tmp_path, labels):
    with pytest.raises(SerError, match='not a run directory'):
        open_run(tmp_path)
    (tmp_path / 'config.yaml').write_text('{}')
    (tmp_path / 'labels.json').write_text(labels)
    with pytest.raises(SerError, match=r'labels\.json'):
        open_run(tmp_path)


def test_a_folder_that_is_not_there_is_said_with_the_run_that_may_be_meant(tmp_path, monkeypatch):
    def told(path):
        with pytest.raises(SerError, match=': no such folder') as caught:
            open_run(path)
        return str(caught.value)

    made = 'Runs are made by python -m ser.train, or fetched by ser pull OWNER/NAME OUT'
    assert told(tmp_path / 'nowhere' / 'mine') == f'{tmp_path}/nowhere/mine: no such folder. {made}'
    runs = tmp_path / 'runs'
    for name in ('mine', 'other'):
        (runs / name).mkdir(parents=True)
        (runs / name / 'config.yaml').touch()
    os.utime(runs / 'mine', (1, 1))
    assert told(runs / 'mien').endswith(f": no such folder. Did you mean '{runs / 'mine'}'?")
    assert told(runs / 'xyz').endswith(f': no such folder. There are runs near it, such as {runs / "other"}')
    monkeypatch.chdir(tmp_path)
    assert told('mine') == "mine: no such folder. Did you mean 'runs/mine'?"


def test_a_run_is_unfinished_from_its_config_to_its_scores_where_it_was_trained(tmp_path):
    run = RunDirectory(tmp_path)
    # As fetched from elsewhere, with or without scores.
    (tmp_path / 'config.yaml').touch()
    assert not run.unfinished
    (tmp_path / 'environment.json').touch()
    assert run.unfinished
    (tmp_path / 'test_metrics.json').touch()
    assert not run.unfinished


def test_a_place_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(SerError, match='cannot be made'), RunDirectory(tmp_path / 'file' / 'run'):
        pass


def test_scores_can_be_made_again_only_where_all_that_they_come_from_is_there(tmp_path):
    run = RunDirectory(tmp_path)
    for name in ('predictions.csv', 'split.csv', 'data.json', 'labels.json', 'metrics.csv'):
        assert not run.scorable
        (tmp_path / name).write_text('')
    # As earlier versions left them; a calibration needs what it was fitted to.
    assert run.scorable
    (tmp_path / 'calibration.json').write_text('')
    assert not run.scorable
    (tmp_path / 'predictions-validation.csv').write_text('')
    assert run.scorable
