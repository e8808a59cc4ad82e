"""From a run's files to its scores: test_metrics.json, pictures, model card; and folds pooled into one score."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser.errors import SerError
from ser.evaluation import predictions as prediction_files
from ser.evaluation.card import folds_card, model_card
from ser.evaluation.intervals import bootstrap_intervals, chance_level, excludes
from ser.evaluation.metrics import absent_classes, scores
from ser.evaluation.plots import plot_class_distribution, plot_confusion, plot_curves, write_confusion_csv
from ser.evaluation.predictions import Predictions
from ser.evaluation.reading import RUN_REMEDY
from ser.evaluation.run_files import (
    Facts,
    check_test_part,
    read_config,
    read_facts,
    read_history,
    read_names,
    read_split,
)
from ser.evaluation.summary import audience, warnings_of
from ser.evaluation.tables import percent_with_interval
from ser.files import write_json, write_whole


def score(predictions, facts, evaluation):
    """The content of test_metrics.json for some Predictions.

    facts: run_files.Facts, what the score depends on; evaluation: the config's `evaluation` section.
    """
    names, labels = predictions.names, predictions.label_ids
    values = scores(labels, predictions.predicted_ids, predictions.probabilities, names)
    intervals = bootstrap_intervals(labels, predictions.predicted_ids, predictions.speakers,
                                    resamples=evaluation.bootstrap, confidence=evaluation.confidence,
                                    seed=evaluation.seed)
    chance, absent = chance_level(labels), absent_classes(labels, names)
    return {
        'ua': values['ua'], 'ua_interval': list(intervals.ua),
        'wa': values['wa'], 'wa_interval': list(intervals.wa),
        'macro_f1': values['macro_f1'], 'weighted_f1': values['weighted_f1'], 'log_loss': values['log_loss'],
        'per_class': values['per_class'], 'n': len(predictions), 'n_speakers': intervals.n_speakers,
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
    confusion_matrix.csv/.png, curves.png, class_distribution.png and README.md. evaluation: the config's section.
    Raises SerError naming the file for one that is missing, broken, or at odds with another.
    """
    run = Path(run)
    config, names, history = read_config(run), read_names(run), read_history(run)
    facts, members = read_facts(run, history.best_epoch), read_split(run, names)
    predictions = _predictions(run, names)
    check_test_part(run / 'predictions.csv', predictions, members, facts)
    metrics = score(predictions, facts, evaluation)
    plot_curves(history, run / 'curves.png', _titled('Learning curves', facts))
    plot_class_distribution(members, names, run / 'class_distribution.png')
    write_scores(run, metrics, names, 'Test', model_card(metrics, config, run.resolve().name))
    return metrics


def pool_folds(runs, out, evaluation):
    """Score the predictions of several folds together and write them into the folder `out`; return the scores.

    The folds must share classes and kind of protocol, and no clip may be tested twice. Writes predictions.csv,
    labels.json, test_metrics.json (with `folds`: run, ua, wa, n, best_epoch, protocol, notes of each; `fold_ua_mean`
    and `fold_ua_sd`, the sample standard deviation), confusion_matrix.csv/.png and README.md.
    Raises SerError for fewer than two folds, folds that do not fit together, and as evaluate_run.
    """
    runs, out = [Path(run) for run in runs], Path(out)
    if len(runs) < 2:
        raise SerError(f'{len(runs)} fold(s) to pool; at least two run directories are wanted')
    if out.resolve() in {run.resolve() for run in runs} or (out / 'config.yaml').exists():
        raise SerError(f'{out}: is a run directory; name another folder for the pooled scores')
    folds = [_Fold.read(run) for run in runs]
    _check_folds(folds)
    pooled = pooled_predictions([fold.predictions for fold in folds])
    metrics = score(pooled, _pooled_facts(folds), evaluation)
    folds = [fold.scores() for fold in folds]
    values = [fold['ua'] for fold in folds]
    metrics |= {'folds': folds, 'fold_ua_mean': float(np.mean(values)), 'fold_ua_sd': float(np.std(values, ddof=1))}
    pooled.write_csv(out / 'predictions.csv')
    write_json(out / 'labels.json', list(pooled.names))
    write_scores(out, metrics, pooled.names, 'Test', folds_card(metrics, out.resolve().name))
    return metrics


@dataclass(frozen=True)
class _Fold:
    run: Path
    predictions: Predictions
    facts: Facts
    clips: frozenset
    """Keys of every clip in any part."""

    @classmethod
    def read(cls, run):
        names = read_names(run)
        facts, members = read_facts(run, read_history(run).best_epoch), read_split(run, names)
        predictions = _predictions(run, names)
        check_test_part(run / 'predictions.csv', predictions, members, facts)
        return cls(run, predictions, facts, frozenset(member.key for member in members if member.part))

    def scores(self):
        """The fold's row of test_metrics.json."""
        part = self.predictions
        values = scores(part.label_ids, part.predicted_ids, part.probabilities, part.names)
        return {'run': self.run.resolve().name, 'ua': values['ua'], 'wa': values['wa'], 'n': len(part),
                'best_epoch': self.facts.best_epoch, 'protocol': self.facts.protocol, 'notes': list(self.facts.notes)}


def _predictions(run, names):
    path = run / 'predictions.csv'
    predictions = prediction_files.read_csv(path)
    if predictions.names != names:
        raise SerError(f"{path}: classes {', '.join(predictions.names)}, but labels.json says {', '.join(names)}. "
                       f'{RUN_REMEDY}')
    return predictions


def _check_folds(folds):
    first, owner = folds[0], {}
    for fold in folds:
        run, names, kind = fold.run, fold.predictions.names, fold.facts.protocol_kind
        if names != first.predictions.names:
            raise SerError(f"{run}: classes {', '.join(names)}, but {first.run} has "
                           f"{', '.join(first.predictions.names)}; only folds of one label set can be pooled")
        if kind != first.facts.protocol_kind:
            raise SerError(f"{run}: protocol '{kind}', but {first.run} has '{first.facts.protocol_kind}'; "
                           'only folds of one protocol can be pooled')
        for key in fold.predictions.keys:
            if key in owner:
                raise SerError(f'{run}: tests clip {key}, which {owner[key]} tests too; '
                               'the folds of one protocol test every clip at most once')
            owner[key] = run


def pooled_predictions(parts):
    """Predictions of several folds as one; they must share their classes."""
    joined = {field: sum((getattr(part, field) for part in parts), ())
              for field in ('keys', 'speakers', 'labels', 'predicted')}
    return Predictions(**joined, probabilities=np.concatenate([part.probabilities for part in parts]),
                       names=parts[0].names)


def _pooled_facts(folds):
    disjoint = {fold.facts.speaker_disjoint for fold in folds}
    together = False if False in disjoint else None if None in disjoint else True
    clips = frozenset().union(*(fold.clips for fold in folds))
    untested = len(clips) - sum(len(fold.predictions) for fold in folds)
    notes = (f'{untested} of {len(clips)} clips are in the test part of none of these folds',) if untested else ()
    kind = folds[0].facts.protocol_kind
    return Facts(f'{kind}, {len(folds)} folds pooled', kind, together, notes,
                 any(fold.facts.synthetic for fold in folds))


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
                   f"{title}: {audience(metrics)}\nUA {percent_with_interval(metrics['ua'], metrics['ua_interval'])}")
    write_whole(folder / 'README.md', card)
    write_json(folder / 'test_metrics.json', metrics)
