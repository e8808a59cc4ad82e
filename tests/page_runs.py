"""Scored runs for tests of pages, made without drawing their pictures; one with a calibration and hostile names."""

import contextlib
import csv
import json
import shlex
from unittest.mock import patch

import numpy as np

from ser.evaluation.predictions import Predictions, read_csv
from ser.evaluation.report import evaluate_run
from tests.test_report import FAST, NAMES, make_run

HOSTILE = '<img src=x onerror=alert(1)>'
ENVIRONMENT = {'python': '3.11', 'device': 'cpu', 'device_reason': HOSTILE, 'packages': {'torch': '2.11', 'x': None}}
AUDIT = {'verdict': 'no leak found', 'findings': [{'severity': 'warning', 'text': f'mind {HOSTILE}', 'kind': 'x'}]}


@contextlib.contextmanager
def unplotted():
    """Nothing is drawn inside: pictures take far longer than everything else."""
    with contextlib.ExitStack() as stack:
        for module in ('plots', 'dimension_plots', 'calibration_plots'):
            stack.enter_context(patch(f'ser.evaluation.{module}.save', lambda figure, path: None))
        yield


def scored(path, make=make_run, **options):
    """A run made by a factory of another test, with its scores."""
    with unplotted():
        evaluate_run(make(path, **options), FAST)
    return path


def whole_run(path, names=(NAMES[0], 'a/b ~ c', HOSTILE, 'sad, "so"')):
    """A run with every file that a page reads, whose class names are as bad as names can be."""
    facts = {'split': 'f' * 64, 'digest': 'e' * 64, 'protocol_seed': 7, 'clips': 320, 'audit': AUDIT,
             'dropped': {HOSTILE: 3}, 'shards': [{'name': f'{HOSTILE}.tar', 'sha256': '0' * 64}]}
    make_run(path, names=names, facts=facts)
    _vary(path / 'predictions.csv')
    _validation(path, names)
    (path / 'environment.json').write_text(json.dumps(ENVIRONMENT))
    (path / 'command.txt').write_text(f'ser train {shlex.quote(HOSTILE)}\n')
    with unplotted():
        evaluate_run(path, FAST)
    return path


def _vary(path):
    """Make the answers of a predictions.csv unequally sure, none of them another."""
    said = read_csv(path)
    powers = said.probabilities ** np.random.default_rng(9).uniform(0.3, 1.5, len(said))[:, None]
    Predictions.from_probabilities(said.keys, said.speakers, said.label_ids,
                                   powers / powers.sum(axis=1, keepdims=True), said.names).write_csv(path)


def _validation(path, names):
    """predictions-validation.csv, as training leaves it: surer than it is right."""
    with open(path / 'split.csv', newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['part'] == 'valid']
    rng = np.random.default_rng(5)
    labels = np.array([names.index(row['label']) for row in rows])
    said = np.where(rng.random(len(rows)) < 0.6, labels, rng.integers(0, len(names), len(rows)))
    probabilities = np.full((len(rows), len(names)), 0.04)
    probabilities[np.arange(len(rows)), said] += 1 - 0.04 * len(names)
    Predictions.from_probabilities([row['key'] for row in rows], [row['speaker'] for row in rows], labels,
                                   probabilities, names).write_csv(path / 'predictions-validation.csv')
