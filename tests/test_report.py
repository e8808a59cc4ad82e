"""A run's files in, scores, pictures and model card out."""

import csv
import json

import numpy as np
import pytest

from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation.metrics import scores
from ser.evaluation.predictions import Predictions, read_csv
from ser.evaluation.report import evaluate_run, pool_folds
from ser.evaluation.summary import per_class_lines, summary_lines

NAMES = ('neutral', 'happy', 'sad', 'angry')
FAST = EvaluationConfig(bootstrap=200)
HISTORY = ('epoch,steps,train_loss,valid_loss,valid_ua,valid_wa,valid_macro_f1,lr,clips_per_second,data_wait,seconds,'
           'best\n'
           '1,10,1.5,1.4,0.3,0.3,0.3,0.001,50,0.1,9,1\n2,20,1.2,1.1,0.6,0.6,0.6,0.0005,50,0.1,9,1\n'
           '3,30,1.0,1.2,0.5,0.5,0.5,0.0001,50,0.1,9,0\n')
CONFIG = """model:
  kind: maxmvit
  views:
    cqt: {backbone: {kind: timm, name: maxvit_base_tf_224}}
    mel: {backbone: {kind: mvitv2}}
    mfcc: null
  fusion: {kind: gmu}
"""


def make_run(run, *, test=tuple('stuvwx'), train=tuple('abcdefgh'), names=NAMES, classes=None, right=0.75, facts=None):
    """A run directory as training leaves it: 5 clips per speaker and class, `right` of the test part answered well."""
    run.mkdir(parents=True)
    classes = names if classes is None else classes
    parts = {'train': train, 'valid': ('p', 'q'), 'test': test}
    rows = [(f'{speaker}-{name}-{i}', speaker if speaker != 'nobody' else '', name, part)
            for part, speakers in parts.items() for speaker in speakers for name in classes for i in range(5)]
    with (run / 'split.csv').open('w', newline='') as file:
        csv.writer(file).writerows([('key', 'speaker', 'label', 'part'), *rows])
    tested = [row for row in rows if row[3] == 'test']
    rng = np.random.default_rng(list(run.name.encode()))
    labels = np.array([names.index(row[2]) for row in tested])
    said = np.where(rng.random(len(labels)) < right, labels, rng.integers(0, len(names), len(labels)))
    probabilities = np.full((len(labels), len(names)), 0.1)
    probabilities[np.arange(len(labels)), said] += 1 - 0.1 * len(names)
    Predictions.from_probabilities([row[0] for row in tested], [row[1] or None for row in tested], labels,
                                   probabilities, names).write_csv(run / 'predictions.csv')
    (run / 'labels.json').write_text(json.dumps(list(names)))
    (run / 'config.yaml').write_text(CONFIG)
    (run / 'metrics.csv').write_text(HISTORY)
    data = {'protocol': 'speaker: 8 + 2 + 6 speakers, seed 0', 'protocol_kind': 'speaker', 'speaker_disjoint': True,
            'notes': [], 'synthetic': False, 'digest': 'abc'}
    (run / 'data.json').write_text(json.dumps(data | (facts or {})))
    return run


def refused(run, evaluation=FAST):
    with pytest.raises(SerError) as error:
        evaluate_run(run, evaluation)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_everything_is_written_and_agrees(tmp_path):
    run = make_run(tmp_path / 'run one')
    metrics = evaluate_run(run, FAST)
    assert json.loads((run / 'test_metrics.json').read_text()) == metrics
    promised = ('ua', 'ua_interval', 'wa', 'wa_interval', 'macro_f1', 'weighted_f1', 'log_loss', 'per_class', 'n',
                'n_speakers', 'interval_method', 'protocol', 'speaker_disjoint', 'best_epoch')
    assert tuple(metrics)[:len(promised)] == promised
    assert (metrics['n'], metrics['n_speakers'], metrics['best_epoch'], metrics['chance']) == (120, 6, 2, 0.25)
    assert metrics['ua_interval'][0] < metrics['ua'] < metrics['ua_interval'][1] and metrics['excludes_chance']
    assert metrics['interval_method'].startswith('two-stage bootstrap')
    assert metrics['notes'] == []
    kept = read_csv(run / 'predictions.csv')
    assert metrics['ua'] == scores(kept.label_ids, kept.predicted_ids, kept.probabilities, NAMES)['ua']
    with (run / 'confusion_matrix.csv').open(newline='') as file:
        assert [[int(n) for n in row[1:]] for row in list(csv.reader(file))[1:]] == metrics['confusion_matrix']
    for name in ('confusion_matrix.png', 'curves.png', 'class_distribution.png'):
        assert (run / name).read_bytes().startswith(b'\x89PNG') and (run / name).stat().st_size > 5000
    assert not [path for path in run.iterdir() if path.name.startswith('.')]


