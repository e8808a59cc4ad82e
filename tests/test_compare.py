"""The command that compares: pairs, what is no pair, every kind of folder, every refusal."""

import json

import numpy as np
import pytest

from ser.compare import main
from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation.compare import compare, verdict
from ser.evaluation.paired import Answers, Difference, paired_difference
from ser.evaluation.predictions import read_csv
from ser.evaluation.report import score
from ser.evaluation.sides import read_side
from tests.test_report import NAMES, make_run
from tests.test_sides import make_folds

UTTERANCE = {'protocol_kind': 'utterance', 'protocol': 'utterance (speaker-dependent)', 'speaker_disjoint': False,
             'notes': ['leak: identical recordings in train and test: 3, such as a and b']}


def refused(*paths):
    with pytest.raises(SerError) as error:
        compare([str(path) for path in paths])
    assert '\n' not in str(error.value)
    return str(error.value)


def only(facts):
    comparison, = facts['comparisons']
    return comparison


def test_two_runs_on_the_same_clips_are_a_pair(tmp_path):
    a, b = make_run(tmp_path / 'a', right=0.5), make_run(tmp_path / 'b', right=0.95)
    facts = compare([a, b])
    found = only(facts)
    assert found['paired'] and found['why_unpaired'] is None and facts['first'] == 'a'
    sides = [read_side(run) for run in (a, b)]
    change = paired_difference(*(Answers.of(side.repeats) for side in sides))
    assert found['ua'] == {'difference': change.ua, 'interval': list(change.ua_interval)}
    assert found['ua']['interval'][0] > 0 and found['verdict'].startswith('b is better: +')
    right = [np.equal(part.labels, part.predicted) for side in sides for part in side.repeats]
    assert found['mcnemar']['only_other_right'] == (~right[0] & right[1]).sum()
    assert found['mcnemar']['only_first_right'] == (right[0] & ~right[1]).sum()
    assert found['mcnemar']['p'] < 0.001 and 'independent' in found['mcnemar']['caution']


def test_each_score_is_the_one_of_the_runs_own_report(tmp_path):
    runs = [make_run(tmp_path / name) for name in 'ab']
    found = only(compare(runs))
    for run, row in zip(runs, (found['first'], found['other']), strict=True):
        own = score(read_csv(run / 'predictions.csv'), read_side(run).facts, EvaluationConfig())
        assert {key: row[key] for key in ('ua_interval', 'wa_interval', 'n', 'n_speakers', 'interval_method')} == \
            {key: own[key] for key in ('ua_interval', 'wa_interval', 'n', 'n_speakers', 'interval_method')}
        assert (row['ua'], row['wa']) == (pytest.approx(own['ua']), pytest.approx(own['wa']))


def test_turned_round_the_difference_turns_round(tmp_path):
    a, b = make_run(tmp_path / 'a', right=0.6), make_run(tmp_path / 'b', right=0.9)
    there, back = only(compare([a, b])), only(compare([b, a]))
    assert there['ua']['interval'] == pytest.approx([-edge for edge in back['ua']['interval'][::-1]])
    assert there['other_better'] == pytest.approx(1 - back['other_better'])
    assert there['verdict'].startswith('b is better') and back['verdict'].startswith('a is worse')


def test_other_protocols_never_share_a_column(tmp_path, capsys):
    a = make_run(tmp_path / 'a')
    leaky = make_run(tmp_path / 'leaky', test=tuple('stuvwx'), train=tuple('gh'), right=1.1, facts=UTTERANCE)
    found = only(compare([a, leaky]))
    assert not found['paired'] and found['why_unpaired'] == 'the protocols differ (speaker, utterance)'
    assert found['mcnemar'] is None and found['method'].startswith('unpaired')
    assert found['verdict'].startswith('leaky scores higher, on another test: +')
    assert main([str(a), str(leaky)]) == 0
    said = capsys.readouterr().out
    assert 'NOT THE SAME TEST: the protocols differ' in said and said.count('run ') == 2
    assert 'in training too' in said and 'leaky: leak: identical recordings in train and test: 3' in said
    assert 'utterance (speaker-dependent) (6 speakers, 120 clips, speaker-dependent)' in said


