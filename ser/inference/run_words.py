"""A run in a few words: its system and its score, from the files of its directory; what is missing is said."""

from pathlib import Path

import yaml

from ser.errors import SerError
from ser.evaluation.card import system_words
from ser.evaluation.reading import read_json
from ser.evaluation.summary import score_line


def system_of(run, kind):
    """Its kind, and each view with its backbone, in plain text. kind: what to say where config.yaml cannot be read."""
    try:
        return system_words(yaml.safe_load((Path(run) / 'config.yaml').read_text(encoding='utf-8'))).replace('`', '')
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return kind


def score_of(run):
    """(score line with protocol, notes) of a run's test_metrics.json; (None, [why]) where it cannot be had."""
    path = Path(run) / 'test_metrics.json'
    if not path.is_file():
        return None, ['it was never tested']
    try:
        metrics = read_json(path, dict)
        return f"{score_line(metrics)}; protocol: {metrics['protocol']}", list(metrics['notes'])
    except (SerError, KeyError, TypeError, ValueError):
        return None, ['its test_metrics.json cannot be read']
