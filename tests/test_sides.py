"""What a folder answered: runs, folds, seeds and scores on other shards, read from files."""

import json
import shutil

import pytest

from ser.errors import SerError
from ser.evaluation.predictions import read_csv
from ser.evaluation.sides import ScoredRun, check_folds, fold_runs, join_folds, missing_folds, read_side, seed_runs
from tests.test_report import NAMES, make_run

KFOLD = {'protocol_kind': 'speaker-kfold', 'protocol': 'fold'}


def make_fold(folder, fold, of=2, test='stu', **changes):
    train = tuple(set('stuvwx') - set(test))
    return make_run(folder / f'fold-{fold:02d}', test=tuple(test), train=tuple(sorted(train)),
                    facts=KFOLD | {'fold': fold, 'folds': of} | changes.pop('facts', {}), **changes)


def make_folds(folder):
    return [make_fold(folder, 1), make_fold(folder, 2, test='vwx')]


def refused(path):
    with pytest.raises(SerError) as error:
        read_side(path)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_a_run_is_read_in_key_order(tmp_path):
    run = make_run(tmp_path / 'run')
    side = read_side(run)
    part, = side.repeats
    assert (side.kind, side.names, side.seeds) == ('run', NAMES, ()) and len(part) == 120
    assert list(part.keys) == sorted(read_csv(run / 'predictions.csv').keys) and side.keys == set(part.keys)
    assert side.facts.protocol_kind == 'speaker' and side.facts.best_epoch == 2
    few = side.taken(['s-sad-0', 'u-angry-3'])
    assert few.repeats[0].keys == ('s-sad-0', 'u-angry-3') and few.repeats[0].labels == ('sad', 'angry')


def test_folds_of_other_shards_are_not_pooled(tmp_path):
    make_fold(tmp_path, 1, facts={'digest': 'a' * 64})
    make_fold(tmp_path, 2, test='vwx', facts={'digest': 'b' * 64})
    assert 'fold-02: trained on other data than ' in refused(tmp_path)


def test_folds_are_one_test_part(tmp_path):
    runs = make_folds(tmp_path / 'folds')
    side = read_side(tmp_path / 'folds')
    assert side.kind == 'folds' and fold_runs(tmp_path / 'folds') == runs
    assert side.keys == {key for run in runs for key in read_csv(run / 'predictions.csv').keys}
    assert side.facts.protocol == 'speaker-kfold, 2 folds pooled' and side.facts.speaker_disjoint is True


def test_missing_folds_and_classes_that_a_fold_does_not_test_are_said(tmp_path):
    one = make_fold(tmp_path, 1, of=5)
    four = make_fold(tmp_path, 4, of=5, test='vwx', classes=NAMES[:3],
                     facts={'notes': ['leak: identical recordings in train and test: 1', 'test lacks angry']})
    folds = [ScoredRun.read(run) for run in (one, four)]
    assert missing_folds(folds) == (2, 3, 5)
    predictions, facts = join_folds(folds)
    assert len(predictions) == 60 + 45
    assert facts.protocol == 'speaker-kfold, 2 of 5 folds pooled (incomplete: folds 2, 3, 5 missing)'
    assert facts.notes == (
        'incomplete: folds 2, 3, 5 missing', '55 of 160 clips are in the test part of none of these folds',
        'no test clip is angry in 1 fold (fold-04): the UA of such a fold is over the classes it tests',
        'leak: identical recordings in train and test: 1')


def test_runs_that_do_not_say_their_fold_miss_none(tmp_path):
    runs = [make_run(tmp_path / name, test=(name,), train=('k',)) for name in 'st']
    assert missing_folds([ScoredRun.read(run) for run in runs]) == ()


