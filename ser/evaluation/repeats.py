"""Runs that differ in their seed alone, as one score: the mean, how far seeds are apart, and the ensemble."""

from pathlib import Path

import numpy as np

from ser.errors import SerError
from ser.evaluation.card import protocol_lines, score_lines
from ser.evaluation.metrics import scores
from ser.evaluation.paired import Answers, mean_intervals
from ser.evaluation.predictions import Predictions
from ser.evaluation.report import metrics_of, score, write_scores
from ser.evaluation.sides import fold_runs, join_seeds
from ser.evaluation.summary import PER_CLASS_ALIGN, PER_CLASS_HEADER, per_class_rows, summary_lines
from ser.evaluation.tables import counted, markdown_table, percent, percent_with_interval
from ser.files import sha256_of, write_json

_SCORES = ('ua', 'wa', 'macro_f1', 'weighted_f1', 'log_loss')
_ENSEMBLE = 'ensemble: the mean of the probabilities of all seeds'


def pool_seeds(seeds, out, evaluation, missing=()):
    """Score runs that differ in their seed alone and write the scores into the folder `out`; return them.

    seeds: folders seed-N, runs or folders of folds. evaluation: the config's section. missing: numbers of seeds that
    should be there and are not. Writes predictions.csv (of the ensemble), labels.json, test_metrics.json,
    confusion_matrix.csv/.png (all seeds' answers added up) and README.md. In test_metrics.json every score is the
    mean over seeds, its interval that of the mean; beside them `seeds` (seed, ua, wa, macro_f1 of each), `seed_ua` and
    `seed_wa` (mean, sample standard deviation, min, max) and `ensemble` (scores of the mean probabilities).
    Raises SerError for fewer than two seeds, seeds that do not fit together, and two with the same weights.
    """
    out = Path(out)
    if len(seeds) < 2:
        raise SerError(f'{out}: {counted(len(seeds), "seed")} to pool; at least two are wanted')
    if (out / 'config.yaml').exists():
        raise SerError(f'{out}: is a run directory; name another folder for the pooled scores')
    side = join_seeds(out, seeds)
    refuse_same_weights(seeds)
    metrics = _mean_metrics(side, evaluation)
    if missing:
        listed = ', '.join(map(str, missing))
        metrics['notes'].insert(0, f"incomplete: seed{'s' if len(missing) > 1 else ''} {listed} missing")
    ensemble = ensemble_of(side.repeats)
    metrics['ensemble'] = _ensemble_metrics(ensemble, side.facts, evaluation)
    ensemble.write_csv(out / 'predictions.csv')
    write_json(out / 'labels.json', list(side.names))
    card = seeds_card(metrics, out.resolve().name)
    write_scores(out, metrics, side.names, f'Test, {len(seeds)} seeds added up', card)
    return metrics


def refuse_same_weights(seeds):
    """Raises SerError when two seed-N folders hold the same weights, bit for bit, in a run or in a fold."""
    for run, other in same_weights(seeds):
        raise SerError(f'{run}: the same weights as {other}, bit for bit: seeds did not change anything here, so these '
                       'are no repeats')


def same_weights(paths):
    """Yield (run, earlier run) of runs or folders of folds whose best.safetensors are alike, fold by fold."""
    owner = {}
    for path in map(Path, paths):
        for run in fold_runs(path) or [path]:
            weights, fold = run / 'best.safetensors', '' if run == path else run.name
            # Whoever keeps the predictions alone may still pool them.
            if not weights.is_file():
                continue
            other = owner.setdefault((fold, sha256_of(weights)), path)
            if other != path:
                yield run, other / fold


def _mean_metrics(side, evaluation):
    """The content of test_metrics.json but for the ensemble."""
    each = [scores(part.label_ids, part.predicted_ids, part.probabilities, part.names) for part in side.repeats]
    first = side.repeats[0]
    values = {name: float(np.mean([one[name] for one in each])) for name in _SCORES}
    values['per_class'] = {name: _mean_of_class([one['per_class'][name] for one in each]) for name in side.names}
    values['confusion_matrix'] = np.sum([one['confusion_matrix'] for one in each], axis=0).tolist()
    intervals = mean_intervals(Answers.of(side.repeats), first.predicted_ids, resamples=evaluation.bootstrap,
                               confidence=evaluation.confidence, seed=evaluation.seed)
    metrics = metrics_of(values, intervals, first.label_ids, side.names, side.facts)
    metrics['notes'].sort(key=lambda note: not note.startswith('incomplete'))
    metrics['seeds'] = [{'seed': seed, 'run': f'seed-{seed}', **{name: one[name] for name in ('ua', 'wa', 'macro_f1')}}
                        for seed, one in zip(side.seeds, each, strict=True)]
    return metrics | {f'seed_{name}': spread([one[name] for one in each]) for name in ('ua', 'wa')}


