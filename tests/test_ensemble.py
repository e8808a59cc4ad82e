"""Runs averaged over the test part that they share: the numbers, the words, every refusal."""

import csv
import json
import os

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from ser.compare import main as compare
from ser.errors import SerError
from ser.evaluate import main
from ser.evaluation import plots
from ser.evaluation.ensemble import ensemble_folder, evaluate_ensemble, joint_facts, members_of
from ser.evaluation.intervals import bootstrap_intervals
from ser.evaluation.run_files import Facts
from ser.evaluation.sides import read_side
from tests.test_report import NAMES, make_run
from tests.test_sides import make_folds


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(plots, 'save', lambda figure, path: path.write_bytes(b'a picture'))


def rows(path):
    """key -> row of a predictions.csv, read with nothing of the product."""
    with open(path / 'predictions.csv', newline='') as file:
        return {row['key']: row for row in csv.DictReader(file)}


def mean_by_hand(*runs, names=NAMES):
    """(keys, labels, probabilities) of the mean over runs."""
    found = [rows(run) for run in runs]
    keys = sorted(found[0])
    return keys, [found[0][key]['label'] for key in keys], np.mean(
        [[[float(table[key][name]) for name in names] for key in keys] for table in found], axis=0)


def refused(*paths, **more):
    with pytest.raises(SerError) as error:
        evaluate_ensemble([str(path) for path in paths], **more)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_the_score_is_that_of_the_mean_probabilities(tmp_path):
    runs = [make_run(tmp_path / name, right=right) for name, right in (('a', 0.5), ('b', 0.6), ('c', 0.7))]
    metrics, out = evaluate_ensemble(runs)
    keys, labels, mean = mean_by_hand(*runs)
    said = [NAMES[i] for i in mean.argmax(axis=1)]
    assert metrics['ua'] == pytest.approx(balanced_accuracy_score(labels, said))
    written = rows(out)
    assert list(written) == keys and [row['predicted'] for row in written.values()] == said
    assert np.allclose([[float(row[name]) for name in NAMES] for row in written.values()], mean, atol=1e-12)
    speakers = [row['speaker'] for row in written.values()]
    numbers = [[NAMES.index(name) for name in column] for column in (labels, said)]
    assert metrics['ua_interval'] == list(bootstrap_intervals(*numbers, speakers).ua)
    assert metrics['interval_method'].startswith('two-stage bootstrap (speakers') and metrics['n_speakers'] == 6
    each = [balanced_accuracy_score(labels, [rows(run)[key]['predicted'] for key in keys]) for run in runs]
    members = metrics['ensemble']['members']
    assert [one['run'] for one in members] == ['a', 'b', 'c'] and [one['ua'] for one in members] == pytest.approx(each)
    assert metrics['ensemble']['member_ua'] == {
        'mean': pytest.approx(np.mean(each)), 'sd': pytest.approx(np.std(each, ddof=1)),
        'min': pytest.approx(min(each)), 'max': pytest.approx(max(each))}
    assert metrics['best_epoch'] is None and json.loads((out / 'test_metrics.json').read_text()) == metrics


def test_it_is_called_a_mean_wherever_its_score_is_said(tmp_path, capsys, monkeypatch):
    titles = []
    monkeypatch.setattr(plots, 'save', lambda figure, path: titles.extend(text.get_text() for text in figure.texts))
    runs = [make_run(tmp_path / name) for name in 'ab']
    assert main([*map(str, runs)]) == 0
    lines, out = capsys.readouterr().out.splitlines(), tmp_path / 'ensemble-a+b'
    what = 'mean of the probabilities of 2 runs'
    assert lines[0].startswith(f'{what}, test (6 unseen speakers, 120 clips): UA ')
    assert lines[1].startswith('UA of each run alone: ') and '(a), ' in lines[1] and lines[-1] == f'written to {out}'
    card = (out / 'README.md').read_text()
    assert f'No single model: the {what}' in card and f'\n{what}, test (' in card and '| b | ' in card
    assert 'speaker: 8 + 2 + 6 speakers, seed 0.' in card and str(tmp_path) not in card
    assert any(title.startswith('Mean of the probabilities of 2 runs: ') for title in titles), titles
    assert json.loads((out / 'data.json').read_text())['ensemble'] == ['a', 'b']
    assert compare([str(runs[0]), str(out)]) == 0
    said = capsys.readouterr().out
    assert f'ensemble-a+b ({what})' in said and f'ensemble-a+b: {what}, no single model' in said
    assert '  a: one seed each' in said and read_side(out).members == ('a', 'b')