def test_other_test_parts_are_unpaired(tmp_path):
    a, b = make_run(tmp_path / 'a'), make_run(tmp_path / 'b', test=tuple('xyz123'), train=tuple('abc'))
    found = only(compare([a, b]))
    assert found['why_unpaired'] == 'the test parts differ (20 clips in both, 100 and 100 in one alone)'
    assert (found['first']['n'], found['other']['n']) == (120, 120)


def test_sharing_speakers_is_another_protocol_whatever_its_name(tmp_path):
    a = make_run(tmp_path / 'a', facts={'protocol_kind': 'given'})
    b = make_run(tmp_path / 'b', facts={'protocol_kind': 'given', 'speaker_disjoint': None})
    assert 'test speakers are heard in training by one' in only(compare([a, b]))['why_unpaired']


def test_a_test_part_inside_another_is_paired_on_what_both_test(tmp_path):
    a, b = make_run(tmp_path / 'a'), make_run(tmp_path / 'b', test=tuple('stuvw'))
    found = only(compare([a, b]))
    assert found['paired'] and found['first']['n'] == found['other']['n'] == 100
    assert 'a: 20 clips that the other does not test left out' in found['notes']


def test_seeds_and_folds_are_sides_too(tmp_path):
    for seed in (1, 2):
        make_run(tmp_path / 'seeds' / f'seed-{seed}', facts={'protocol_kind': 'speaker-kfold'})
    make_folds(tmp_path / 'folds')
    found = only(compare([tmp_path / 'folds', tmp_path / 'seeds']))
    assert found['paired'] and found['mcnemar'] is None and found['other']['seeds'] == [1, 2]
    parts = read_side(tmp_path / 'seeds').repeats
    assert found['other']['wa'] == pytest.approx(np.mean([np.equal(p.labels, p.predicted).mean() for p in parts]))
    assert [note for note in found['notes'] if '--seeds' in note] == [
        'folds: one seed each, whose luck is not in the interval; python -m ser.train --seeds N trains repeats']


def test_classes_in_another_order_are_the_same_classes(tmp_path):
    a, b = make_run(tmp_path / 'a'), make_run(tmp_path / 'b', names=NAMES[::-1])
    assert only(compare([a, b]))['paired']
    assert compare([a, b])['classes'] == list(NAMES)


def test_several_are_compared_with_the_first_in_one_table(tmp_path, capsys):
    runs = [make_run(tmp_path / name) for name in ('one', 'two', 'three')]
    assert main([*map(str, runs), '--json', str(tmp_path / 'x.json'), '--markdown', str(tmp_path / 'x.md')]) == 0
    said = capsys.readouterr().out
    assert said.count('the same test part: 6 unseen speakers, 120 clips; differences are to one') == 1
    assert 'two against one, UA: ' in said and 'three against one, UA: ' in said
    assert '2 comparisons at 95 % each' in said and 'McNemar, exact: ' in said
    facts = json.loads((tmp_path / 'x.json').read_text())
    assert facts == json.loads(json.dumps(compare(list(map(str, runs)))))
    markdown = (tmp_path / 'x.md').read_text()
    assert '| run | UA | WA | UA difference |' in markdown and '| three | ' in markdown


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path):
    a, b = make_run(tmp_path / 'x' / 'run'), make_run(tmp_path / 'y' / 'run', right=0.9)
    found = only(compare([a, b]))
    assert (found['first']['run'], found['other']['run']) == ('x/run', 'y/run')


def test_the_first_runs_config_decides_resamples_and_confidence(tmp_path):
    a, b = make_run(tmp_path / 'a'), make_run(tmp_path / 'b')
    path = a / 'config.yaml'
    path.write_text(path.read_text() + 'evaluation: {bootstrap: 50, confidence: 0.8}\n')
    assert '50 resamples, 80 %' in only(compare([a, b]))['method']
    assert '2000 resamples, 95 %' in only(compare([b, a]))['method']


