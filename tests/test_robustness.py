"""The robustness sheet of a real small run: its clean row is the run's own score, to the bit."""

import csv
import json
import shutil

import numpy as np
import pytest

from ser.errors import SerError
from ser.reports.corruptions import corruptions
from ser.reports.robustness import SHEET, TABLE, read_sheet, robustness_sheet
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture(scope='module')
def made(tiny_run, tmp_path_factory):  # noqa: F811
    run = shutil.copytree(tiny_run.path, tmp_path_factory.mktemp('sheet') / 'run')
    return run, robustness_sheet(run, device='cpu')


def test_every_condition_is_a_row_of_the_same_clips(made):
    run, sheet = made
    metrics = json.loads((run / 'test_metrics.json').read_text())
    assert [row.condition for row in sheet.rows] == [one.name for one in corruptions()]
    clean = sheet.rows[0]
    assert (clean.ua, clean.wa) == (metrics['ua'], metrics['wa']) and clean.note == ''
    assert clean.ua_interval == tuple(metrics['ua_interval'])
    assert sheet.facts['changed_decisions'] == 0 and sheet.facts['largest_difference'] < 1e-6
    assert {row.n for row in sheet.rows} == {metrics['n']}
    for row in sheet.rows:
        assert 0 <= row.ua_interval[0] <= row.ua_interval[1] <= 1
    short, = (row for row in sheet.rows if row.condition == 'first 2 s')
    assert short.note == f"{metrics['n']} clips no longer than that" and short.ua == clean.ua


def test_it_is_written_and_read_back_equal(made):
    run, sheet = made
    assert read_sheet(run) == sheet
    with open(run / TABLE, newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['condition'], float(row['ua']), float(row['ua_low']), float(row['ua_high']), float(row['wa']),
             int(row['n']), row['note']) for row in rows] == [
        (row.condition, row.ua, *row.ua_interval, row.wa, row.n, row.note) for row in sheet.rows]


def test_another_batch_size_and_a_limit_change_no_clip(made, monkeypatch):
    run, sheet = made
    # Those with draws in them are enough.
    few = [one for one in corruptions() if one.name in ('clean', 'babble, 10 dB', 'white noise, 10 dB')]
    heard = {}

    def remember(one):
        def apply(clip, one=one):
            heard.setdefault((one.name, clip.key), []).append(one.apply(clip))
            return heard[one.name, clip.key][-1]
        return apply

    listening = [type(one)(one.name, one.group, remember(one), one.needs_babble) for one in few]
    monkeypatch.setattr('ser.reports.robustness.corruptions', lambda: listening)
    other = shutil.copytree(run, run.parent / 'other')
    text = (other / 'config.yaml').read_text()
    whole = robustness_sheet(other, device='cpu')
    (other / 'config.yaml').write_text(text.replace('evaluation:\n  batch_size: 32', 'evaluation:\n  batch_size: 3'))
    assert (other / 'config.yaml').read_text() != text
    again = robustness_sheet(other, device='cpu')
    limited = robustness_sheet(other, device='cpu', limit=5)
    assert [row.ua for row in again.rows] == [row.ua for row in whole.rows]
    assert [row.n for row in limited.rows] == [5] * 3
    assert limited.rows[0].note == f'5 of the {sheet.rows[0].n} test clips'
    for versions in heard.values():
        assert len(versions) in (2, 3) and all(np.array_equal(versions[0], version) for version in versions)


def test_a_run_without_a_sheet_has_none_and_a_broken_one_is_said(tiny_run, tmp_path):  # noqa: F811
    assert read_sheet(tiny_run.path) is None
    row = '"condition": "clean", "group": "clean", "ua": 0.5, "ua_interval": [0.4, 0.6], "wa": 0.5'
    for rows in ('{"condition": "clean"}', f'{{{row}, "n": "many"}}', ''):
        (tmp_path / SHEET).write_text(f'{{"rows": [{rows}], "facts": {{}}}}')
        with pytest.raises(SerError, match='no robustness sheet .*Delete it and make the sheet again'):
            read_sheet(tmp_path)
    with pytest.raises(SerError, match='limit 0: at least one clip'):
        robustness_sheet(tiny_run.path, limit=0)


def test_a_score_that_is_not_the_run_s_is_refused(made, tmp_path, monkeypatch):
    monkeypatch.setattr('ser.reports.robustness.corruptions', lambda: corruptions()[:1])
    run = shutil.copytree(made[0], tmp_path / 'run')
    metrics = json.loads((run / 'test_metrics.json').read_text())
    (run / 'test_metrics.json').write_text(json.dumps({**metrics, 'ua': 0.9999}))
    with pytest.raises(SerError, match=r'says UA 0\.9999, the predictions of the run give .* ser evaluate'):
        robustness_sheet(run, device='cpu')
    assert read_sheet(run) == made[1], 'a refusal changed the sheet that was there'