def test_folds_are_pooled_and_every_seed_is_a_member(tmp_path):
    for seed in (0, 1):
        make_folds(tmp_path / 'seeds' / f'seed-{seed}')
    make_folds(tmp_path / 'folds')
    assert list(members_of([tmp_path / 'seeds', tmp_path / 'folds'])) == ['seeds/seed-0', 'seeds/seed-1', 'folds']
    metrics, out = evaluate_ensemble([tmp_path / 'seeds', tmp_path / 'folds'], tmp_path / 'mean')
    parts = [tmp_path / 'seeds' / 'seed-0', tmp_path / 'seeds' / 'seed-1', tmp_path / 'folds']
    tables = [{**rows(part / 'fold-01'), **rows(part / 'fold-02')} for part in parts]
    keys = sorted(tables[0])
    mean = np.mean([[[float(table[key][name]) for name in NAMES] for key in keys] for table in tables], axis=0)
    said = [NAMES[i] for i in mean.argmax(axis=1)]
    assert metrics['ua'] == pytest.approx(balanced_accuracy_score([tables[0][key]['label'] for key in keys], said))
    assert metrics['n'] == 120 and out == tmp_path / 'mean'
    assert metrics['protocol'] == 'speaker-kfold, 2 folds pooled' and len(metrics['ensemble']['members']) == 3


def test_seeds_alone_can_be_named(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / 'x' / f'seed-{seed}')
    seeds = [tmp_path / 'x' / f'seed-{seed}' for seed in (0, 1)]
    metrics, out = evaluate_ensemble(seeds)
    assert out == tmp_path / 'x' / 'ensemble-seed-0+seed-1'
    assert metrics['ua'] == evaluate_ensemble([tmp_path / 'x'], tmp_path / 'y')[0]['ua']


def test_classes_in_another_order_are_the_same_classes(tmp_path):
    runs = [make_run(tmp_path / 'a'), make_run(tmp_path / 'b', names=NAMES[::-1])]
    metrics, out = evaluate_ensemble(runs)
    _, labels, mean = mean_by_hand(*runs)
    assert metrics['ua'] == pytest.approx(balanced_accuracy_score(labels, [NAMES[i] for i in mean.argmax(axis=1)]))
    assert json.loads((out / 'labels.json').read_text()) == list(NAMES)


def test_doubts_about_one_are_doubts_about_all():
    sure = Facts('speaker: A', 'speaker', True, ('one',), False, 3)
    doubtful = Facts('speaker: B', 'speaker', False, ('one', 'leak: two'), True, 4)
    assert joint_facts([sure, doubtful]) == Facts('speaker: A; 1 member under another split', 'speaker', False,
                                                  ('one', 'leak: two'), True, None)
    assert joint_facts([sure, sure]).protocol == 'speaker: A'


def test_a_leak_of_a_member_is_one_of_the_ensemble(tmp_path):
    a = make_run(tmp_path / 'a')
    b = make_run(tmp_path / 'b', facts={'notes': ['leak: 3 recordings'], 'speaker_disjoint': False})
    metrics, out = evaluate_ensemble([a, b])
    assert metrics['speaker_disjoint'] is False and 'leak: 3 recordings' in metrics['notes']
    assert 'speaker-dependent' in (out / 'README.md').read_text()


