"""The ablation end to end on a small corpus: variants, table, failures, kills and refusals."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ser.ablate import main
from ser.training.ablation import read_variant
from tests.tiny_corpora import BOTH, ONCE, make_corpus, run_main, stamps

ROOT = Path(__file__).resolve().parent.parent
VARIANTS = {'plain': 'training: {clip_norm: 1.0}', 'residual': 'model: {head: {kind: mlp_residual_ln, blocks: 3}}',
            'unfit': 'model: {fusion: {kind: gmu}}'}


@pytest.fixture(scope='module')
def ablation(tmp_path_factory):
    """(folder, its shards, files of its variants); never change it: copy first."""
    folder = tmp_path_factory.mktemp('ablation')
    make_corpus(folder / 'shards', 'one', BOTH)
    for name, text in VARIANTS.items():
        (folder / f'{name}.yaml').write_text(text)
    files = [folder / f'{name}.yaml' for name in VARIANTS]
    assert ablate(folder / 'out', folder / 'shards', files) == 1
    return folder / 'out', folder / 'shards', files


def ablate(out, shards, variants, *more, assignments=()):
    return run_main(main, *variants, '--shards', shards, '--out', out, *more, more=assignments)


def table(out):
    with open(out / 'ablation.csv', newline='') as file:
        return {row['variant']: row for row in csv.DictReader(file)}


def test_variants_are_ranked_and_one_that_fails_does_not_stop_the_rest(ablation):
    rows = table(ablation[0])
    assert sorted(rows) == ['plain', 'residual', 'unfit'] and rows['unfit']['status'] == 'failed'
    assert "'gmu' fuses two views, the model has 1" in rows['unfit']['reason'] and rows['unfit']['rank'] == ''
    done = [row for row in rows.values() if row['status'] == 'done']
    assert [row['rank'] for row in done] == ['1', '2']
    assert [(-float(row['valid_ua']), float(row['valid_loss'])) for row in done] == sorted(
        (-float(row['valid_ua']), float(row['valid_loss'])) for row in done)
    assert int(rows['residual']['parameters']) > int(rows['plain']['parameters'])
    assert float(rows['residual']['gmac']) > float(rows['plain']['gmac']) > 0
    assert all(float(row['clips_per_second']) > 0 and float(row['seconds']) > 0 for row in done)
    splits = [(ablation[0] / 'runs' / name / 'split.csv').read_bytes() for name in ('plain', 'residual')]
    assert splits[0] == splits[1]
    told = json.loads((ablation[0] / 'ablation.json').read_text())
    assert told['base'] == 'base' and [row['variant'] for row in told['variants']] == list(rows)
    assert 'never ranked on' in (ablation[0] / 'ablation.md').read_text()


def test_a_variant_is_read_from_its_run(ablation):
    run = ablation[0] / 'runs' / 'plain'
    one, row = read_variant('plain', run), table(ablation[0])['plain']
    scores = json.loads((run / 'test_metrics.json').read_text())
    with open(run / 'metrics.csv', newline='') as file:
        epoch, = csv.DictReader(file)
    assert (one.metrics, one.best_epoch, one.epochs) == (scores, 1, 1)
    assert float(row['valid_ua']) == one.valid_ua == float(epoch['valid_ua'])
    assert float(row['valid_loss']) == one.valid_loss == float(epoch['valid_loss'])
    assert one.clips_per_second == pytest.approx(float(epoch['clips_per_second']))
    assert (float(row['test_ua']), float(row['test_ua_low'])) == (scores['ua'], scores['ua_interval'][0])


def test_the_same_command_keeps_what_is_finished(ablation, tmp_path, capfd):
    out, shards, files = ablation
    shutil.copytree(out, tmp_path / 'out')
    kept, before = stamps(tmp_path / 'out' / 'runs'), table(out)
    assert ablate(tmp_path / 'out', shards, files) == 1
    assert stamps(tmp_path / 'out' / 'runs') == kept and table(tmp_path / 'out') == before
    said = capfd.readouterr().err
    assert said.count('already done') == 2 and 'variant unfit failed' in said


def test_another_ablation_in_the_same_place_is_refused(ablation, tmp_path, capfd):
    out, shards, files = ablation
    for given, assignments, message in ((files[:1], [], 'variants.residual is'),
                                        (files, ['run.seed=5'], 'variants.plain.run.seed is 0 there and 5 here')):
        assert ablate(out, shards, given, assignments=assignments) == 2
        assert message in capfd.readouterr().err
    other = make_corpus(tmp_path / 'other', 'other', BOTH, first_tone=40)
    assert ablate(out, other, files) == 2
    assert 'holds another ablation: digest is' in capfd.readouterr().err


def test_what_cannot_be_trained_is_refused_before_anything_is_written(ablation, tmp_path, capfd):
    _, shards, files = ablation
    (tmp_path / 'slip.yaml').write_text('training: {epoch: 3}')
    for given, more, assignments, message in (
            ([*files, tmp_path / 'slip.yaml'], (), [], "slip.yaml: unknown key 'training.epoch'"),
            (['nothing'], (), [], "no variant 'nothing'"),
            (files, ('--protocol', 'speakers'), [], "unknown kind 'speakers'"),
            (files, (), ['task.kind=dimensions', 'training.loss.kind=ccc'], 'ser ablate ranks by UA')):
        assert ablate(tmp_path / 'out', shards, given, *more, assignments=assignments) == 2
        assert message in capfd.readouterr().err
    assert ablate(tmp_path / 'out', tmp_path / 'gone', files) == 2
    assert 'no such shards' in capfd.readouterr().err and not (tmp_path / 'out').exists()


@pytest.mark.slow
def test_killed_after_a_variant_and_carried_on(ablation, tmp_path, capfd):
    _, shards, files = ablation
    out = tmp_path / 'out'
    command = [sys.executable, '-m', 'ser.ablate', *map(str, files[:2]), '--shards', str(shards), '--out', str(out),
               '--set', *ONCE]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith('variant 2 of 2'):
                process.send_signal(signal.SIGKILL)
                break
        process.stderr.read()
    assert process.returncode == -signal.SIGKILL
    assert {name: row['status'] for name, row in table(out).items()} == {'plain': 'done', 'residual': 'waiting'}
    assert '1 variant not trained yet' in (out / 'ablation.md').read_text()
    kept = stamps(out / 'runs' / 'plain')
    capfd.readouterr()
    assert ablate(out, shards, files[:2]) == 0
    assert stamps(out / 'runs' / 'plain') == kept
    assert {row['status'] for row in table(out).values()} == {'done'}
    assert 'plain: already done' in capfd.readouterr().err