def _mean_of_class(rows):
    mean = {key: None if rows[0][key] is None else float(np.mean([row[key] for row in rows]))
            for key in ('precision', 'recall', 'f1')}
    return mean | {'support': rows[0]['support']}


def spread(values):
    """Mean, sample standard deviation, least and largest of two values or more, as a dict of floats."""
    return {'mean': float(np.mean(values)), 'sd': float(np.std(values, ddof=1)), 'min': float(min(values)),
            'max': float(max(values))}


def ensemble_of(parts):
    """The Predictions of the mean of the probabilities of several Predictions of the same clips in the same order."""
    first = parts[0]
    return Predictions.from_probabilities(first.keys, first.speakers, first.label_ids,
                                          np.mean([part.probabilities for part in parts], axis=0), first.names)


def _ensemble_metrics(ensemble, facts, evaluation):
    metrics = score(ensemble, facts, evaluation)
    kept = ('ua', 'ua_interval', 'wa', 'wa_interval', 'macro_f1', 'weighted_f1', 'log_loss', 'confusion_matrix')
    return {'what': _ENSEMBLE, **{name: metrics[name] for name in kept}}


def seed_lines(metrics):
    """What a command prints of seeds: the mean with its interval, warnings, each seed, their spread, the ensemble."""
    line, *notes = summary_lines(metrics)
    each = ', '.join(f"{percent(one['ua'])} ({one['seed']})" for one in metrics['seeds'])
    ua, ensemble = metrics['seed_ua'], metrics['ensemble']
    return [f"mean over {len(metrics['seeds'])} seeds, {line}", *notes,
            f"UA per seed: {each}; standard deviation {100 * ua['sd']:.1f}, "
            f"{percent(ua['min'])} to {percent(ua['max'])}",
            f"{ensemble['what']}: UA {percent_with_interval(ensemble['ua'], ensemble['ua_interval'])}, "
            f"WA {percent_with_interval(ensemble['wa'], ensemble['wa_interval'])}"]


def seeds_card(metrics, name):
    """The README.md of pooled seeds."""
    rows = [(one['seed'], one['run'], percent(one['ua']), percent(one['wa']), percent(one['macro_f1']))
            for one in metrics['seeds']]
    ensemble = metrics['ensemble']
    lines = [
        f'# {name}', '',
        f"{counted(len(rows), 'run')} that differ in `run.seed` alone: the split is the same. Every score below is the "
        'mean over the seeds, its interval that of the mean.', '',
        '## Score', '', *score_lines(metrics), '',
        *markdown_table(PER_CLASS_HEADER, per_class_rows(metrics), PER_CLASS_ALIGN), '',
        'The confusion matrix adds the answers of all seeds up.', '',
        '![Confusion matrix](confusion_matrix.png)', '',
        '## Seeds', '', *markdown_table(('seed', 'run', 'UA', 'WA', 'macro-F1'), rows, 'rlrrr'), '',
        *(f"{label}: mean {percent(one['mean'])}, standard deviation {100 * one['sd']:.1f}, "
          f"{percent(one['min'])} to {percent(one['max'])}." + ('' if label == 'WA' else '  ')
          for label, one in (('UA', metrics['seed_ua']), ('WA', metrics['seed_wa']))), '',
        '## Ensemble', '',
        f"Another system than any of the runs, {len(rows)} times as dear: the mean of their probabilities, as in "
        '`predictions.csv`.', '',
        *markdown_table(('score', 'ensemble'), [
            ('UA', percent_with_interval(ensemble['ua'], ensemble['ua_interval'])),
            ('WA', percent_with_interval(ensemble['wa'], ensemble['wa_interval'])),
            ('macro-F1', percent(ensemble['macro_f1'])), ('log loss', f"{ensemble['log_loss']:.3f} nats")], 'lr'), '',
        '## Protocol', '', *protocol_lines(metrics),
    ]
    return '\n'.join(lines) + '\n'
