"""The page of a run: every number is that of its file, hostile names are only shown, what is missing is said."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from ser.errors import SerError
from ser.evaluation.folders import without_folders
from ser.evaluation.predictions import read_csv
from ser.evaluation.repeats import pool_seeds
from ser.evaluation.report import pool_folds
from ser.reports.group_sections import _all
from ser.reports.page import PAGE, page_path, run_page
from ser.reports.ranking import rankings
from tests.page_reading import Page, cells, check_against_files
from tests.page_runs import HOSTILE, scored, unplotted, whole_run
from tests.test_dimension_report import make_run as make_dimensions
from tests.test_report import FAST

SECTIONS = ['Contents', 'Score', 'What compares with this score', 'Confusion matrix', 'Classes', 'Learning curves',
            'ROC and precision-recall', 'Clips per class and part', 'Speakers', 'Groups', 'Robustness', 'Confidence',
            'Clips to listen to', 'Throughput', 'Data', 'Config', 'Environment']


def read(path, **options):
    text, missing = run_page(path, **options)
    return Page(text.removeprefix('<!doctype html>\n')), missing


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return whole_run(tmp_path_factory.mktemp('page') / f'run {HOSTILE.replace("/", "")}')


@pytest.fixture(scope='module')
def page(run):
    return read(run)[0]


def test_sections_are_there_in_order(page):
    assert page.titles == SECTIONS


def test_every_number_with_a_place_stands_in_its_file_with_all_digits(page, run):
    assert check_against_files(page, run) > 80
    files = {(of or '').partition('#')[0] for of, _, _ in page.values}
    assert {'test_metrics.json', 'confusion_matrix.csv', 'metrics.csv', 'data.json', 'predictions.csv',
            'split.csv'} <= files


def test_nothing_of_the_files_is_left_out(page, run):
    counts = {way: float(value) for way, value in cells(run / 'confusion_matrix.csv').items()
              if not way.endswith('/label')}
    assert {way: float(values[0]) for way, values in page.of('confusion_matrix.csv').items()} == counts
    epochs = {way: float(value) for way, value in cells(run / 'metrics.csv').items()}
    assert {way: float(values[0]) for way, values in page.of('metrics.csv').items() if way} == epochs
    shown = page.of('test_metrics.json')
    metrics = json.loads((run / 'test_metrics.json').read_text())
    for key in ('ua', 'wa', 'macro_f1', 'weighted_f1', 'log_loss', 'chance', 'ua_interval/0', 'wa_interval/1'):
        assert key in shown
    assert sum(way.startswith('per_class/') for way in shown) == 4 * len(metrics['per_class'])
    for side in ('before', 'after', 'change'):
        assert float(shown[f'calibration/test/{side}/ece'][0]) == metrics['calibration']['test'][side]['ece']


def test_shown_texts_are_the_numbers_rounded(page):
    for _, value, text in page.values:
        if text.endswith(' %') and not math.isnan(float(value)):
            assert float(text.removesuffix(' %')) == pytest.approx(100 * float(value), abs=0.0501)


def test_computed_numbers_are_those_of_the_predictions(page, run):
    said = read_csv(run / 'predictions.csv')
    values = {float(value) for value in page.of('predictions.csv')['']}
    for one in rankings(said)[0]:
        assert {one.auc, one.ap} <= values
    right = np.equal(said.labels, said.predicted)
    for speaker in set(said.speakers):
        mine = np.array([one == speaker for one in said.speakers])
        per_class = [right[mine & np.array([label == name for label in said.labels])].mean() for name in said.names]
        assert any(value == pytest.approx(np.mean(per_class), abs=1e-12) for value in values)


def test_reliability_is_that_of_the_runs_own_table(page, run):
    with open(run / 'reliability.csv', newline='') as file:
        rows = [line.strip().split(',') for line in file][1:]
    shares = [float(row[-1]) for row in rows if row[0] == 'test' and row[-1]]
    values = {float(value) for value in page.of('predictions.csv')['']}
    assert len(set(shares)) > 4 and set(shares) <= values


def test_hostile_names_are_shown_and_nothing_else(page):
    assert page.text.count(HOSTILE) > 20
    tags = {tag for tag, _ in page.tags}
    assert {'script', 'img', 'link', 'iframe', 'form', 'input', 'base'}.isdisjoint(tags)
    for tag, given in page.tags:
        assert not [name for name in given if name.startswith('on')], tag
        assert given.get('href', '#').startswith('#') and 'src' not in given


def test_accessible_structure(page):
    ids = [given['id'] for _, given in page.tags if 'id' in given]
    assert len(ids) == len(set(ids))
    for tag, given in page.tags:
        if tag == 'section':
            assert given['aria-labelledby'] in ids
        if tag == 'svg':
            assert given.get('role') == 'img' or given.get('aria-hidden') == 'true'
    tags = [tag for tag, _ in page.tags]
    assert tags.count('h1') == 1 and tags.count('table') == tags.count('caption') and tags.count('main') == 1


def test_no_column_is_without_a_name(page):
    _, *heads = page.source.split('<th scope="col"')
    assert len(heads) > 40 and not [head for head in heads if head.partition('>')[2].startswith('</th>')]
    assert 'recall, drawn' in page.text and 'UA, interval' in page.text


def test_no_folder_of_this_machine_is_shown(tmp_path):
    run = scored(tmp_path / 'run')
    config = yaml.safe_load((run / 'config.yaml').read_text())
    config['data'] = {'shards': ['/mnt/of-me/corpora/ravdess', 'data/mine']}
    (run / 'config.yaml').write_text(yaml.safe_dump(config))
    (run / 'command.txt').write_text("/home/me/venv/bin/python -m ser.train --shards '/mnt/of me/ravdess' data/mine\n")
    for name in ('data.json', 'test_metrics.json'):
        facts = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps(facts | {'notes': ['/home/me/list.csv: 2 clips left out']}))
    page, missing = read(run)
    assert not [folder for folder in ('/mnt', 'of-me', 'of me', '/home', 'venv', str(tmp_path)) if folder in page.text]
    assert 'python -m ser.train --shards ravdess data/mine' in page.text and '- ravdess\n' in page.text
    assert 'list.csv: 2 clips left out' in page.text
    # Who makes the page is told where the shards were looked for.
    assert any('/mnt/of-me/corpora/ravdess' in line for line in missing)


def test_the_same_run_makes_the_same_page(run):
    assert run_page(run)[0] == run_page(run)[0]


def test_what_is_missing_is_said_in_its_section(tmp_path):
    run = scored(tmp_path / 'run')
    for name in ('metrics.csv', 'split.csv', 'data.json'):
        (run / name).unlink()
    page, missing = read(run)
    said = dict(line.split(': ', 1) for line in missing)
    assert said['Learning curves'] == said['Throughput'] == 'metrics.csv is missing.'
    assert said['Clips per class and part'] == 'split.csv is missing.' and said['Data'] == 'data.json is missing.'
    assert said['Environment'] == 'environment.json is missing.' and said['Robustness'] == (
        f'Not measured; ser report {run} --robustness does.')
    assert 'no shards are named' in said['Groups'] and 'not at hand' in said['Clips to listen to']
    assert all(without_folders(text) in page.text for text in said.values())
    (run / 'predictions.csv').unlink()
    said = dict(line.split(': ', 1) for line in read(run)[1])
    assert {said[name] for name in ('ROC and precision-recall', 'Speakers', 'Groups', 'Confidence')} == {
        'predictions.csv is missing.'}


def test_a_run_without_calibration_says_so(tmp_path):
    page, _ = read(scored(tmp_path / 'run'))
    assert 'There is no calibration.json here' in page.text and 'temperature' not in page.text


def test_dimensions_have_a_page_of_their_kind(tmp_path):
    run = scored(tmp_path / 'run', make_dimensions)
    page, _ = read(run)
    assert page.titles[3:5] == ['Dimensions', 'Predictions against the truth'] and 'Confidence' not in page.titles
    assert check_against_files(page, run) > 30 and {'Robustness', 'Clips to listen to'}.isdisjoint(page.titles)
    shown = page.of('test_metrics.json')
    metrics = json.loads((run / 'test_metrics.json').read_text())
    assert float(shown['mean_ccc'][0]) == metrics['mean_ccc']
    assert sum(way.endswith('/ccc') for way in shown) == len(metrics['per_dimension'])


def test_folds_and_seeds_have_their_tables(tmp_path):
    with unplotted():
        for seed in (0, 1):
            folds = [scored(tmp_path / f'seed-{seed}' / name, test=tuple(who))
                     for name, who in (('fold-1', 'stu'), ('fold-2', 'vwx'))]
            pool_folds(folds, tmp_path / f'seed-{seed}', FAST)
        pool_seeds([tmp_path / 'seed-0', tmp_path / 'seed-1'], tmp_path, FAST)
    folds, _ = read(tmp_path / 'seed-0')
    assert folds.titles[3] == 'Folds' and check_against_files(folds, tmp_path / 'seed-0') > 40
    seeds, missing = read(tmp_path)
    assert seeds.titles[3] == 'Seeds' and check_against_files(seeds, tmp_path) > 40
    assert 'the mean of the probabilities of 2 seeds' in seeds.text
    assert any(line.startswith('Learning curves: Each run inside') for line in missing)


def test_the_tick_beside_speakers_and_groups_is_of_the_predictions_that_they_are_of():
    metrics = {'ua': 0.5, 'ensemble': {'ua': 0.7}}
    for kind, tick in (('seeds', 0.7), ('ensemble', 0.5), ('run', 0.5)):
        assert _all(SimpleNamespace(kind=kind, of_dimensions=False, metrics=metrics)) == tick


def test_a_class_without_test_clips(tmp_path):
    page, _ = read(scored(tmp_path / 'run', names=('neutral', 'happy', 'never'), classes=('neutral', 'happy')))
    assert 'no test clip is never' in page.text and 'Without clips of their own, or without others: never' in page.text


def test_where_pages_go_and_what_refuses(tmp_path):
    run = scored(tmp_path / 'run')
    assert page_path(run) == run / PAGE and page_path(run, tmp_path / 'x.html') == tmp_path / 'x.html'
    with pytest.raises(SerError, match=r'is a folder\. Name a file'):
        page_path(run, tmp_path)
    with pytest.raises(SerError, match='--clips 2: the shards'):
        run_page(run, clips=2)
    with pytest.raises(SerError, match='no such shards'):
        run_page(run, shards=[str(tmp_path / 'gone')])
