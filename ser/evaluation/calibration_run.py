"""A run's calibration from its files: fitted to what it said of validation, reported on what it said of the test part.

predictions-validation.csv and predictions.csv in, calibration.json, reliability.csv and .png, risk_coverage.csv and
.png out. The test part chooses nothing here.
"""

import logging
from pathlib import Path

import numpy as np

from ser.errors import SerError
from ser.evaluation.calibration import CALIBRATION, UNKNOWN, VALIDATION, Calibration, read_calibration
from ser.evaluation.calibration_fit import FEWEST_NAMED, TEMPERATURES, Threshold, choose_threshold, fit_temperature
from ser.evaluation.calibration_metrics import BINS, Confidences, part_facts, reliability_rows, risk_rows
from ser.evaluation.calibration_plots import plot_reliability, plot_risk
from ser.evaluation.calibration_words import calibration_line
from ser.evaluation.predictions import read_csv
from ser.evaluation.reading import run_remedy
from ser.files import write_json, write_rows

log = logging.getLogger(__name__)
RELIABILITY = ('part', 'probabilities', 'low', 'high', 'clips', 'confidence', 'right')
RISK = ('part', 'probabilities', 'confidence', 'named', 'wrong', 'coverage', 'risk')


def calibrate_run(run, names, members, predictions, evaluation):
    """{'calibration': the content of calibration.json} of a run directory, written anew with its tables and pictures.

    names: the run's classes. members: of split.csv. predictions: Predictions of the test part. evaluation: the config's
    section. {} and no file for a run that has neither predictions-validation.csv nor calibration.json, as earlier
    versions left them. Raises SerError for a predictions-validation.csv that is broken, at odds with the split, or
    missing beside a calibration.json.
    """
    path = Path(run) / VALIDATION
    if not path.is_file():
        if (path.parent / CALIBRATION).is_file():
            raise SerError(f'{path}: no such file, and {CALIBRATION} was fitted to it. {run_remedy(path)}')
        return {}
    validation = read_csv(path)
    _check(path, validation, names, members)
    calibration, notes = fit(validation, evaluation)
    facts = {'temperature': calibration.temperature, 'threshold': calibration.threshold, 'risk': calibration.risk,
             **notes, 'fitted_on': VALIDATION,
             'settings': {'bins': BINS, 'temperatures': list(TEMPERATURES), 'fewest_named': FEWEST_NAMED,
                          'bootstrap': evaluation.bootstrap, 'confidence': evaluation.confidence,
                          'seed': evaluation.seed},
             'validation': _facts(calibration, validation, evaluation),
             'test': _facts(calibration, predictions, evaluation)}
    _write_tables(path.parent, calibration, {'validation': validation, 'test': predictions}, facts)
    write_json(path.parent / CALIBRATION, facts)
    log.info(calibration_line(facts))
    return {'calibration': facts}


def fit(validation, evaluation):
    """(Calibration, what to know of it) fitted to the Predictions of validation.

    What to know: `temperature_note` and `no_threshold`, the reason why there is none; None where there is nothing.
    """
    # By key, so that the last bit does not depend on the order of the file.
    order = np.argsort(np.array(validation.keys, dtype=object), kind='stable')
    probabilities, labels = validation.probabilities[order], validation.label_ids[order]
    temperature = fit_temperature(labels, probabilities)
    confidence = Calibration(temperature.value).apply(probabilities).max(axis=1)
    if UNKNOWN in validation.names:
        threshold = Threshold(None, f"a class is called '{UNKNOWN}', and the two could not be told apart")
    else:
        threshold = choose_threshold(confidence, validation.predicted_ids[order] == labels, evaluation.unknown_risk,
                                     1 / len(validation.names))
    return (Calibration(temperature.value, threshold.value, evaluation.unknown_risk),
            {'temperature_note': temperature.note, 'no_threshold': threshold.reason})


def calibration_elsewhere(run, predictions, evaluation):
    """{'calibration': temperature, threshold, risk and `test`} of a run on other Predictions; {} where it has none.

    Its temperature and threshold stay those of its own validation part.
    """
    calibration = read_calibration(run)
    if calibration is None:
        return {}
    return {'calibration': {'temperature': calibration.temperature, 'threshold': calibration.threshold,
                            'risk': calibration.risk, 'test': _facts(calibration, predictions, evaluation)}}


def pooled_calibration(folds, pooled, evaluation):
    """{'calibration': `folds` and `test`} of folds whose Predictions are `pooled`, each calibrated by its own run.

    folds: sides.ScoredRuns in the order of their clips. {} where a fold has no calibration.
    """
    each = [read_calibration(fold.run) for fold in folds]
    if None in each:
        return {}
    calibrated = [calibration.apply(fold.predictions.probabilities)
                  for calibration, fold in zip(each, folds, strict=True)]
    named = [calibration.is_sure(values.max(axis=1)) for calibration, values in zip(each, calibrated, strict=True)]
    told = [{'run': fold.run.resolve().name, 'temperature': calibration.temperature,
             'threshold': calibration.threshold, 'risk': calibration.risk}
            for fold, calibration in zip(folds, each, strict=True)]
    return {'calibration': {'folds': told, 'test': part_facts(pooled, np.concatenate(calibrated),
                                                              np.concatenate(named), evaluation)}}


def _facts(calibration, predictions, evaluation):
    calibrated = calibration.apply(predictions.probabilities)
    return part_facts(predictions, calibrated, calibration.is_sure(calibrated.max(axis=1)), evaluation)


def _check(path, validation, names, members):
    """Raises SerError unless the predictions are of the validation part of split.csv, each clip once."""
    if validation.names != tuple(names):
        raise SerError(f"{path}: classes {', '.join(validation.names)}, but labels.json says {', '.join(names)}. "
                       f'{run_remedy(path)}')
    wanted = {member.key: (member.speaker, member.label) for member in members if member.part == 'valid'}
    found = dict(zip(validation.keys, zip(validation.speakers, validation.labels, strict=True), strict=True))
    if found != wanted:
        odd = min(key for key in {**found, **wanted} if found.get(key) != wanted.get(key))
        raise SerError(f'{path}: clip {odd} is not as split.csv has it in the validation part. {run_remedy(path)}')


def _write_tables(folder, calibration, parts, facts):
    """reliability.csv, risk_coverage.csv and their pictures. parts: 'validation' and 'test', each its Predictions."""
    every = {}
    for part, predictions in parts.items():
        probabilities = {'before': predictions.probabilities, 'after': calibration.apply(predictions.probabilities)}
        for name, values in probabilities.items():
            every[part, name] = Confidences.of(predictions.label_ids, predictions.predicted_ids, values)
    for name, header, rows_of in (('reliability', RELIABILITY, reliability_rows), ('risk_coverage', RISK, risk_rows)):
        rows = [[*place, *('' if cell is None else repr(cell) for cell in row)]
                for place, confidences in every.items() for row in rows_of(confidences)]
        write_rows(folder / f'{name}.csv', [header, *rows])
    before, after = every['test', 'before'], every['test', 'after']
    plot_reliability(before, after, facts, folder / 'reliability.png')
    plot_risk(before, after, facts, folder / 'risk_coverage.png')
