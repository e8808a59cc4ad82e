"""Seeds: the mean and its interval, how far they are apart, the ensemble, and the command that trains them."""

import json

import numpy as np
import pytest
import torch

from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation.intervals import bootstrap_intervals
from ser.evaluation.metrics import scores
from ser.evaluation.paired import Answers, mean_intervals
from ser.evaluation.predictions import read_csv
from ser.evaluation.repeats import ensemble_of, pool_seeds, refuse_same_weights, seed_lines, spread
from ser.evaluation.sides import read_side
from ser.files import sha256_of
from ser.train import main
from ser.training import series
from tests.pretend import pretender
from tests.shard_factory import make_shards
from tests.test_report import NAMES, make_run
from tests.test_sides import make_folds
from tests.tiny import ASSIGNMENTS

FAST = EvaluationConfig(bootstrap=300)


def make_seeds(folder, *numbers):
    runs = [make_run(folder / f'seed-{number}') for number in numbers]
    for run in runs:
        (run / 'best.safetensors').write_bytes(run.name.encode())
    return runs


def test_every_score_is_the_mean_over_seeds(tmp_path):
    runs = make_seeds(tmp_path, 3, 4, 11)
    metrics = pool_seeds(runs, tmp_path, FAST)
    parts = [read_csv(run / 'predictions.csv') for run in runs]
    each = [scores(p.label_ids, p.predicted_ids, p.probabilities, NAMES) for p in parts]
    for name in ('ua', 'wa', 'macro_f1', 'weighted_f1', 'log_loss'):
        assert metrics[name] == pytest.approx(np.mean([one[name] for one in each])), name
    assert metrics['per_class']['sad']['recall'] == pytest.approx(
        np.mean([one['per_class']['sad']['recall'] for one in each]))
    assert np.array_equal(metrics['confusion_matrix'], sum(np.array(one['confusion_matrix']) for one in each))
    assert [one['seed'] for one in metrics['seeds']] == [3, 4, 11]
    assert [one['ua'] for one in metrics['seeds']] == [one['ua'] for one in each]
    values = [one['ua'] for one in each]
    assert metrics['seed_ua'] == {'mean': pytest.approx(np.mean(values)), 'sd': pytest.approx(np.std(values, ddof=1)),
                                  'min': min(values), 'max': max(values)}
    intervals = mean_intervals(Answers.of(read_side(tmp_path).repeats), read_side(tmp_path).repeats[0].predicted_ids,
                               resamples=300, confidence=0.95, seed=0)
    assert metrics['ua_interval'] == list(intervals.ua) and 'mean over 3 seeds' in metrics['interval_method']
    assert (metrics['n'], metrics['n_speakers'], metrics['best_epoch']) == (120, 6, None)


def test_the_ensemble_is_scored_and_labelled_apart(tmp_path):
    runs = make_seeds(tmp_path, 0, 1, 2)
    metrics = pool_seeds(runs, tmp_path, FAST)
    written = read_csv(tmp_path / 'predictions.csv')
    sides = read_side(tmp_path).repeats
    assert np.allclose(written.probabilities, np.mean([part.probabilities for part in sides], axis=0))
    own = scores(written.label_ids, written.predicted_ids, written.probabilities, NAMES)
    assert metrics['ensemble']['ua'] == own['ua'] != metrics['ua'] and 'mean of the prob' in metrics['ensemble']['what']
    assert metrics['ensemble']['ua_interval'] == list(bootstrap_intervals(
        written.label_ids, written.predicted_ids, written.speakers, resamples=300).ua)
    assert ensemble_of(sides).predicted == written.predicted


def test_everything_is_written_and_said(tmp_path):
    metrics = pool_seeds(make_seeds(tmp_path, 0, 1), tmp_path, FAST)
    assert json.loads((tmp_path / 'test_metrics.json').read_text()) == json.loads(json.dumps(metrics))
    card = (tmp_path / 'README.md').read_text()
    assert '2 runs that differ in `run.seed` alone' in card and '| 1 | seed-1 |' in card and '## Ensemble' in card
    assert (tmp_path / 'confusion_matrix.png').exists() and (tmp_path / 'labels.json').exists()
    lines = seed_lines(metrics)
    assert lines[0].startswith('mean over 2 seeds, test (6 unseen speakers, 120 clips): UA ')
    assert lines[-2].startswith('UA per seed: ') and '(0), ' in lines[-2] and 'standard deviation ' in lines[-2]
    assert lines[-1].startswith('ensemble: the mean of the probabilities of all seeds: UA ')