def test_folds_that_do_not_fit_are_refused(tmp_path):
    first = ScoredRun.read(make_fold(tmp_path, 1))
    for name, changes, message in [
            ('other', {'names': NAMES[:2]}, 'only folds of one label set'),
            ('plain', {'test': ('k', 'l'), 'train': ('a',)}, "protocol 'speaker', but"),
            ('again', {'test': ('s',), 'train': ('v',), 'facts': KFOLD}, 'tests clip s-neutral-0, which')]:
        with pytest.raises(SerError) as error:
            check_folds([first, ScoredRun.read(make_run(tmp_path / name, **changes))])
        assert message in str(error.value)


def test_seeds_are_repeats_of_one_test_part(tmp_path):
    for seed in (10, 2):
        make_run(tmp_path / f'seed-{seed}')
    make_run(tmp_path / 'seed-x')
    side = read_side(tmp_path)
    assert [run.name for run in seed_runs(tmp_path)] == ['seed-2', 'seed-10']
    assert side.kind == 'seeds' and side.seeds == (2, 10) and len(side.repeats) == 2
    assert side.repeats[0].keys == side.repeats[1].keys and side.repeats[0].predicted != side.repeats[1].predicted
    assert side.facts.protocol.endswith(', 2 seeds') and side.facts.best_epoch is None


def test_seeds_may_be_of_folds_and_lack_some(tmp_path):
    for seed in (0, 1):
        make_folds(tmp_path / f'seed-{seed}')
    assert len(read_side(tmp_path).repeats[0]) == 120
    shutil.rmtree(tmp_path / 'seed-1' / 'fold-02')
    side = read_side(tmp_path)
    assert len(side.repeats[0]) == 60
    assert side.facts.notes[0] == '60 clips left out: not every seed has tested them'
    assert 'incomplete: fold 2 missing' in side.facts.notes


@pytest.mark.parametrize(('changes', 'message'), [
    ({'names': NAMES[:2]}, 'seeds share everything but the seed'),
    ({'facts': {'protocol_kind': 'given'}}, 'run of protocol given'),
    ({'test': ('s', 't')}, 'tests other clips than the other seeds'),
    ({'test': ('k', 'l')}, 'tests other clips than the other seeds')])
def test_seeds_that_do_not_fit_are_refused(tmp_path, changes, message):
    make_run(tmp_path / 'seed-0')
    make_run(tmp_path / 'seed-1', **changes)
    assert message in refused(tmp_path)


def test_scores_on_other_shards_are_a_side(tmp_path):
    run = make_run(tmp_path / 'run')
    other = run / 'evaluation-emodb'
    other.mkdir()
    for name in ('predictions.csv', 'labels.json', 'data.json'):
        shutil.copy(run / name, other)
    side = read_side(other)
    assert side.kind == 'other shards' and side.keys == read_side(run).keys


def test_what_is_no_finished_run_is_refused(tmp_path):
    assert refused(tmp_path / 'nowhere').startswith(f'{tmp_path / "nowhere"}: no such folder')
    assert refused(tmp_path).endswith('nor a folder of folds (fold-*) or of seeds (seed-*).')
    run = make_run(tmp_path / 'run')
    assert refused(tmp_path).endswith(f'It holds runs: name one of them, such as {run}')
    (run / 'predictions.csv').unlink()
    assert refused(run) == (f'{run / "predictions.csv"}: no such file. A finished run has it; finish this one: '
                            f'python -m ser.train --resume {run}')


def test_a_run_of_dimensions_is_refused(tmp_path):
    run = make_run(tmp_path / 'run')
    (run / 'labels.json').write_text('["arousal"]')
    (run / 'task.json').write_text(json.dumps({'kind': 'dimensions', 'names': ['arousal'], 'mean': [0.0],
                                               'std': [1.0], 'unit': [[0, 1]]}))
    assert 'predicts dimensions; only runs that tell emotions apart' in refused(run)


def test_classes_at_odds_with_the_labels_are_refused(tmp_path):
    run = make_run(tmp_path / 'run')
    (run / 'labels.json').write_text(json.dumps(list(NAMES[::-1])))
    assert 'but labels.json says angry, sad, happy, neutral' in refused(run)
