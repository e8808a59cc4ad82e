"""From a run's files to its scores: test_metrics.json, pictures, model card; and folds pooled into one score."""

from pathlib import Path

import numpy as np

from ser.errors import SerError
from ser.evaluation import dimension_report
from ser.evaluation.audit_words import audit_of
from ser.evaluation.auxiliary import auxiliary_scores
from ser.evaluation.calibration_run import calibrate_run, pooled_calibration
from ser.evaluation.card import folds_card, model_card
from ser.evaluation.dimension_files import one_task, read_task
from ser.evaluation.gates import gates_of
from ser.evaluation.intervals import bootstrap_intervals, chance_level, excludes
from ser.evaluation.metrics import absent_classes, scores
from ser.evaluation.origin import origin_of
from ser.evaluation.plots import plot_class_distribution, plot_confusion, plot_curves, write_confusion_csv
from ser.evaluation.run_files import check_test_part, read_config, read_facts, read_history, read_names, read_split
from ser.evaluation.sides import ScoredRun, join_folds, missing_folds, run_predictions
from ser.evaluation.summary import audience, warnings_of
from ser.evaluation.tables import clips_only, counted, marked_ua
from ser.files import natural, write_json, write_whole

FEW = 6


def score(predictions, facts, evaluation):
    """The content of test_metrics.json for some Predictions.

    facts: run_files.Facts, what the score depends on; evaluation: the config's `evaluation` section.
    """
    labels = predictions.label_ids
    values = scores(labels, predictions.predicted_ids, predictions.probabilities, predictions.names)
    intervals = bootstrap_intervals(labels, predictions.predicted_ids, predictions.speakers,
                                    resamples=evaluation.bootstrap, confidence=evaluation.confidence,
                                    seed=evaluation.seed)
    return metrics_of(values, intervals, labels, predictions.names, facts)


def metrics_of(values, intervals, labels, names, facts):
    """The content of test_metrics.json from what `metrics.scores` and `bootstrap_intervals` say of some labels.

    labels: class indices, int (N,). names: class names. facts: run_files.Facts.
    """
    chance, absent = chance_level(labels), absent_classes(labels, names)
    return {
        'ua': values['ua'], 'ua_interval': list(intervals.ua),
        'wa': values['wa'], 'wa_interval': list(intervals.wa),
        'macro_f1': values['macro_f1'], 'weighted_f1': values['weighted_f1'], 'log_loss': values['log_loss'],
        'per_class': values['per_class'], 'n': len(labels), 'n_speakers': intervals.n_speakers,
        'interval_method': intervals.method, 'protocol': facts.protocol, 'speaker_disjoint': facts.speaker_disjoint,
        'best_epoch': facts.best_epoch,
        'protocol_kind': facts.protocol_kind, 'synthetic': facts.synthetic,
        'chance': chance, 'excludes_chance': excludes(intervals.ua, chance),
        'covers_new_speakers': intervals.covers_new_speakers, 'absent_classes': list(absent),
        'confusion_matrix': values['confusion_matrix'], 'notes': warnings_of(facts, intervals, absent, names),
    }


def evaluate_run(run, evaluation):
    """Recompute a run's scores from its files, write them with their pictures and model card, and return them.

    Reads predictions.csv, labels.json, split.csv, data.json, metrics.csv and config.yaml; writes test_metrics.json,
    confusion_matrix.csv/.png, curves.png, class_distribution.png and README.md; and where there is a
    predictions-validation.csv what `calibrate_run` makes of it. evaluation: the config's section.
    Raises SerError naming the file for one that is missing, broken, or at odds with another.
    """
    run = Path(run)
    if read_task(run):
        return dimension_report.evaluate_run(run, evaluation)
    config, names, history = read_config(run), read_names(run), read_history(run)
    facts, members = read_facts(run, history.best_epoch), read_split(run, names)
    predictions = run_predictions(run, names)
    check_test_part(run / 'predictions.csv', predictions, members, facts)
    metrics = score(predictions, facts, evaluation)
    auxiliary = auxiliary_scores(run, evaluation)
    metrics |= {'auxiliary': auxiliary} if auxiliary else {}
    metrics |= {'audit': audit} if (audit := audit_of(run)) else {}
    metrics |= gates_of(run)
    metrics |= calibrate_run(run, names, members, predictions, evaluation)
    metrics |= origin_of(run, config)
    plot_curves(history, run / 'curves.png', _titled('Learning curves', facts))
    plot_class_distribution(members, names, run / 'class_distribution.png')
    write_scores(run, metrics, names, 'Test', model_card(metrics, config, run.resolve().name))
    return metrics


