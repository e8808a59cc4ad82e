"""The leak premium: both protocols side by side, the difference, the sentence, and the command that trains them."""

import json

import pytest
import torch

from ser.config.evaluation import EvaluationConfig
from ser.config.load import load_config
from ser.errors import SerError
from ser.evaluation.paired import Answers, unpaired_difference
from ser.evaluation.premium import leak_premium, premium_lines
from ser.evaluation.sides import read_side
from ser.train import main
from ser.training import series
from ser.training.premium import _configs
from tests.pretend import pretender
from tests.shard_factory import make_shards
from tests.test_report import make_run
from tests.tiny import ASSIGNMENTS

FAST = EvaluationConfig(bootstrap=300)
UTTERANCE = {'protocol_kind': 'utterance', 'protocol': 'utterance (speaker-dependent)', 'speaker_disjoint': False}


def make_pair(folder, right=(0.4, 1.1), **changes):
    make_run(folder / 'speaker', right=right[0])
    make_run(folder / 'utterance', test=tuple('stuvwx'), train=tuple('abcdef'), right=right[1],
             facts=UTTERANCE | changes)
    return folder


def test_the_premium_is_the_unpaired_difference_and_both_scores_stand_apart(tmp_path):
    facts = leak_premium(make_pair(tmp_path), FAST)
    sides = [Answers.of(read_side(tmp_path / name).repeats) for name in ('speaker', 'utterance')]
    change = unpaired_difference(*sides, resamples=300)
    assert facts['premium']['ua'] == change.ua > 0 and facts['premium']['ua_interval'] == list(change.ua_interval)
    assert facts['premium']['method'].startswith('unpaired')
    assert facts['speaker']['ua'] < facts['utterance']['ua'] and facts['utterance']['speaker_disjoint'] is False
    assert json.loads((tmp_path / 'premium.json').read_text()) == facts
    card = (tmp_path / 'README.md').read_text()
    assert '| `speaker` | speaker: 8 + 2 + 6 speakers, seed 0 | 0.0 % |' in card
    assert '| `utterance` | utterance (speaker-dependent) |' in card and facts['sentence'] in card
    lines = premium_lines(facts)
    assert lines[0].startswith('speaker: 8 + 2 + 6')
    assert lines[1].startswith('utterance (speaker-dependent): UA 100.0 %')
    assert lines[2].startswith('leak premium: UA +') and lines[2].endswith('(unpaired)')
    assert lines[3].startswith("With the test speakers' voices in training the same system seems ")


def test_how_many_test_clips_are_of_trained_speakers(tmp_path):
    make_pair(tmp_path)
    split = tmp_path / 'utterance' / 'split.csv'
    text = split.read_text().replace('a-sad-0,a,sad,train', 'a-sad-0,s,sad,train')
    split.write_text(text)
    assert leak_premium(tmp_path, FAST)['utterance']['heard'] == pytest.approx(1 / 6)
    split.write_text(text.replace('a-sad-1,a,sad,train', 'a-sad-1,,sad,train'))
    assert leak_premium(tmp_path, FAST)['utterance']['heard'] is None


def test_no_premium_is_claimed_where_none_is_shown(tmp_path):
    facts = leak_premium(make_pair(tmp_path, right=(0.7, 0.7)), FAST)
    assert facts['sentence'].startswith('No leak premium is shown here: the interval holds zero')


def test_splits_that_share_alike_are_no_premium(tmp_path):
    facts = leak_premium(make_pair(tmp_path, speaker_disjoint=True), FAST)
    assert facts['sentence'].startswith('The two splits do not differ')


def test_a_missing_run_is_named(tmp_path):
    make_run(tmp_path / 'speaker')
    with pytest.raises(SerError, match='utterance: no such folder'):
        leak_premium(tmp_path, FAST)


def test_both_protocols_test_the_same_share():
    (speaker, first), (utterance, second) = _configs(load_config(('base',), ['protocol.test_fraction=0.3',
                                                                             'protocol.seed=4']))
    assert (speaker.test_fraction, speaker.valid_fraction, speaker.seed) == (0.3, 0.15, 4)
    assert (utterance.test_fraction, utterance.valid_fraction, utterance.seed) == (0.3, 0.15, 4)
    assert first.protocol is speaker and second.protocol is utterance
    (speaker, _), (utterance, _) = _configs(load_config(('base',), ['protocol={kind: speaker-kfold, seed: 2}']))
    assert (speaker.kind, speaker.test_fraction, speaker.seed) == ('speaker', 0.2, 2) and utterance.seed == 2


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


def arguments(shards, out, *more):
    return ['--shards', str(shards), '--out', str(out), '--leak-premium', '--set', *ASSIGNMENTS, 'training.epochs=1',
            *more]


@pytest.mark.slow
def test_both_are_trained_and_stay(shards, tmp_path, capfd):
    out, threads = tmp_path / 'premium', torch.get_num_threads()
    assert main(arguments(shards, out)) == 0
    facts = json.loads((out / 'premium.json').read_text())
    assert [facts[name]['speaker_disjoint'] for name in ('speaker', 'utterance')] == [True, False]
    assert facts['utterance']['heard'] > 0 == facts['speaker']['heard']
    said = capfd.readouterr().err
    assert facts['sentence'] in said and 'leak premium: UA ' in said
    assert main(arguments(shards, out)) == 0
    assert capfd.readouterr().err.count('already done') == 2
    torch.set_num_threads(threads)


def test_a_run_that_fails_leaves_the_other(shards, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(series, '_train', pretender(failing={'protocol speaker': SerError('too few speakers')}))
    assert main(arguments(shards, tmp_path / 'x')) == 1
    assert 'failed: protocol speaker: too few speakers' in capfd.readouterr().err
    assert (tmp_path / 'x' / 'utterance').exists() and not (tmp_path / 'x' / 'premium.json').exists()
    monkeypatch.setattr(series, '_train', pretender(codes={'protocol speaker': 130}))
    assert main(arguments(shards, tmp_path / 'x')) == 130
    assert '--leak-premium --out' in capfd.readouterr().err


def test_a_dry_run_shows_both_splits(shards, tmp_path, capfd):
    assert main([*arguments(shards, tmp_path / 'x'), '--dry-run']) == 0
    out = capfd.readouterr().out
    assert 'protocol speaker: speaker (speaker-disjoint)' in out
    assert 'protocol utterance: utterance (speaker-dependent)' in out and not (tmp_path / 'x').exists()
    assert main([*arguments(shards, tmp_path / 'x', 'protocol.test_fraction=0.9'), '--dry-run']) == 2
    assert 'leave nothing to train on' in capfd.readouterr().err


@pytest.mark.parametrize(('more', 'named'), [(['--folds', 'all'], '--folds'), (['--seeds', '3'], '--seeds'),
                                             (['--protocol', 'speaker'], '--protocol')])
def test_options_that_do_not_go_together(more, named, capfd):
    assert main(['--leak-premium', *more]) == 2
    assert capfd.readouterr().err == ('error: --leak-premium trains protocol speaker and protocol utterance, one run '
                                      f'each: leave out {named}\n')


def test_dimensions_have_no_premium(shards, tmp_path, capfd):
    assert main(arguments(shards, tmp_path / 'x', 'task.kind=dimensions', 'training.loss={kind: ccc}')) == 2
    assert "--leak-premium: goes with task.kind 'emotion'" in capfd.readouterr().err
