"""Scores of the heads beside the main one: predictions-<target>.csv of a run, the clips whose value is known."""

from pathlib import Path

from ser.evaluation.intervals import bootstrap_intervals, chance_level, excludes
from ser.evaluation.metrics import scores
from ser.evaluation.predictions import read_csv
from ser.evaluation.reading import read_json
from ser.evaluation.tables import counted, percent, percent_with_interval

FILE = 'auxiliary.json'


def auxiliary_scores(run, evaluation):
    """Target -> ua, ua_interval, wa, n, n_speakers, chance, excludes_chance, per_class, of a run's auxiliary heads.

    Empty where it has none; None for a target that is known of no test clip. evaluation: the config's section.
    Raises SerError for files that are missing or broken.
    """
    run = Path(run)
    if not (run / FILE).is_file():
        return {}
    return {target: _scores(run / f'predictions-{target}.csv', evaluation) for target in read_json(run / FILE, dict)}


def _scores(path, evaluation):
    if not path.is_file():
        return None
    predictions = read_csv(path)
    labels, predicted = predictions.label_ids, predictions.predicted_ids
    values = scores(labels, predicted, predictions.probabilities, predictions.names)
    intervals = bootstrap_intervals(labels, predicted, predictions.speakers, resamples=evaluation.bootstrap,
                                    confidence=evaluation.confidence, seed=evaluation.seed)
    chance = chance_level(labels)
    return {'ua': values['ua'], 'ua_interval': list(intervals.ua), 'wa': values['wa'], 'n': len(predictions),
            'n_speakers': intervals.n_speakers, 'chance': chance, 'excludes_chance': excludes(intervals.ua, chance),
            'per_class': values['per_class']}


def auxiliary_lines(metrics):
    """A line per auxiliary head of a test_metrics.json dict."""
    for target, found in metrics.get('auxiliary', {}).items():
        if found is None:
            yield f'auxiliary {target}: known of no test clip'
            continue
        if found['chance'] == 1:
            yield f"auxiliary {target} ({counted(found['n'], 'clip')}): one value alone in the test part, so no score"
            continue
        inside = '' if found['excludes_chance'] else ' (inside the interval)'
        yield (f"auxiliary {target} ({counted(found['n'], 'clip')}): UA "
               f"{percent_with_interval(found['ua'], found['ua_interval'])}; chance {percent(found['chance'])}{inside}")
