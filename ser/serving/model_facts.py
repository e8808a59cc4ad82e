"""What the server says about its model: name, system, score, and what to know before believing an answer."""

from pathlib import Path

import yaml

from ser.errors import SerError
from ser.evaluation.card import system_words
from ser.evaluation.reading import read_json
from ser.evaluation.summary import score_line
from ser.inference.predictor import trained_on_synthetic_speech

SYNTHETIC = 'trained on synthetic speech: what it says of real voices means nothing'
LIMITS = 'It hears how something is said; it does not know what a person feels'


def model_facts(run, predictor, limits):
    """A dict for JSON, as answers.ModelFacts describes it, of a run directory and its Predictor."""
    run, calibration = Path(run), predictor.calibration
    score, notes = _score(run)
    if calibration is None:
        notes.append('its probabilities are not calibrated: they say which class is likelier, not how often that is '
                     'right')
    if trained_on_synthetic_speech(run) and not any('synthetic' in note for note in notes):
        notes.insert(0, SYNTHETIC)
    return {
        'name': run.resolve().name, 'system': _system(run, predictor.config.model.kind),
        'classes': list(predictor.names), 'sample_rate': predictor.sample_rate, 'score': score,
        'calibrated': calibration is not None, 'threshold': calibration.threshold if calibration else None,
        'limits': {'max_bytes': limits.max_bytes, 'max_seconds': limits.max_seconds}, 'notes': [*notes, LIMITS]}


def _score(run):
    """(score line with protocol, notes) of a run's test_metrics.json; (None, [why]) where it cannot be had."""
    path = run / 'test_metrics.json'
    if not path.is_file():
        return None, ['it was never tested']
    try:
        metrics = read_json(path, dict)
        return f"{score_line(metrics)}; protocol: {metrics['protocol']}", list(metrics['notes'])
    except (SerError, KeyError, TypeError, ValueError):
        return None, ['its test_metrics.json cannot be read']


def _system(run, kind):
    try:
        return system_words(yaml.safe_load((run / 'config.yaml').read_text(encoding='utf-8'))).replace('`', '')
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return kind
