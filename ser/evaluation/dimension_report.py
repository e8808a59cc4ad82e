"""From the files of a run that predicts dimensions to its scores, pictures and model card; and of folds pooled."""

from pathlib import Path

import numpy as np

from ser.evaluation.audit_words import audit_of
from ser.evaluation.dimension_card import folds_card, model_card
from ser.evaluation.dimension_files import KIND, read_task, read_test_part
from ser.evaluation.dimension_metrics import CHANCE, ccc_intervals, dimension_scores, is_constant
from ser.evaluation.dimension_plots import plot_scatter
from ser.evaluation.dimension_words import with_interval
from ser.evaluation.dimensions import DimensionPredictions
from ser.evaluation.gates import gates_of
from ser.evaluation.intervals import excludes
from ser.evaluation.origin import origin_of
from ser.evaluation.plots import plot_curves
from ser.evaluation.reading import read_json
from ser.evaluation.run_files import read_config, read_history
from ser.evaluation.sides import ScoredRun, check_folds, missing_folds, pooled_facts
from ser.evaluation.summary import audience, evidence_warnings
from ser.files import write_json, write_whole


def score(predictions, facts, evaluation):
    """The content of test_metrics.json for some DimensionPredictions.

    facts: run_files.Facts, what the score depends on; evaluation: the config's `evaluation` section.
    """
    per_dimension = dimension_scores(predictions.truth, predictions.predicted, predictions.names)
    intervals = ccc_intervals(predictions.truth, predictions.predicted, predictions.speakers,
                              resamples=evaluation.bootstrap, confidence=evaluation.confidence, seed=evaluation.seed)
    for scores, interval in zip(per_dimension.values(), intervals.ccc, strict=True):
        scores['ccc_interval'] = list(interval)
    return {
        'task': KIND, 'mean_ccc': mean_ccc(per_dimension), 'mean_ccc_interval': list(intervals.mean_ccc),
        'per_dimension': per_dimension, 'n': len(predictions), 'n_speakers': intervals.n_speakers,
        'interval_method': intervals.method, 'protocol': facts.protocol, 'protocol_kind': facts.protocol_kind,
        'speaker_disjoint': facts.speaker_disjoint, 'synthetic': facts.synthetic, 'best_epoch': facts.best_epoch,
        'covers_new_speakers': intervals.covers_new_speakers,
        'excludes_chance': excludes(intervals.mean_ccc, CHANCE), 'notes': _warnings(predictions, facts, intervals),
    }


def mean_ccc(per_dimension):
    """The mean of the dimensions' CCC. per_dimension: as dimension_metrics.dimension_scores gives it."""
    return float(np.mean([scores['ccc'] for scores in per_dimension.values()]))


def _warnings(predictions, facts, intervals):
    lines = evidence_warnings(facts, intervals)
    for what, values in (('truth', predictions.truth), ('prediction', predictions.predicted)):
        lines += [f'{name}: the {what} of every clip is {values[0, i]:.4g}, so CCC is 0 and Pearson r unknown'
                  for i, name in enumerate(predictions.names) if is_constant(values[:, i])]
    if intervals.mean_ccc[0] == intervals.mean_ccc[1]:
        lines.append('the interval of the mean CCC has no width: every resample scores the same, so it understates '
                     'the doubt')
    return lines + [note for note in facts.notes if note not in lines]


def evaluate_run(run, evaluation):
    """report.evaluate_run of a run that predicts dimensions.

    Reads task.json, predictions.csv, labels.json, split.csv, data.json, metrics.csv and config.yaml; writes
    test_metrics.json, scatter.png, curves.png and README.md, and returns the scores. Raises SerError as there.
    """
    run = Path(run)
    config, task, history = read_config(run), read_task(run), read_history(run)
    predictions, facts, _ = read_test_part(run, task['names'])
    metrics = score(predictions, facts, evaluation)
    metrics |= {'audit': audit} if (audit := audit_of(run)) else {}
    metrics |= gates_of(run)
    metrics |= origin_of(run, config)
    dependent = ' (speaker-dependent)' if facts.speaker_disjoint is False else ''
    plot_curves(history, run / 'curves.png', f'Learning curves{dependent}')
    write_scores(run, metrics, predictions, 'Test', model_card(metrics, config, task, run.resolve().name))
    return metrics


def pool_folds(runs, out, evaluation):
    """report.pool_folds of runs that predict dimensions; their number and `out` have been checked.

    Writes predictions.csv, labels.json, test_metrics.json (with `folds`: run, mean_ccc, ccc of each dimension, n,
    n_speakers, best_epoch, protocol, notes of each; `fold_ccc_mean` and `fold_ccc_sd`, mean and sample standard
    deviation of their mean CCC; `missing_folds`, numbers), scatter.png and README.md. Raises SerError as there.
    """
    folds, out = [read_fold(run) for run in runs], Path(out)
    check_folds(folds)
    parts = [fold.predictions for fold in folds]
    pooled = DimensionPredictions(sum((part.keys for part in parts), ()), sum((part.speakers for part in parts), ()),
                                  np.concatenate([part.truth for part in parts]),
                                  np.concatenate([part.predicted for part in parts]), parts[0].names)
    metrics = score(pooled, pooled_facts(folds), evaluation)
    # That folds are missing is the first thing to know.
    metrics['notes'].sort(key=lambda note: not note.startswith('incomplete'))
    rows = [_fold_scores(fold) for fold in folds]
    values = [row['mean_ccc'] for row in rows]
    metrics |= {'folds': rows, 'fold_ccc_mean': float(np.mean(values)), 'fold_ccc_sd': float(np.std(values, ddof=1)),
                'missing_folds': list(missing_folds(folds))}
    pooled.write_csv(out / 'predictions.csv')
    write_json(out / 'labels.json', list(pooled.names))
    write_scores(out, metrics, pooled, 'Test', folds_card(metrics, out.resolve().name))
    return metrics


def read_fold(run):
    """The ScoredRun of a run that predicts dimensions. Raises SerError for files that are broken or at odds."""
    run = Path(run)
    predictions, facts, members = read_test_part(run, read_task(run)['names'])
    data = read_json(run / 'data.json', dict)
    return ScoredRun(run, predictions, facts, frozenset(member.key for member in members if member.part),
                     data.get('fold'), data.get('folds'), data.get('digest'))


def _fold_scores(fold):
    """A fold's row of test_metrics.json."""
    part = fold.predictions
    found = dimension_scores(part.truth, part.predicted, part.names)
    return {'run': fold.run.resolve().name, 'mean_ccc': mean_ccc(found),
            'ccc': {name: scores['ccc'] for name, scores in found.items()}, 'n': len(part),
            'n_speakers': None if None in part.speakers else len(set(part.speakers)),
            'best_epoch': fold.facts.best_epoch, 'protocol': fold.facts.protocol, 'notes': list(fold.facts.notes)}


def write_scores(folder, metrics, predictions, title, card):
    """Write scatter.png, README.md and test_metrics.json.

    title: words over the picture. card: the text of README.md. test_metrics.json comes last: whoever finds it finds
    everything else.
    """
    plot_scatter(predictions, metrics['per_dimension'], folder / 'scatter.png',
                 f'{title}: {audience(metrics)}\n'
                 f"mean CCC {with_interval(metrics['mean_ccc'], metrics['mean_ccc_interval'])}")
    write_whole(folder / 'README.md', card)
    write_json(folder / 'test_metrics.json', metrics)
