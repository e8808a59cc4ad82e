"""Which files of a run are sent, and what of them is not."""

import json
import shutil

import pytest
import yaml

from ser.errors import SerError
from ser.evaluation.dimension_report import evaluate_run
from ser.evaluation.origin import origin_of
from ser.inference.hub_files import CLIPS, KNOWN, body, files_of, readme
from tests.test_dimension_report import FAST, make_run, no_pictures  # noqa: F401
from tests.tiny_run import tiny_run  # noqa: F401


def test_files_are_known_ones_and_clips_only_where_they_are_asked_for(tiny_run):  # noqa: F811
    files = files_of(tiny_run.path, 'me/mine')
    assert set(files) <= set(KNOWN) - set(CLIPS) and list(files)[-1] == 'README.md'
    assert set(files_of(tiny_run.path, 'me/mine', with_predictions=True)) - set(files) == {
        name for name in CLIPS if (tiny_run.path / name).is_file()}
    # Weights and pictures are sent from where they are.
    assert files['best.safetensors'] == tiny_run.path / 'best.safetensors'
    data = json.loads(files['data.json'])
    assert data['parts']['test']['clips'] == 16 and 'speakers' not in data['parts']['test'] and 'audit' not in data
    assert json.loads(files['test_metrics.json'])['origin']['corpora'][0]['clips']['test'] == 16


def test_configs_keep_names_and_lose_folders(tiny_run, tmp_path):  # noqa: F811
    run = shutil.copytree(tiny_run.path, tmp_path / 'run')
    config = yaml.safe_load((run / 'config.yaml').read_text())
    config['data']['shards'] = ['a=/mnt/my disk/a b', '~/b', 'data/c', r'C:\\d e\\f', '../of me/g']
    (run / 'config.yaml').write_text(yaml.safe_dump(config))
    sent = yaml.safe_load(files_of(run, 'me/mine')['config.yaml'])
    assert sent['data']['shards'] == ['a=a b', 'b', 'data/c', 'f', 'g']
    assert sent | {'data': None} == config | {'data': None}


def test_speakers_that_a_config_names_go_along_only_when_clips_do(tiny_run, tmp_path):  # noqa: F811
    run = shutil.copytree(tiny_run.path, tmp_path / 'run')
    config = yaml.safe_load((run / 'config.yaml').read_text())
    config['protocol'] = {'kind': 'speaker-kfold', 'folds': 2, 'groups': [['anna'], ['berta']]}
    (run / 'config.yaml').write_text(yaml.safe_dump(config))
    sent = yaml.safe_load(files_of(run, 'me/mine')['config.yaml'])
    assert sent['protocol'] == {'kind': 'speaker-kfold', 'folds': 2, 'groups': []}
    whole = files_of(run, 'me/mine', with_predictions=True)['config.yaml']
    assert yaml.safe_load(whole)['protocol'] == config['protocol']


def test_a_run_that_predicts_dimensions_has_a_readme_too(tmp_path, no_pictures):  # noqa: F811
    run = make_run(tmp_path / 'run')
    metrics = evaluate_run(run, FAST)
    text = readme(run, metrics | origin_of(run), 'me/mine', {'config.yaml', 'task.json', 'scatter.png'}, 'mit')
    front = yaml.safe_load(text.split('---\n')[1])
    assert front['metrics'] == ['ccc'] and front['model-index'][0]['name'] == 'mine'
    assert 'ser pull me/mine run' in text and '| task.json |' in text and '| predictions.csv |' not in text


def test_a_readme_without_its_front_matter():
    assert body('---\nlicense: mit\n---\n\n# Title\n\n---\n\nmore\n') == '# Title\n\n---\n\nmore\n'
    assert body('# Title\n') == '# Title\n'


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(SerError, match='not a run directory'):
        files_of(tmp_path, 'me/mine')
