"""The matrix end to end on small corpora: rows, cells, tables, failures, kills and refusals."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ser.evaluation.predictions import read_csv
from ser.files import sha256_of
from ser.matrix import main
from tests.tiny_corpora import BOTH, ONCE, make_corpus, run_main, stamps, tiny_matrix, two_corpora  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


def table(out):
    with open(out / 'matrix.csv', newline='') as file:
        return {(row['train'], row['test']): row for row in csv.DictReader(file)}


def matrix(out, shards, *more, assignments=()):
    return run_main(main, '--shards', *shards, '--out', out, *more, more=assignments)


def test_every_cell_is_scored_or_says_why_not(tiny_matrix):  # noqa: F811
    cells = table(tiny_matrix.out)
    assert tiny_matrix.code == 1 and list(cells) == [(a, b) for a in ('bad', 'one', 'two')
                                                     for b in ('bad', 'one', 'two')]
    failed = {place for place, row in cells.items() if row['status'] == 'failed'}
    assert failed == {place for place in cells if 'bad' in place}
    for place in set(cells) - failed:
        row = cells[place]
        assert row['status'] == 'done' and row['classes'] == '3' and float(row['chance']) == pytest.approx(1 / 3)
        assert float(row['ua_low']) <= float(row['ua']) <= float(row['ua_high']) and row['speaker_disjoint'] == 'true'
    told = json.loads((tiny_matrix.out / 'matrix.json').read_text())
    assert told['description']['classes'] == list(BOTH) and [row['name'] for row in told['rows']] == ['bad', 'one',
                                                                                                     'two']
    assert told['rows'][1]['best_epoch'] == 1 and told['rows'][1]['training_seconds'] > 0
    reasons = {(cell['train'], cell['test']): cell['reason'] for cell in told['cells']}
    assert reasons['bad', 'one'].startswith('training failed: ') and 'bad-00000.tar' in reasons['one', 'bad']
    assert reasons['one', 'two'] is None and told['rows'][0]['failed']
    card = (tiny_matrix.out / 'matrix.md').read_text()
    assert '## Failed' in card and '- training of bad: ' in card and '12 clips labelled boredom left out' in card
    assert (tiny_matrix.out / 'matrix.png').stat().st_size > 10_000


def test_the_diagonal_is_held_out_speakers_and_elsewhere_every_clip_of_a_shared_label(tiny_matrix):  # noqa: F811
    run, cells = tiny_matrix.out / 'rows' / 'one', tiny_matrix.out / 'cells'
    own, other = read_csv(cells / 'one--one' / 'predictions.csv'), read_csv(cells / 'one--two' / 'predictions.csv')
    assert (cells / 'one--one' / 'predictions.csv').read_bytes() == (run / 'predictions.csv').read_bytes()
    with open(run / 'split.csv', newline='') as file:
        members = list(csv.DictReader(file))
    assert set(own.keys) == {member['key'] for member in members if member['part'] == 'test'}
    assert not set(own.speakers) & {member['speaker'] for member in members if member['part'] != 'test'}
    assert Counter(other.labels) == dict.fromkeys(BOTH, 12) and len(set(other.speakers)) == 6
    scored = json.loads((run / 'test_metrics.json').read_text())
    mine = json.loads((cells / 'one--one' / 'test_metrics.json').read_text())
    assert {key: mine[key] for key in ('ua', 'ua_interval', 'wa', 'n', 'protocol')} == {
        key: scored[key] for key in ('ua', 'ua_interval', 'wa', 'n', 'protocol')}
    assert table(tiny_matrix.out)['one', 'one']['in_domain'] == 'true'
    assert (cells / 'one--one' / 'README.md').read_text().startswith('# one on one')


@pytest.mark.slow
def test_the_same_command_keeps_what_is_finished_and_tries_again_what_failed(tiny_matrix, tmp_path, capfd):  # noqa: F811
    out = tmp_path / 'out'
    shutil.copytree(tiny_matrix.out, out)
    shutil.rmtree(out / 'cells' / 'two--one')
    # A cell of weights that are gone is made again.
    record = out / 'cells' / 'one--two' / 'cell.json'
    told = json.loads(record.read_text())
    assert told['weights'] == sha256_of(out / 'rows' / 'one' / 'best.safetensors')
    record.write_text(json.dumps({**told, 'weights': 'of another training'}))
    kept = {path: stamps(out / path) for path in ('rows/one', 'rows/two', 'cells/one--one', 'cells/two--two')}
    before = table(out)
    # Where the shards lie and how the machine is used may change.
    assert matrix(out, tiny_matrix.shards[::-1], assignments=['run.log_seconds=3']) == 1
    assert {path: stamps(out / path) for path in kept} == kept
    after, said = table(out), capfd.readouterr().err
    for place, row in after.items():
        assert {**row, 'seconds': ''} == {**before[place], 'seconds': ''}
    assert 'row bad failed' in said and 'epoch 1/1' not in said and 'two → two: UA' not in said
    assert 'two → one: UA' in said and 'one → two: UA' in said
    assert json.loads(record.read_text())['weights'] == told['weights']


def test_another_matrix_in_the_same_place_is_refused(tiny_matrix, tmp_path, capfd):  # noqa: F811
    shards, out = tiny_matrix.shards, tiny_matrix.out
    before = (out / 'matrix.json').read_bytes()
    for arguments, assignments, message in (
            ((), ['training.clip_norm=3'], 'holds another matrix: config.training.clip_norm is 1.0 there and 3.0 here'),
            (('--combinations', 2), [], 'trained_together is 1 there and 2 here'),
            (('--protocol', 'leave-one-corpus-out'), [], 'protocol is "cross" there'),
            ((), ['data.labels=[happy, angry]'], 'classes is')):
        assert matrix(out, shards, *arguments, assignments=assignments) == 2
        assert message in capfd.readouterr().err
    assert matrix(out, shards[:2]) == 2
    assert 'sets.bad is' in capfd.readouterr().err
    changed = make_corpus(tmp_path / 'changed', 'two', BOTH, first_tone=77)
    assert matrix(out, [shards[0], f'two={changed}', shards[2]]) == 2
    assert 'sets.two.' in capfd.readouterr().err
    assert matrix(out / 'rows' / 'one', shards) == 2
    assert 'holds a run already' in capfd.readouterr().err
    assert (out / 'matrix.json').read_bytes() == before


def test_what_cannot_become_a_matrix_is_refused_before_anything_is_written(tmp_path, capfd):
    shards = two_corpora(tmp_path)
    for given, arguments, assignments, message in (
            (shards[:1], (), [], 'at least two sets of shards, one given'),
            ([shards[0], shards[1].partition('=')[2]], (), [], 'has no name. Name each corpus'),
            (shards, ('--combinations', 3), [], '--combinations 3: a row is trained on 1 to 2'),
            (shards, ('--protocol', 'speaker'), [], "--protocol 'speaker': allowed are cross and leave-one-corpus-out"),
            (shards, ('--protocol', 'leave-one-corpus-out', '--combinations', 1), [], 'goes with --protocol cross'),
            (shards, (), ['protocol.kind=speaker-kfold'], "protocol 'speaker-kfold' of the config has folds"),
            (shards, (), [f'data.test_shards=[{tmp_path}]', 'protocol.kind=given'], 'leave out data.valid_shards'),
            (shards, (), ['task.kind=dimensions', 'training.loss.kind=ccc'], 'ser matrix compares UA'),
            (shards, (), ['data.labels=[happy, sad]'], "set 'two' has no clip of class sad")):
        assert matrix(tmp_path / 'out', given, *arguments, assignments=assignments) == 2
        assert message in capfd.readouterr().err
    strange = make_corpus(tmp_path / 'strange', 'strange', ('happy', 'boredom'))
    assert matrix(tmp_path / 'out', [shards[0], f'strange={strange}']) == 2
    assert 'the corpora have happy in common' in capfd.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_torchrun_is_refused(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert matrix(tmp_path / 'out', two_corpora(tmp_path)) == 2
    assert 'ser matrix runs in one process' in capfd.readouterr().err


@pytest.mark.slow
def test_rows_of_several_corpora_are_scored_on_their_own_test_clips_of_each(tmp_path):
    shards, out = two_corpora(tmp_path), tmp_path / 'out'
    assert matrix(out, shards, '--combinations', 2) == 0
    cells = table(out)
    assert list(cells) == [('one+two', 'one'), ('one+two', 'two')]
    tested = read_csv(out / 'rows' / 'one+two' / 'predictions.csv')
    for name in ('one', 'two'):
        part = read_csv(out / 'cells' / f'one+two--{name}' / 'predictions.csv')
        assert set(part.keys) == {key for key in tested.keys if key.startswith(f'{name}-')} and len(part) >= 6
        assert cells['one+two', name]['protocol'].endswith(f'of its test part, the clips of {name}')


@pytest.mark.slow
def test_a_label_that_one_set_alone_has_is_its_class_for_models_of_the_others(tmp_path):
    one = make_corpus(tmp_path / 'one', 'one', BOTH, n_speakers=5)
    two = make_corpus(tmp_path / 'two', 'two', ('neutral', 'happy', 'wut'), n_speakers=5, first_tone=500)
    assert matrix(tmp_path / 'out', [f'one={one}', f'two={two}'], assignments=['data.merge={wut: angry}']) == 0
    other = read_csv(tmp_path / 'out' / 'cells' / 'one--two' / 'predictions.csv')
    assert Counter(other.labels) == dict.fromkeys(BOTH, 10)


@pytest.mark.slow
def test_a_corpus_under_two_names_is_noticed(tmp_path, capfd):
    make_corpus(tmp_path / 'a', 'one', BOTH, n_speakers=5)
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    assert matrix(tmp_path / 'out', [f"a={tmp_path / 'a'}", f"b={tmp_path / 'b'}"]) == 0
    cells, card = table(tmp_path / 'out'), (tmp_path / 'out' / 'matrix.md').read_text()
    assert cells['a', 'b']['speaker_disjoint'] == 'false' and cells['a', 'a']['speaker_disjoint'] == 'true'
    assert '- LEAK: ' in card and '(a → b, b → a)' in card and '(!)' in card


@pytest.mark.slow
def test_killed_after_a_row_and_carried_on(tmp_path, capfd):
    shards, out = two_corpora(tmp_path), tmp_path / 'out'
    command = [sys.executable, '-m', 'ser.matrix', '--shards', *shards, '--out', str(out), '--set', *ONCE]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith('row two'):
                process.send_signal(signal.SIGKILL)
                break
        process.stderr.read()
    assert process.returncode == -signal.SIGKILL
    assert [row['status'] for row in table(out).values()] == ['done', 'done', 'waiting', 'waiting']
    kept = {path: stamps(out / path) for path in ('rows/one', 'cells/one--one', 'cells/one--two')}
    capfd.readouterr()
    assert matrix(out, shards) == 0
    assert {path: stamps(out / path) for path in kept} == kept
    assert [row['status'] for row in table(out).values()] == ['done'] * 4
    assert 'not made yet' not in (out / 'matrix.md').read_text()
    said = capfd.readouterr().err
    assert said.count('run ') >= 1 and 'rows/one: already done' in said


@pytest.mark.slow
def test_ctrl_c_in_training_says_how_to_carry_on(tmp_path):
    shards, out = two_corpora(tmp_path), tmp_path / 'out'
    more = ['training.epochs=500', 'run.log_seconds=0.001']
    command = [sys.executable, '-m', 'ser.matrix', '--shards', *shards, '--out', str(out), '--set', *ONCE, *more]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        seen = []
        for line in process.stderr:
            seen.append(line)
            if line.startswith('epoch 1/500 step 2') and process.poll() is None:
                process.send_signal(signal.SIGINT)
                break
        seen += process.stderr.readlines()
    said = ''.join(seen)
    assert process.returncode == 130 and f'the same command carries on with the matrix: --out {out}' in said
    assert 'Traceback' not in said and (out / 'rows' / 'one' / 'checkpoints').is_dir()


@pytest.mark.slow
def test_leaving_one_corpus_out(tmp_path):
    shards = [*two_corpora(tmp_path), f"three={make_corpus(tmp_path / 'three', 'three', BOTH, first_tone=300)}"]
    assert matrix(tmp_path / 'out', shards, '--protocol', 'leave-one-corpus-out') == 0
    cells = table(tmp_path / 'out')
    assert [row['in_domain'] for row in cells.values()] == ['false', 'true', 'true', 'true', 'false', 'true', 'true',
                                                            'true', 'false']
    assert [place[0] for place in list(cells)[::3]] == ['without-one', 'without-three', 'without-two']
    assert cells['without-two', 'two']['n'] == '36'
