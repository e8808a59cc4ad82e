"""The page of a comparison: every number is that of the comparison, and of the runs' own files."""

import json
import shutil

import numpy as np
import pytest

from ser.compare import main
from ser.evaluation.compare import compare
from ser.evaluation.predictions import read_csv
from ser.evaluation.repeats import pool_seeds
from ser.evaluation.sides import read_side
from ser.reports.compare_page import FACTS, comparison_page
from ser.reports.compare_sections import confusion_shares, recalls
from tests.page_reading import Page, ways
from tests.page_runs import HOSTILE, scored, unplotted, whole_run
from tests.test_report import FAST, make_run


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('compare')
    whole_run(folder / 'first')
    shutil.copytree(folder / 'first', folder / 'second')
    text = (folder / 'second' / 'predictions.csv').read_text()
    right = next(line for line in text.splitlines() if line.split(',')[2:4] == ['neutral', 'neutral'])
    key, speaker, label, _, *rest = right.split(',')
    # One clip is now wrong: the first two probabilities change places.
    wrong = ','.join([key, speaker, label, 'a/b ~ c', rest[1], rest[0], *rest[2:]])
    (folder / 'second' / 'predictions.csv').write_text(text.replace(right, wrong))
    return folder / 'first', folder / 'second'


def read(paths, facts=None):
    return Page(comparison_page(paths, facts).removeprefix('<!doctype html>\n'))


def test_every_number_is_that_of_the_comparison(runs):
    facts = compare(runs)
    page, held = read(runs, facts), ways(facts)
    shown = page.of(FACTS)
    for way, values in shown.items():
        assert {float(value) for value in values} == {float(held[way])}, way
    assert {'comparisons/0/ua/difference', 'comparisons/0/wa/difference', 'comparisons/0/mcnemar/p',
            'comparisons/0/first/ua', 'comparisons/0/other/wa'} <= set(shown)
    assert facts['comparisons'][0]['verdict'] in page.text and '[' in page.text


def test_classes_confusions_and_clips_are_those_of_the_predictions(runs):
    page, sides = read(runs), [read_side(run) for run in runs]
    values = [float(value) for value in page.of('predictions.csv')['']]
    for side in sides:
        assert set(recalls(side).values()) <= set(values)
    change = confusion_shares(sides[1]) - confusion_shares(sides[0])
    assert set(change.ravel().tolist()) <= set(values) and (change != 0).sum() == 2
    first, second = (np.equal(read_csv(run / 'predictions.csv').labels, read_csv(run / 'predictions.csv').predicted)
                     for run in runs)
    for count in ((first & second).sum(), (first & ~second).sum(), (~first & ~second).sum()):
        assert count in values
    metrics = json.loads((runs[0] / 'test_metrics.json').read_text())['calibration']['test']
    for side in ('before', 'after'):
        assert any(value == pytest.approx(metrics[side]['ece'], abs=1e-12) for value in values)


def test_sections_and_hostile_names(runs):
    page = read(runs)
    assert page.titles == ['Contents', 'Verdict', 'Scores', 'Differences', 'Classes', 'Confusion',
                           'Answers clip by clip', 'Confidence']
    assert HOSTILE in page.text and {'img', 'script'}.isdisjoint(tag for tag, _ in page.tags)


def test_several_runs_other_tests_and_seeds(runs, tmp_path):
    other = make_run(tmp_path / 'other', test=tuple('xyz'), train=tuple('abc'))
    near = make_run(tmp_path / 'near', right=0.9)
    with unplotted():
        for seed in (0, 1):
            scored(tmp_path / 'seeds' / f'seed-{seed}')
        pool_seeds([tmp_path / 'seeds' / 'seed-0', tmp_path / 'seeds' / 'seed-1'], tmp_path / 'seeds', FAST)
    page = read([near, other, tmp_path / 'seeds'])
    assert 'other is not on the same test' in page.text and 'Answers clip by clip: other' not in page.titles
    assert 'Classes: seeds' in page.titles and 'seeds (mean of 2 seeds)' in page.text
    assert 'a clip is right in some of them' in page.text and 'None of them has a calibration.json' in page.text
    assert len(page.titles) == len(set(page.titles))


def test_runs_that_differ_in_signs_alone_have_sections_of_their_own(tmp_path):
    page = read([make_run(tmp_path / name) for name in ('a', 'run b', 'run-b')])
    ids = [given['id'] for _, given in page.tags if 'id' in given]
    assert len(ids) == len(set(ids)) and 'Classes: run-b (2)' in page.titles


COST = {'system': 'crnn', 'parameters': 1234567, 'gmac': 0.5, 'clips_per_second': 81.5, 'seconds': 9.0, 'runs': 1}


def test_costs_are_there_where_they_are_known(runs):
    facts = compare(runs, lambda path: COST if path == runs[0] else dict.fromkeys(COST))
    page, held = read(runs, facts), ways(facts)
    assert page.titles[4] == 'Costs' and 'Parameters and GMAC (1e9 multiply-accumulates' in page.text
    shown = {way: values for way, values in page.of(FACTS).items() if way.startswith('systems/')}
    assert {way: float(value) for way, (value,) in shown.items()} == {way: held[way] for way in (
        'systems/0/parameters', 'systems/0/gmac', 'systems/0/clips_per_second', 'systems/0/ua', 'systems/1/ua')}
    assert '1,234,567' in page.text and page.text.count('n/a') >= 4


def test_no_folder_is_shown_and_runs_called_alike_are_told_apart(tmp_path):
    page = read([make_run(tmp_path / name / 'run') for name in ('a', 'b')])
    assert 'a/run against b/run' in page.text and str(tmp_path) not in page.text


def test_the_option_of_the_command(runs, tmp_path, capsys):
    assert main([*map(str, runs), '--page', str(tmp_path / 'page.html'), '--json', str(tmp_path / 'facts.json')]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f'{tmp_path / "facts.json"}: written',
                                                         f'{tmp_path / "page.html"}: written']
    assert (tmp_path / 'page.html').read_text() == comparison_page(runs, json.loads(
        (tmp_path / 'facts.json').read_text()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('ser.training.cost.system_cost', lambda path: COST)
        assert main([*map(str, runs), '--cost', '--page', str(tmp_path / 'costs.html')]) == 0
    assert 'Costs' in Page((tmp_path / 'costs.html').read_text().removeprefix('<!doctype html>\n')).titles
    assert main([*map(str, runs), '--page', str(tmp_path)]) == 2
    assert f'--page {tmp_path}: is a folder. Name a file' in capsys.readouterr().err