@pytest.mark.slow
def test_evaluating_twice_gives_the_same_text(tmp_path):
    run = make_run(tmp_path / 'run')
    evaluate_run(run, FAST)
    texts = {name: (run / name).read_text() for name in ('test_metrics.json', 'README.md', 'confusion_matrix.csv')}
    evaluate_run(run, FAST)
    assert texts == {name: (run / name).read_text() for name in texts}


def test_the_card_says_what_how_and_how_well(tmp_path):
    run = make_run(tmp_path / 'run one')
    metrics = evaluate_run(run, FAST)
    card = (run / 'README.md').read_text()
    assert card.startswith('# run one\n') and 'tells 4 classes apart: neutral, happy, sad, angry.' in card
    assert '`maxmvit`, cqt: maxvit_base_tf_224, mel: mvitv2, fusion gmu' in card
    assert summary_lines(metrics)[0] in card and metrics['interval_method'] in card
    assert 'No test speaker is in training or validation.' in card and 'The interval of UA excludes chance.' in card
    assert "ser predict CLIP.wav --model 'run one'" in card and 'those of epoch 2' in card
    assert str(tmp_path) not in card


def test_summary_of_unseen_speakers(tmp_path):
    metrics = evaluate_run(make_run(tmp_path / 'run'), FAST)
    metrics |= {'ua': 0.632, 'ua_interval': [0.551, 0.704], 'wa': 0.64, 'wa_interval': [0.5, 0.7], 'macro_f1': 0.6}
    assert summary_lines(metrics) == ['test (6 unseen speakers, 120 clips): UA 63.2 % [55.1, 70.4], WA 64.0 % '
                                      '[50.0, 70.0], macro-F1 60.0 %; chance 25.0 %']
    table = per_class_lines(metrics)
    assert table[0].split() == ['class', 'precision', 'recall', 'F1', 'clips'] and len(table) == 6
    assert table[2].startswith('neutral') and table[2].endswith(' 30')


def test_a_speaker_dependent_score_is_labelled_everywhere(tmp_path):
    run = make_run(tmp_path / 'run', train=tuple('stuvwx'), test=tuple('yz') + tuple('klmn'),
                   facts={'protocol_kind': 'utterance', 'protocol': 'utterance: 20 % of the clips',
                          'speaker_disjoint': False})
    metrics = evaluate_run(run, FAST)
    lines = summary_lines(metrics)
    assert lines[0].startswith('test (6 speakers, 120 clips, speaker-dependent): UA ')
    assert lines[1] == 'speaker-dependent: speakers or recordings of the test are in training, so this is optimistic'
    card = (run / 'README.md').read_text()
    assert f'**{lines[1]}**' in card and 'Clips were drawn at random' in card


def test_warnings_of_a_doubtful_score(tmp_path):
    run = make_run(tmp_path / 'run', test=('nobody',), classes=('neutral', 'happy', 'sad'),
                   facts={'speaker_disjoint': None, 'synthetic': True, 'notes': ['test lacks angry']})
    metrics = evaluate_run(run, FAST)
    lines = summary_lines(metrics)
    assert lines[0].startswith('test (15 clips, speakers unknown): UA ') and metrics['n_speakers'] is None
    assert lines[1:] == [
        'speakers unknown: the same speakers may be in training, so this may be optimistic',
        'synthetic speech, made for trying the software: the score says nothing about real voices',
        'the intervals do not cover new speakers: speakers are unknown, so clips were resampled',
        'no test clip is angry: UA, macro-F1 and chance are over the other 3 of 4 classes',
        'test lacks angry']
    assert metrics['absent_classes'] == ['angry'] and metrics['chance'] == pytest.approx(1 / 3)
    assert all(line in (run / 'README.md').read_text() for line in lines)
    assert 'n/a' in per_class_lines(metrics)[-1]


