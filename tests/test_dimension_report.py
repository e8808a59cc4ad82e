"""Files of a run that predicts dimensions in; scores, pictures and model card out; folds pooled."""

import csv
import json

import numpy as np
import pytest

from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation.dimension_metrics import dimension_scores
from ser.evaluation.dimension_report import score
from ser.evaluation.dimensions import DimensionPredictions, read_csv
from ser.evaluation.report import evaluate_run, pool_folds
from ser.evaluation.run_files import Facts
from ser.evaluation.summary import per_class_lines, summary_lines
from tests.test_report import make_run as make_run_of_classes

NAMES = ('arousal', 'valence', 'dominance')
FAST = EvaluationConfig(bootstrap=200)
HISTORY = ('epoch,steps,train_loss,valid_loss,valid_ccc,lr,clips_per_second,data_wait,seconds,best\n'
           '1,10,0.9,0.8,0.2,0.001,50,0.1,9,1\n2,20,0.6,0.5,0.5,0.0005,50,0.1,9,1\n'
           '3,30,0.4,0.6,0.4,0.0001,50,0.1,9,0\n')
CONFIG = 'model:\n  kind: maxmvit\n  views:\n    mel: {backbone: {kind: mvitv2}}\n'


def make_run(run, *, test=tuple('stuvwx'), train=tuple('abcdefgh'), names=NAMES, skill=0.8, facts=None):
    """A run directory as training leaves it: 20 clips per speaker, labels from 1 to 7, heard with some `skill`."""
    run.mkdir(parents=True)
    parts = {'train': train, 'valid': ('p', 'q'), 'test': test}
    rows = [(f'{speaker}-{i}', speaker if speaker != 'nobody' else '', ('low', 'middle', 'high')[i % 3], part)
            for part, speakers in parts.items() for speaker in speakers for i in range(20)]
    with (run / 'split.csv').open('w', newline='') as file:
        csv.writer(file).writerows([('key', 'speaker', 'label', 'part'), *rows, ('unlabelled', 'a', '', '')])
    tested = [row for row in rows if row[3] == 'test']
    rng = np.random.default_rng(list(run.name.encode()))
    truth = rng.integers(1, 8, (len(tested), len(names))).astype(float)
    predicted = 4 + skill * (truth - 4) + rng.normal(scale=0.8, size=truth.shape)
    DimensionPredictions([row[0] for row in tested], [row[1] or None for row in tested], truth, predicted,
                         names).write_csv(run / 'predictions.csv')
    task = {'kind': 'dimensions', 'names': list(names), 'mean': [4.0] * len(names), 'std': [1.5] * len(names),
            'unit': [[1, 7]] * len(names)}
    data = {'protocol': 'speaker: 8 + 2 + 6 speakers, seed 0', 'protocol_kind': 'speaker', 'speaker_disjoint': True,
            'notes': [], 'synthetic': False, 'digest': 'abc'} | (facts or {})
    for name, value in (('labels.json', list(names)), ('task.json', task), ('data.json', data)):
        (run / name).write_text(json.dumps(value))
    (run / 'config.yaml').write_text(CONFIG)
    (run / 'metrics.csv').write_text(HISTORY)
    return run


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures take nearly all of the time."""
    for name in ('plot_scatter', 'plot_curves'):
        monkeypatch.setattr(f'ser.evaluation.dimension_report.{name}', lambda *given: None)


def rewrite(run, **columns):
    """The run's predictions with other truth or predicted columns: functions of the numbers there."""
    old = read_csv(run / 'predictions.csv')
    truth, predicted = (columns.get(field, lambda values: values)(getattr(old, field).copy())
                        for field in ('truth', 'predicted'))
    DimensionPredictions(old.keys, old.speakers, truth, predicted, old.names).write_csv(run / 'predictions.csv')


def test_everything_is_written_and_agrees(tmp_path):
    run = make_run(tmp_path / 'run one')
    metrics = evaluate_run(run, FAST)
    assert json.loads((run / 'test_metrics.json').read_text()) == metrics
    assert tuple(metrics) == ('task', 'mean_ccc', 'mean_ccc_interval', 'per_dimension', 'n', 'n_speakers',
                              'interval_method', 'protocol', 'protocol_kind', 'speaker_disjoint', 'synthetic',
                              'best_epoch', 'covers_new_speakers', 'excludes_chance', 'notes', 'origin')
    assert (metrics['task'], metrics['n'], metrics['n_speakers'], metrics['best_epoch']) == ('dimensions', 120, 6, 2)
    assert metrics['excludes_chance'] and metrics['covers_new_speakers'] and metrics['notes'] == []
    assert metrics['interval_method'].startswith('two-stage bootstrap')
    kept = read_csv(run / 'predictions.csv')
    for name, expected in dimension_scores(kept.truth, kept.predicted, NAMES).items():
        found = dict(metrics['per_dimension'][name])
        low, high = found.pop('ccc_interval')
        assert found == expected and low < found['ccc'] < high
    assert metrics['mean_ccc'] == np.mean([scores['ccc'] for scores in metrics['per_dimension'].values()])
    assert metrics['mean_ccc_interval'][0] < metrics['mean_ccc'] < metrics['mean_ccc_interval'][1]
    for name in ('scatter.png', 'curves.png'):
        assert (run / name).read_bytes().startswith(b'\x89PNG') and (run / name).stat().st_size > 5000
    assert not [path for path in run.iterdir() if path.name.startswith('.')]


