"""`ser report` on a run of the real trainer: a page with clips to listen to, and every refusal."""

import json
import shutil
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from ser.report import main
from ser.reports.clip_sections import clips_section
from ser.reports.exemplars import Exemplar
from ser.reports.robustness import SHEET, Row
from tests.page_reading import Page, check_against_files
from tests.page_runs import scored
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture(scope='module')
def run(tiny_run, tmp_path_factory):  # noqa: F811
    path = tmp_path_factory.mktemp('report') / 'run'
    shutil.copytree(tiny_run.path, path)
    return path


def refused(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith('error: ') and said.count('\n') == 1
    return said


def test_a_page_with_groups_and_clips(run, capsys):
    assert main([str(run), '--clips', '1', '--device', 'cpu']) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f'{run}/report.html: written, ') and said[1] == (
        f'Robustness: Not measured; ser report {run} --robustness does.')
    page = Page((run / 'report.html').read_text().removeprefix('<!doctype html>\n'))
    assert check_against_files(page, run) > 60
    sounds = [given for tag, given in page.tags if tag == 'audio']
    assert 1 <= len(sounds) <= 3 and all(given['src'].startswith('data:audio/') for given in sounds)
    pictures = [given for tag, given in page.tags if tag == 'img']
    assert pictures and all(given['src'].startswith('data:image/png;base64,') and given['alt'] for given in pictures)
    assert 'By gender' in page.text or 'gender' in page.text


def test_a_sheet_that_is_there_is_shown(run, tmp_path):
    copy = tmp_path / 'run'
    shutil.copytree(run, copy)
    metrics = json.loads((copy / 'test_metrics.json').read_text())
    rows = (Row('clean', 'clean', metrics['ua'], (0.1, 0.9), metrics['wa'], 8),
            Row('white noise, 10 dB', 'white noise', 0.125, (0.0, 0.5), 0.25, 8, 'a <note>'))
    facts = {'clips': 8, 'test_clips': 16, 'interval_method': 'clip bootstrap'}
    (copy / SHEET).write_text(json.dumps({'facts': facts, 'rows': [asdict(row) for row in rows]}))
    assert main([str(copy), '--clips', '0', '--out', str(tmp_path / 'sub' / 'page.html')]) == 0
    page = Page((tmp_path / 'sub' / 'page.html').read_text().removeprefix('<!doctype html>\n'))
    assert page.of('robustness.json')['rows/1/ua'] == ['0.125'] and 'a <note>' in page.text
    assert '8 of 16 test clips were drawn' in page.text and 'None were asked for' in page.text
    assert check_against_files(page, copy) > 60 and not [tag for tag, _ in page.tags if tag == 'audio']


def test_a_sheet_of_another_test_is_not_shown(run, tmp_path):
    copy = tmp_path / 'run'
    shutil.copytree(run, copy)
    metrics = json.loads((copy / 'test_metrics.json').read_text())
    row = Row('clean', 'clean', metrics['ua'] + 0.01, (0.1, 0.9), metrics['wa'], 16)
    (copy / SHEET).write_text(json.dumps({'facts': {'clips': 16, 'test_clips': 16}, 'rows': [asdict(row)]}))
    assert main([str(copy), '--clips', '0']) == 0
    page = Page((copy / 'report.html').read_text().removeprefix('<!doctype html>\n'))
    assert not page.of('robustness.json') and 'robustness.json is of another test than test_metrics.json' in page.text


def test_a_clip_that_is_cut_off_for_listening_is_said_to_be():
    long, short = (Exemplar('key', None, 'happy', 'happy', 0.9, 0.9, 'clearest', 'data:audio/ogg;base64,', {}, seconds)
                   for seconds in (12.5, 10.0))
    of = clips_section(SimpleNamespace(calibration=None), (long, short)).render()
    assert of.count('the first 10 s here') == 1 and '12.50 s (the first 10 s here)' in of


def test_refusals_are_one_line(run, tmp_path, capsys):
    assert 'not a run directory' in refused(capsys, tmp_path)
    assert refused(capsys, f'{run}s') == f"error: {run}s: no such folder. Did you mean '{run}'?\n"
    assert 'is a folder' in refused(capsys, run, '--out', tmp_path)
    assert '0 or more' in refused(capsys, run, '--clips', '-1')
    assert '--limit goes with --robustness' in refused(capsys, run, '--limit', '3')
    assert 'no such shards' in refused(capsys, run, '--shards', tmp_path / 'none')
    plain = scored(tmp_path / 'plain')
    assert '--clips 2: the shards' in refused(capsys, plain, '--clips', '2')
    text = (plain / 'metrics.csv').read_text()
    (plain / 'metrics.csv').write_text(text.replace('1.5', 'x'))
    assert 'a number is wanted' in refused(capsys, plain)
    assert not (plain / 'report.html').exists()