def test_one_speaker_and_a_perfect_score_are_doubted(tmp_path):
    lines = summary_lines(evaluate_run(make_run(tmp_path / 'run', test=('s',), right=1.1), FAST))
    assert lines[0].startswith('test (1 unseen speaker, 20 clips): UA 100.0 % [100.0, 100.0]')
    assert 'the intervals do not cover new speakers: only 1 test speaker, so clips were resampled' in lines
    assert any(line.startswith('the interval of UA has no width') for line in lines)


def test_chance_inside_the_interval_is_said(tmp_path):
    run = make_run(tmp_path / 'run', right=0.0)
    metrics = evaluate_run(run, FAST)
    assert not metrics['excludes_chance'] and summary_lines(metrics)[0].endswith('25.0 % (inside the interval of UA)')
    assert 'does not show that the model does better than guessing' in (run / 'README.md').read_text()


def test_the_config_of_evaluation_is_used(tmp_path):
    run = make_run(tmp_path / 'run')
    wide = evaluate_run(run, EvaluationConfig(bootstrap=300, confidence=0.99))
    narrow = evaluate_run(run, EvaluationConfig(bootstrap=300, confidence=0.5))
    other = evaluate_run(run, EvaluationConfig(bootstrap=300, confidence=0.5, seed=1))
    assert wide['ua_interval'][0] < narrow['ua_interval'][0] and '300 resamples, 99 %' in wide['interval_method']
    assert narrow['ua_interval'] != other['ua_interval'] and narrow['ua'] == other['ua']


@pytest.mark.parametrize('name', ['config.yaml', 'labels.json', 'metrics.csv', 'data.json', 'split.csv',
                                  'predictions.csv'])
def test_a_missing_or_broken_file_is_named(tmp_path, name):
    run = make_run(tmp_path / 'run')
    for text in ('{"a": [', '', '\x00'):
        (run / name).write_text(text)
        assert refused(run).startswith(f'{run / name}')
    (run / name).unlink()
    told = refused(run)
    # Without its config.yaml the folder is no run that could be resumed.
    named = 'RUN' if name == 'config.yaml' else run
    assert told.startswith(f'{run / name}: no such file') and told.endswith(f'python -m ser.train --resume {named}')
    assert not (run / 'test_metrics.json').exists()


@pytest.mark.parametrize(('name', 'old', 'new', 'message'), [
    ('config.yaml', 'model:', 'modle:', "no section 'model'"),
    ('labels.json', '"sad"', '"happy"', 'at least two different class names'),
    ('labels.json', '[', '{"a": [', 'not JSON'),
    ('labels.json', '"sad", "angry"]', '"angry", "sad"]', 'but labels.json says neutral, happy, angry, sad'),
    ('metrics.csv', ',1\n', ',0\n', 'no epoch is marked best'),
    ('metrics.csv', 'valid_ua', 'valid_uar', "metrics.csv:1: no column 'valid_ua'; wanted: epoch, train_loss"),
    ('metrics.csv', '1.5,', 'x,', "metrics.csv:2: train_loss is 'x', a number is wanted"),
    ('data.json', '"synthetic"', '"synth"', "no key 'synthetic'"),
    ('data.json', 'true', '"yes"', "'speaker_disjoint' is 'yes'; true, false or null is wanted"),
    ('split.csv', 's-sad-0,s,sad,test', 's-sad-0,s,sad,exam', "part 'exam'; allowed: train, valid, test, or empty"),
    ('split.csv', 's-sad-0,s,sad,test', 's-sad-0,s,joy,test', "label 'joy'; allowed: neutral, happy, sad, angry"),
    ('split.csv', 's-sad-0,s,sad,test', 's-sad-0,s,sad,train', '1 clip too many, for one s-sad-0'),
    ('split.csv', 'a-sad-0,a,sad,train', 'a-sad-0,a,sad,test', '1 clip missing, for one a-sad-0'),
    ('split.csv', 's-sad-0,s,sad,test', 's-sad-0,s,happy,test', 'clip s-sad-0 is sad, split.csv says happy'),
    ('split.csv', 's-sad-0,s,sad,test', 's-sad-1,s,sad,test', 'clip s-sad-1 is in line'),
    ('split.csv', 'a-sad-0,a,sad,train', 'a-sad-0,s,sad,train', 'speaker_disjoint is true, but in split.csv test '
     'speaker s is in training'),
])
def test_files_at_odds_are_refused(tmp_path, name, old, new, message):
    run = make_run(tmp_path / 'run')
    text = (run / name).read_text()
    assert old in text
    (run / name).write_text(text.replace(old, new))
    assert message in refused(run)