def test_seeds_of_folds_are_pooled_over_both(tmp_path):
    for seed in (0, 1):
        make_folds(tmp_path / f'seed-{seed}')
    metrics = pool_seeds([tmp_path / 'seed-0', tmp_path / 'seed-1'], tmp_path, FAST)
    assert metrics['n'] == 120 and metrics['protocol'] == 'speaker-kfold, 2 folds pooled, 2 seeds'


def test_missing_seeds_are_said_first(tmp_path):
    metrics = pool_seeds(make_seeds(tmp_path, 0, 2), tmp_path, FAST, missing=(1, 3))
    assert metrics['notes'][0] == 'incomplete: seeds 1, 3 missing'
    assert '**incomplete: seeds 1, 3 missing**' in (tmp_path / 'README.md').read_text()


def test_the_same_weights_twice_are_refused(tmp_path):
    runs = make_seeds(tmp_path, 0, 1, 2)
    refuse_same_weights(runs)
    (runs[2] / 'best.safetensors').write_bytes((runs[0] / 'best.safetensors').read_bytes())
    with pytest.raises(SerError) as error:
        pool_seeds(runs, tmp_path, FAST)
    assert str(error.value) == (f'{runs[2]}: the same weights as {runs[0]}, bit for bit: seeds did not change anything '
                                'here, so these are no repeats')
    assert not (tmp_path / 'test_metrics.json').exists()
    (runs[2] / 'best.safetensors').unlink()
    refuse_same_weights(runs)


def test_the_same_weights_in_one_fold_are_refused(tmp_path):
    seeds = [tmp_path / f'seed-{seed}' for seed in (0, 1)]
    for seed in seeds:
        for fold in make_folds(seed):
            (fold / 'best.safetensors').write_bytes(f'{fold.name == "fold-01" or seed.name}'.encode())
    with pytest.raises(SerError, match=r'seed-1.fold-01: the same weights as .*seed-0.fold-01'):
        refuse_same_weights(seeds)


def test_what_is_no_set_of_seeds_is_refused(tmp_path):
    runs = make_seeds(tmp_path, 0, 1)
    with pytest.raises(SerError, match='1 seed to pool; at least two'):
        pool_seeds(runs[:1], tmp_path, FAST)
    with pytest.raises(SerError, match='is a run directory'):
        pool_seeds(runs, runs[0], FAST)


def test_the_spread_by_hand():
    assert spread([0.5, 0.7, 0.6]) == {'mean': pytest.approx(0.6), 'sd': pytest.approx(0.1), 'min': 0.5, 'max': 0.7}


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


def arguments(shards, out, *more, seeds=2):
    return ['--shards', str(shards), '--out', str(out), '--seeds', str(seeds), '--set', *ASSIGNMENTS,
            'training.epochs=1', *more]


@pytest.mark.slow
def test_seeds_are_trained_on_one_split_and_stay(shards, tmp_path, capfd):
    out, threads = tmp_path / 'seeds', torch.get_num_threads()
    assert main(arguments(shards, out, 'run.seed=5')) == 0
    runs = [out / 'seed-5', out / 'seed-6']
    # What may come next is said of all of them.
    assert [line for line in capfd.readouterr().err.splitlines() if 'next: ' in line] == [f'next: ser report {out}']
    assert len({sha256_of(run / 'best.safetensors') for run in runs}) == 2
    assert len({sha256_of(run / 'split.csv') for run in runs}) == 1
    first = json.loads((out / 'test_metrics.json').read_text())
    assert [one['seed'] for one in first['seeds']] == [5, 6]
    capfd.readouterr()
    assert main(arguments(shards, out, 'run.seed=5')) == 0
    said = capfd.readouterr().err
    assert said.count('already done') == 2 and 'UA per seed: ' in said
    assert json.loads((out / 'test_metrics.json').read_text()) == first
    torch.set_num_threads(threads)


KFOLD = 'protocol={kind: speaker-kfold, folds: 3}'