def pool_folds(runs, out, evaluation):
    """Score the predictions of several folds together and write them into the folder `out`; return the scores.

    The folds must share classes and kind of protocol, and no clip may be tested twice. Writes predictions.csv,
    labels.json, test_metrics.json (with `folds`: run, ua, wa, n, n_speakers, tests (who, in words), best_epoch,
    protocol, notes of each; `fold_ua_mean` and `fold_ua_sd`, the sample standard deviation; `missing_folds`, numbers of
    those that the protocol has and `runs` has not), confusion_matrix.csv/.png and README.md.
    Raises SerError for fewer than two folds, folds that do not fit together, and as evaluate_run.
    """
    runs, out = [Path(run) for run in runs], Path(out)
    if len(runs) < 2:
        raise SerError(f'{len(runs)} fold(s) to pool; at least two run directories are wanted')
    if out.resolve() in {run.resolve() for run in runs} or (out / 'config.yaml').exists():
        raise SerError(f'{out}: is a run directory; name another folder for the pooled scores')
    if one_task(runs):
        return dimension_report.pool_folds(runs, out, evaluation)
    folds = [ScoredRun.read(run) for run in runs]
    pooled, facts = join_folds(folds)
    metrics = score(pooled, facts, evaluation) | pooled_calibration(folds, pooled, evaluation)
    # That folds are missing is the first thing to know.
    metrics['notes'].sort(key=lambda note: not note.startswith('incomplete'))
    missing, folds = missing_folds(folds), [fold_scores(fold) for fold in folds]
    values = [fold['ua'] for fold in folds]
    metrics |= {'folds': folds, 'fold_ua_mean': float(np.mean(values)), 'fold_ua_sd': float(np.std(values, ddof=1)),
                'missing_folds': list(missing)}
    pooled.write_csv(out / 'predictions.csv')
    write_json(out / 'labels.json', list(pooled.names))
    write_scores(out, metrics, pooled.names, 'Test', folds_card(metrics, out.resolve().name))
    return metrics


def fold_scores(fold):
    """A fold's row of test_metrics.json, from its ScoredRun."""
    part = fold.predictions
    values = scores(part.label_ids, part.predicted_ids, part.probabilities, part.names)
    return {'run': fold.run.resolve().name, 'ua': values['ua'], 'wa': values['wa'], 'n': len(part),
            'n_speakers': None if None in part.speakers else len(set(part.speakers)),
            'tests': tested_words(part.speakers),
            'best_epoch': fold.facts.best_epoch, 'protocol': fold.facts.protocol, 'notes': list(fold.facts.notes)}


def tested_words(speakers):
    """Whom a test part holds: 'speakers 03, 08', or how many where they are many."""
    if None in speakers:
        return 'speakers unknown'
    found = sorted(set(speakers), key=natural)
    if len(found) > FEW:
        return counted(len(found), 'speaker')
    return f"speaker{'s' if len(found) > 1 else ''} {', '.join(found)}"


def _titled(title, facts):
    return f'{title} (speaker-dependent)' if facts.speaker_disjoint is False else title


def write_scores(folder, metrics, names, title, card):
    """Write confusion_matrix.csv and .png, README.md and test_metrics.json.

    title: words over the picture. card: the text of README.md. test_metrics.json comes last: whoever finds it finds
    everything else.
    """
    confusion = metrics['confusion_matrix']
    write_confusion_csv(confusion, names, folder / 'confusion_matrix.csv')
    plot_confusion(confusion, names, folder / 'confusion_matrix.png',
                   f"{title}: {audience(metrics)}\nUA {marked_ua(metrics)}{clips_only(metrics)}")
    write_whole(folder / 'README.md', card)
    write_json(folder / 'test_metrics.json', metrics)