def test_evaluating_twice_gives_the_same_text(tmp_path, no_pictures):
    run = make_run(tmp_path / 'run')
    evaluate_run(run, FAST)
    texts = {name: (run / name).read_text() for name in ('test_metrics.json', 'README.md')}
    evaluate_run(run, FAST)
    assert texts == {name: (run / name).read_text() for name in texts}


def test_the_card_says_what_how_and_how_well(tmp_path, no_pictures):
    run = make_run(tmp_path / 'run one')
    metrics = evaluate_run(run, FAST)
    card = (run / 'README.md').read_text()
    assert card.startswith('# run one\n') and 'predicts 3 dimensions: arousal, valence, dominance.' in card
    assert '`maxmvit`, mel: mvitv2' in card and '| arousal | 1 | 7 | 4.000 | 1.500 |' in card
    assert summary_lines(metrics)[0] in card and metrics['interval_method'] in card
    assert 'No test speaker is in training or validation.' in card
    assert 'The interval of the mean CCC excludes chance.' in card
    assert 'those of epoch 2, the best mean CCC on the validation part' in card
    assert "ser predict CLIP.wav --model 'run one'" in card and str(tmp_path) not in card


def test_summary_and_table(tmp_path, no_pictures):
    metrics = evaluate_run(make_run(tmp_path / 'run', names=('arousal', 'valence')), FAST)
    scores = {'ccc': 0.613, 'ccc_interval': [0.52, 0.679], 'pearson': None, 'rmse': 0.5, 'mae': 0.25,
              'truth_mean': 4, 'truth_sd': 1.5}
    metrics |= {'mean_ccc': 0.3, 'mean_ccc_interval': [-0.001, 0.4],
                'per_dimension': {'arousal': scores, 'valence': scores}}
    line = ('test (6 unseen speakers, 120 clips): CCC arousal 0.61 [0.52, 0.68], valence 0.61 [0.52, 0.68], '
            'mean 0.30 [0.00, 0.40]')
    assert summary_lines(metrics) == [line]
    assert summary_lines(metrics | {'excludes_chance': False})[0] == \
        f'{line}; chance 0 (inside the interval of the mean)'
    table = per_class_lines(metrics)
    assert table[0].startswith('dimension ') and len(table) == 4
    assert table[2].split() == ['arousal', '0.61', '[0.52,', '0.68]', 'n/a', '0.500', '0.250', '4.000', '1.500']


def test_warnings_of_a_doubtful_score(tmp_path, no_pictures):
    run = make_run(tmp_path / 'run', test=('nobody',), facts={'speaker_disjoint': None, 'synthetic': True,
                                                              'notes': ['a remark']})
    rewrite(run, predicted=lambda values: values * [1, 0, 1] + [0, 4, 0], truth=lambda values: values * [1, 1, 0])
    metrics = evaluate_run(run, FAST)
    lines = summary_lines(metrics)
    assert lines[0].startswith('test (20 clips, speakers unknown): CCC arousal 0.') and metrics['n_speakers'] is None
    assert lines[1:] == [
        'speakers unknown: the same speakers may be in training, so this may be optimistic',
        'synthetic speech, made for trying the software: the score says nothing about real voices',
        'the intervals do not cover new speakers: speakers are unknown, so clips were resampled',
        'dominance: the truth of every clip is 0, so CCC is 0 and Pearson r unknown',
        'valence: the prediction of every clip is 4, so CCC is 0 and Pearson r unknown',
        'a remark']
    assert all(line in (run / 'README.md').read_text() for line in lines) and not metrics['covers_new_speakers']


def test_a_speaker_dependent_score_is_labelled_everywhere(tmp_path, no_pictures):
    run = make_run(tmp_path / 'run', facts={'protocol_kind': 'utterance', 'speaker_disjoint': False})
    lines = summary_lines(evaluate_run(run, FAST))
    assert lines[0].startswith('test (6 speakers, 120 clips, speaker-dependent): CCC ')
    assert lines[1].startswith('speaker-dependent: ') and f'**{lines[1]}**' in (run / 'README.md').read_text()


@pytest.mark.parametrize(('change', 'excludes', 'verdict'), [
    (lambda values: values[::-1], False, 'does not show that the model does better than guessing'),
    (lambda values: 8 - values, True, 'the model is worse than guessing'),
    (lambda values: values * 0, False, 'does not show that the model does better than guessing')])