def test_members_that_do_not_fit_are_refused(tmp_path):
    a = make_run(tmp_path / 'a')
    two = make_run(tmp_path / 'two', names=NAMES[:2], classes=NAMES[:2])
    part = make_run(tmp_path / 'part', test=tuple('stuv'), train=tuple('wxab'))
    assert refused(a, part) == (f'{part}: tests other clips than {a}: 80 in both, 40 in {a} alone (40 of which {part} '
                                f'was trained on or chosen by), 0 in {part} alone; only runs that test the same clips '
                                'can be averaged')
    assert f'60 in both, 60 in {a} alone, 0 in {two} alone' in refused(a, two)
    more = make_run(tmp_path / 'more', names=(*NAMES, 'bored'), classes=NAMES)
    assert refused(a, more) == (f'more: classes {", ".join(NAMES)}, bored, but a has {", ".join(NAMES)}; only runs of '
                                'the same classes can be averaged')
    odd = make_run(tmp_path / 'odd')
    for name in ('predictions.csv', 'split.csv'):
        (odd / name).write_text((odd / name).read_text().replace('s-sad-0,s,sad', 's-sad-0,s,happy'))
    assert refused(a, odd) == ('odd: clip s-sad-0 is labelled happy, a says sad; only runs of the same labels can be '
                               'averaged')
    given = make_run(tmp_path / 'given', facts={'protocol_kind': 'given'})
    assert refused(a, given) == (f'{given}: protocol given, but {a} has speaker; only runs under one kind of protocol '
                                 'can be averaged')
    assert not list(tmp_path.glob('ensemble-*'))


def test_what_counts_twice_or_is_no_run_is_refused(tmp_path):
    a, b = make_run(tmp_path / 'a'), make_run(tmp_path / 'b')
    assert refused(a) == f'{a}: one run is no ensemble; name two or more, or a folder of seeds'
    assert refused(a, tmp_path / 'b' / '..' / 'a').endswith('named twice; every run of an ensemble counts once')
    for run in (a, b):
        (run / 'best.safetensors').write_bytes(b'weights')
    assert refused(a, b) == f'{b}: the same weights as {a}, bit for bit; every run of an ensemble counts once'
    (b / 'best.safetensors').unlink()
    _, out = evaluate_ensemble([a, b])
    assert refused(a, out, out=tmp_path / 'x') == f'{out}: holds scores of runs, no run; name the runs themselves'
    assert refused(a, b) == f'{out}: is there already. Name another folder with --out, or remove it'
    assert main([str(out)]) == 2
    (b / 'labels.json').write_text('["arousal"]')
    (b / 'task.json').write_text(json.dumps({'kind': 'dimensions', 'names': ['arousal'], 'mean': [0.0], 'std': [1.0],
                                             'unit': [[0, 1]]}))
    assert 'predicts dimensions, which have no probabilities' in refused(a, b, out=tmp_path / 'x')
    assert not (tmp_path / 'x').exists()


def test_where_it_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'runs' / 'b').mkdir(parents=True)
    assert str(ensemble_folder(['runs/a', 'runs/b'])) == os.path.join('runs', 'ensemble-a+b')
    assert ensemble_folder(['x/run', 'y/run 2'], suffix='-on-emodb').name == 'ensemble-run+run_2-on-emodb'
    assert ensemble_folder(['.', 'z']) == tmp_path.parent / f'ensemble-{tmp_path.name}+z'
    many = ensemble_folder([f'runs/{letter * 20}' for letter in 'abcdef']).name
    assert many.endswith('-and-more') and len(many) < 80
    assert ensemble_folder(['a', 'b'], 'runs/b').name == 'b'
    (tmp_path / 'runs' / 'b' / 'file').touch()
    with pytest.raises(SerError, match='is there already'):
        ensemble_folder(['a', 'b'], 'runs/b')


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    runs = [str(make_run(tmp_path / name)) for name in 'ab']
    assert main([*runs, '--device', 'cpu']) == 2
    assert main([*runs, '--set', 'evaluation.seed=1']) == 2
    assert main([runs[0], '--out', 'x']) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(' goes with')[0] for line in errors] == ['error: --device', 'error: --set', 'error: --out']