def folds_of(tmp_path, **changes):
    return [make_run(tmp_path / f'fold{i}', test=tuple(test), train=tuple(train), facts={
        'protocol_kind': 'speaker-kfold', 'protocol': f'fold {i} of 2', 'notes': [f'note {i}']}, **changes)
        for i, (test, train) in enumerate([('stu', 'vwx'), ('vwx', 'stu')], start=1)]


def test_pooled_folds_score_every_clip_once(tmp_path):
    runs, out = folds_of(tmp_path), tmp_path / 'pooled'
    metrics = pool_folds(runs, out, FAST)
    parts = [read_csv(run / 'predictions.csv') for run in runs]
    pooled = read_csv(out / 'predictions.csv')
    assert pooled.keys == parts[0].keys + parts[1].keys and metrics['n'] == 120 and metrics['n_speakers'] == 6
    single = [scores(p.label_ids, p.predicted_ids, p.probabilities, NAMES)['ua'] for p in parts]
    assert [fold['ua'] for fold in metrics['folds']] == single
    assert single[0] != single[1] and metrics['fold_ua_mean'] == pytest.approx(np.mean(single))
    assert metrics['fold_ua_sd'] == pytest.approx(abs(single[0] - single[1]) / np.sqrt(2))
    assert metrics['ua'] == scores(pooled.label_ids, pooled.predicted_ids, pooled.probabilities, NAMES)['ua']
    assert metrics['speaker_disjoint'] is True and metrics['best_epoch'] is None
    assert metrics['interval_method'].startswith('two-stage')
    assert metrics['notes'] == ['40 of 160 clips are in the test part of none of these folds']
    assert json.loads((out / 'test_metrics.json').read_text()) == metrics
    assert (out / 'confusion_matrix.png').exists() and (out / 'confusion_matrix.csv').exists()
    card = (out / 'README.md').read_text()
    assert '| fold1 |' in card and 'note 2' in card
    assert summary_lines(metrics)[1].startswith('UA per fold: ')


def test_folds_that_do_not_fit_together_are_refused(tmp_path):
    runs = folds_of(tmp_path)
    other = make_run(tmp_path / 'other', test=('k', 'l'), names=('neutral', 'happy'))
    plain = make_run(tmp_path / 'plain', test=('k', 'l'))
    for given, out, message in [
            (runs[:1], tmp_path / 'out', '1 fold(s) to pool'),
            (runs, runs[0], 'is a run directory'),
            ([runs[0], runs[0]], tmp_path / 'out', 'tests clip s-neutral-0, which'),
            ([runs[0], other], tmp_path / 'out', 'only folds of one label set'),
            ([runs[0], plain], tmp_path / 'out', "protocol 'speaker', but"),
            ([runs[0], tmp_path / 'nowhere'], tmp_path / 'out', 'no such file')]:
        with pytest.raises(SerError) as error:
            pool_folds(given, out, FAST)
        assert message in str(error.value) and '\n' not in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_a_speaker_dependent_fold_makes_the_pool_dependent(tmp_path):
    runs = folds_of(tmp_path)
    path = runs[1] / 'data.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'speaker_disjoint': False, 'synthetic': True}))
    metrics = pool_folds(runs, tmp_path / 'out', FAST)
    assert metrics['speaker_disjoint'] is False and metrics['synthetic']
    assert metrics['notes'][0].startswith('speaker-dependent')