def test_synthetic_speech_is_said(tmp_path):
    runs = [make_run(tmp_path / name, facts={'synthetic': True}) for name in 'ab']
    assert any(note.startswith('synthetic speech') for note in only(compare(runs))['notes'])


def test_what_cannot_be_compared_is_refused(tmp_path):
    a = make_run(tmp_path / 'a')
    two = make_run(tmp_path / 'two', names=NAMES[:2])
    far = make_run(tmp_path / 'far', test=('1', '2'))
    assert refused(a).startswith('only one run is named; ser compare takes two or more')
    assert 'only runs of the same classes can be compared' in refused(a, two)
    assert 'tests no clip that' in refused(a, far)
    assert 'named twice' in refused(a, tmp_path / 'two' / '..' / 'a')
    assert 'no such folder' in refused(a, tmp_path / 'nowhere')
    odd = make_run(tmp_path / 'odd')
    for name in ('predictions.csv', 'split.csv'):
        (odd / name).write_text((odd / name).read_text().replace('s-sad-0,s,sad', 's-sad-0,s,happy'))
    assert f'{odd}: clip s-sad-0 is labelled happy, {a} says sad' in refused(a, odd)
    (a / 'predictions.csv').unlink()
    assert 'finish this one' in refused(odd, a)


def test_costs_stand_beside_the_scores(tmp_path, capsys, monkeypatch):
    runs = [make_run(tmp_path / name) for name in 'ab']
    costs = {'system': 'crnn', 'parameters': 12, 'gmac': 0.5, 'clips_per_second': 9.0, 'seconds': 1.0, 'runs': 1}
    facts = compare(runs, lambda path: costs | {'parameters': 12 if path == runs[0] else 34})
    assert [(row['run'], row['parameters']) for row in facts['systems']] == [('a', 12), ('b', 34)]
    scores = only(facts)
    assert [row['ua'] for row in facts['systems']] == [scores['first']['ua'], scores['other']['ua']]
    assert 'systems' not in compare(runs)
    monkeypatch.setattr('ser.training.cost.network_cost', lambda run: (56, 0.25))
    assert main([*map(str, runs), '--cost', '--json', str(tmp_path / 'x.json')]) == 0
    said = capsys.readouterr().out
    assert said.startswith('systems tested on 6 unseen speakers, 120 clips\n') and 'the same test part' in said
    first, _ = json.loads((tmp_path / 'x.json').read_text())['systems']
    assert (first['system'], first['parameters'], first['clips_per_second']) == (
        'maxmvit, cqt: maxvit_base_tf_224, mel: mvitv2, fusion gmu', 56, 50)


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    a, b = make_run(tmp_path / 'a'), make_run(tmp_path / 'b')
    assert main([str(a)]) == 2
    assert main([str(a), str(b), '--json', str(tmp_path)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2 and errors[1] == f'error: --json {tmp_path}: is a folder. Name a file'


@pytest.mark.parametrize(('low', 'ua', 'high', 'paired', 'words'), [
    (0.008, 0.031, 0.054, True, 'B is better: +3.1 points [0.8, 5.4]'),
    (-0.054, -0.031, -0.008, True, 'B is worse: -3.1 points [-5.4, -0.8]'),
    (-0.01, 0.031, 0.07, True, 'no difference shown: +3.1 points [-1.0, 7.0]'),
    (0.0, 0.0, 0.0, True, 'no difference shown: +0.0 points [0.0, 0.0]'),
    (-0.2, -0.1, -0.05, False, 'B scores lower, on another test: -10.0 points [-20.0, -5.0]')])
def test_the_verdict_in_words(low, ua, high, paired, words):
    assert verdict(Difference(ua, (low, high), 0, (0, 0), 0.5, paired, '', True), 'B') == words