def test_a_model_that_only_guesses_is_told_so(tmp_path, no_pictures, change, excludes, verdict):
    run = make_run(tmp_path / 'run')
    rewrite(run, predicted=change)
    metrics = evaluate_run(run, FAST)
    assert metrics['excludes_chance'] is excludes and verdict in (run / 'README.md').read_text()
    no_width = metrics['mean_ccc_interval'][0] == metrics['mean_ccc_interval'][1]
    assert any('no width' in note for note in metrics['notes']) is no_width


def test_the_config_of_evaluation_is_used(tmp_path):
    predictions = read_csv(make_run(tmp_path / 'run') / 'predictions.csv')
    wide, narrow, other = (score(predictions, Facts('given', 'given', True), EvaluationConfig(bootstrap=300, **given))
                           for given in ({'confidence': 0.99}, {'confidence': 0.5}, {'confidence': 0.5, 'seed': 1}))
    assert wide['mean_ccc_interval'][0] < narrow['mean_ccc_interval'][0]
    assert '300 resamples, 99 %' in wide['interval_method']
    assert narrow['mean_ccc_interval'] != other['mean_ccc_interval'] and narrow['mean_ccc'] == other['mean_ccc']


def folds_of(tmp_path, **changes):
    return [make_run(tmp_path / f'fold{i}', test=tuple(test), train=tuple(train), facts={
        'protocol_kind': 'speaker-kfold', 'protocol': f'fold {i} of 3', 'notes': [f'note {i}'], 'fold': i, 'folds': 3},
        **changes) for i, (test, train) in enumerate([('stu', 'vwx'), ('vwx', 'stu')], start=1)]


def test_pooled_folds_score_every_clip_once(tmp_path):
    runs, out = folds_of(tmp_path), tmp_path / 'pooled'
    metrics = pool_folds(runs, out, FAST)
    parts = [read_csv(run / 'predictions.csv') for run in runs]
    pooled = read_csv(out / 'predictions.csv')
    assert pooled.keys == parts[0].keys + parts[1].keys and metrics['n'] == 120 and metrics['n_speakers'] == 6
    assert metrics['per_dimension']['valence']['ccc'] == \
        dimension_scores(pooled.truth, pooled.predicted, NAMES)['valence']['ccc']
    single = [dimension_scores(part.truth, part.predicted, NAMES) for part in parts]
    assert [fold['ccc'] for fold in metrics['folds']] == [{name: found[name]['ccc'] for name in NAMES}
                                                          for found in single]
    means = [np.mean([found[name]['ccc'] for name in NAMES]) for found in single]
    assert metrics['fold_ccc_mean'] == pytest.approx(np.mean(means))
    assert metrics['fold_ccc_sd'] == pytest.approx(abs(means[0] - means[1]) / np.sqrt(2))
    assert metrics['speaker_disjoint'] is True and metrics['best_epoch'] is None and metrics['missing_folds'] == [3]
    assert metrics['notes'] == ['incomplete: fold 3 missing',
                                '40 of 160 clips are in the test part of none of these folds']
    assert metrics['protocol'] == 'speaker-kfold, 2 of 3 folds pooled (incomplete: fold 3 missing)'
    assert json.loads((out / 'test_metrics.json').read_text()) == metrics
    assert sorted(path.name for path in out.iterdir()) == ['README.md', 'labels.json', 'predictions.csv',
                                                           'scatter.png', 'test_metrics.json']
    card = (out / 'README.md').read_text()
    assert '| fold1 |' in card and 'note 2' in card and '**fold 3 is missing' in card
    line = summary_lines(metrics)[1]
    assert line.startswith('CCC per fold (mean of the dimensions): 0.') and line in card


def test_folds_that_do_not_fit_together_are_refused(tmp_path):
    runs = folds_of(tmp_path)
    other = make_run(tmp_path / 'other', test=('k', 'l'), names=('arousal', 'valence'))
    classes = make_run_of_classes(tmp_path / 'classes', test=('k', 'l'))
    for given, message in [
            ([runs[0], runs[0]], 'tests clip s-0, which'),
            ([runs[0], other], f'{other}: classes arousal, valence, but'),
            ([runs[0], classes], f'{classes}: has no task.json, so it tells emotions apart, but {runs[0]} predicts '
             'dimensions; only folds of one task can be pooled'),
            ([runs[0], tmp_path / 'nowhere'], 'nowhere: has no task.json')]:
        with pytest.raises(SerError) as error:
            pool_folds(given, tmp_path / 'out', FAST)
        assert message in str(error.value) and '\n' not in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_a_speaker_dependent_fold_makes_the_pool_dependent(tmp_path, no_pictures):
    runs = folds_of(tmp_path)
    path = runs[1] / 'data.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'speaker_disjoint': False, 'synthetic': True}))
    metrics = pool_folds(runs, tmp_path / 'out', FAST)
    assert metrics['speaker_disjoint'] is False and metrics['synthetic']
    assert metrics['notes'][0].startswith('incomplete') and metrics['notes'][1].startswith('speaker-dependent')