def test_every_fold_of_every_seed(shards, tmp_path, monkeypatch, capfd):
    trained, out = [], tmp_path / 'x'
    monkeypatch.setattr(series, '_train', pretender(trained=trained))
    assert main([*arguments(shards, out, KFOLD), '--folds', 'all']) == 0
    assert [label.split(' (')[0] for label in trained] == [f'seed {seed}, fold {fold} of 3' for seed in (0, 1)
                                                           for fold in (1, 2, 3)]
    metrics = json.loads((out / 'test_metrics.json').read_text())
    assert metrics['n'] == 64 and metrics['interval_method'].startswith('two-stage bootstrap (speakers')
    said = capfd.readouterr().err.splitlines()
    mean = next(line for line in said if line.startswith('mean over 2 seeds, test (8 unseen speakers, 64 clips): UA '))
    low, high = metrics['ua_interval']
    assert f"UA {100 * metrics['seed_ua']['mean']:.1f} % [{100 * low:.1f}, {100 * high:.1f}]" in mean
    assert said[-2:] == [f'next: ser report {out}', f'      ser compare {out} OTHER']
    spread_line = next(line for line in said if line.startswith('UA per seed: '))
    assert f"standard deviation {100 * metrics['seed_ua']['sd']:.1f}, " in spread_line
    assert len(json.loads((out / 'seed-1' / 'test_metrics.json').read_text())['folds']) == 3


@pytest.mark.slow
def test_a_failed_seed_loses_none_of_the_others(shards, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(series, '_train', pretender(failing={'seed 1': SerError('the disk is full')}))
    assert main(arguments(shards, tmp_path / 'x', seeds=3)) == 1
    said = capfd.readouterr().err.splitlines()
    assert said[-1] == 'failed: seed 1: the disk is full' and 'incomplete: seed 1 missing' in said
    assert main(arguments(shards, tmp_path / 'y', seeds=2)) == 2
    assert '1 of 2 seeds finished, so nothing is pooled; seed 1: the disk is full' in capfd.readouterr().err


def test_a_stopped_seed_says_how_to_carry_on(shards, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(series, '_train', pretender(codes={'seed 1': 143}))
    assert main(arguments(shards, tmp_path / 'x')) == 143
    assert f'carries on with the seeds: --seeds 2 --out {tmp_path / "x"}' in capfd.readouterr().err


def test_seeds_that_change_nothing_stop_at_the_second(shards, tmp_path, monkeypatch, capfd):
    trained, real = [], pretender()

    def same(item, place):
        trained.append(item.label)
        code = real(item, place)
        (item.path / 'best.safetensors').write_bytes(b'same')
        return code

    monkeypatch.setattr(series, '_train', same)
    assert main(arguments(shards, tmp_path / 'x', seeds=4)) == 2
    assert 'seeds did not change anything' in capfd.readouterr().err and trained == ['seed 0', 'seed 1']


def test_a_dry_run_shows_the_one_split(shards, tmp_path, capfd):
    assert main([*arguments(shards, tmp_path / 'x', seeds=3), '--dry-run']) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == '3 seeds on one split: 0, 1, 2' and lines[1].startswith('seed 0: speaker (speaker-disjoint): ')
    assert main([*arguments(shards, tmp_path / 'x', KFOLD, seeds=3), '--folds', 'all', '--dry-run']) == 0
    assert sum(' of 3 (speakers' in line for line in capfd.readouterr().out.splitlines()) == 3
    assert main([*arguments(shards, tmp_path / 'x', 'protocol.test_fraction=0.9'), '--dry-run']) == 2
    assert 'leave nothing to train on' in capfd.readouterr().err and not (tmp_path / 'x').exists()


@pytest.mark.parametrize(('more', 'message'), [
    (['--seeds', '1'], '--seeds 1: at least 2, or there is nothing to repeat'),
    (['--seeds', '2', '--resume', 'x'], 'not with --out, --config, --folds, --seeds, --leak-premium or --dry-run'),
    (['--seeds', '2', '--folds', 'all'], "protocol 'speaker' has no folds"),
    (['--seeds', '2', '--set', 'task.kind=dimensions', 'training.loss={kind: ccc}'],
     "--seeds: goes with task.kind 'emotion'")])
def test_options_that_do_not_go_together(shards, more, message, capfd):
    assert main([*(['--shards', str(shards)] if '--resume' not in more else []), *more]) == 2
    assert message in capfd.readouterr().err
