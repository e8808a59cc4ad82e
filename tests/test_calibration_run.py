"""Calibration from a run's files: what is fitted, what is only reported, what is refused."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation import calibration_run, report
from ser.evaluation.calibration import read_calibration
from ser.evaluation.calibration_fit import fit_temperature
from ser.evaluation.calibration_run import calibration_elsewhere
from ser.evaluation.predictions import Predictions, read_csv
from ser.evaluation.report import evaluate_run, pool_folds
from tests.test_report import FAST, NAMES, make_run

FILES = ('calibration.json', 'reliability.csv', 'reliability.png', 'risk_coverage.csv', 'risk_coverage.png')


def rows(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def predictions_of(run, part, sharpness=6.0):
    """Predictions of a part of split.csv, surer than they are right."""
    members = [row for row in rows(run / 'split.csv') if row['part'] == part]
    rng = np.random.default_rng(len(members))
    labels = np.array([NAMES.index(row['label']) for row in members])
    logits = rng.normal(0, 1, (len(members), len(NAMES))) + 2 * np.eye(len(NAMES))[labels]
    powers = np.exp(sharpness * logits)
    return Predictions.from_probabilities([row['key'] for row in members], [row['speaker'] or None for row in members],
                                          labels, powers / powers.sum(axis=1, keepdims=True), NAMES)


def calibrated_run(path, **changes):
    """A run with predictions of its validation part (40 clips of 2 speakers) and of its test part (120 of 6)."""
    run = make_run(path, **changes)
    predictions_of(run, 'test').write_csv(run / 'predictions.csv')
    predictions_of(run, 'valid').write_csv(run / 'predictions-validation.csv')
    return run


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    run = calibrated_run(tmp_path_factory.mktemp('made') / 'run')
    return run, evaluate_run(run, FAST)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Pictures take longer than all else here, and `made` has them."""
    for name in ('plot_curves', 'plot_class_distribution', 'plot_confusion'):
        monkeypatch.setattr(report, name, lambda *given: None)
    for name in ('plot_reliability', 'plot_risk'):
        monkeypatch.setattr(calibration_run, name, lambda *given: None)


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made[0], tmp_path / 'run')
    return tmp_path / 'run'


def test_everything_about_confidence_is_written_and_agrees(made):
    run, metrics = made
    facts = json.loads((run / 'calibration.json').read_text())
    assert facts == metrics['calibration'] == json.loads((run / 'test_metrics.json').read_text())['calibration']
    calibration = read_calibration(run)
    validation, test = (read_csv(run / name) for name in ('predictions-validation.csv', 'predictions.csv'))
    assert (facts['temperature'], facts['risk'], facts['fitted_on']) == (calibration.temperature, 0.25,
                                                                        'predictions-validation.csv')
    assert facts['temperature'] == pytest.approx(fit_temperature(validation.label_ids, validation.probabilities).value)
    assert facts['temperature'] > 1.5 and facts['temperature_note'] is None and facts['no_threshold'] is None
    assert facts['settings'] == {'bins': 15, 'temperatures': [0.1, 10.0], 'fewest_named': 20, 'bootstrap': 200,
                                 'confidence': 0.95, 'seed': 0}
    for part, predictions, speakers in (('validation', validation, 2), ('test', test, 6)):
        calibrated = calibration.apply(predictions.probabilities)
        named = calibrated.max(axis=1) >= calibration.threshold
        wrong = named & (predictions.label_ids != predictions.predicted_ids)
        assert facts[part]['clips'] == len(predictions) and facts[part]['speakers'] == speakers
        assert facts[part]['coverage'] == named.mean() and facts[part]['risk'] == wrong.sum() / named.sum()
        assert facts[part]['after']['log_loss'] < facts[part]['before']['log_loss']
        answers = [calibration.answer(row, NAMES)[0] for row in calibrated]
        assert [answer != 'unknown' for answer in answers] == named.tolist()
    assert facts['validation']['risk'] <= 0.25 and not facts['validation']['covers_new_speakers']
    assert facts['test']['before']['log_loss'] == pytest.approx(metrics['log_loss'], abs=1e-12)
    assert facts['test']['interval_method'] == metrics['interval_method']


def test_the_tables_are_the_figures_of_the_pictures(made):
    run, metrics = made
    reliability, risks = rows(run / 'reliability.csv'), rows(run / 'risk_coverage.csv')
    assert len(reliability) == 4 * 15
    for part in ('validation', 'test'):
        for when in ('before', 'after'):
            mine = [row for row in reliability if (row['part'], row['probabilities']) == (part, when)]
            facts, clips = metrics['calibration'][part], sum(int(row['clips']) for row in mine)
            gaps = [int(row['clips']) * abs(float(row['confidence']) - float(row['right'])) for row in mine
                    if int(row['clips'])]
            assert clips == facts['clips'] and sum(gaps) / clips == pytest.approx(facts[when]['ece'], abs=1e-12)
            last = [row for row in risks if (row['part'], row['probabilities']) == (part, when)][-1]
            assert int(last['named']) == clips and float(last['coverage']) == 1
            assert float(last['risk']) == pytest.approx(facts['risk_of_all'])
    for name in ('reliability.png', 'risk_coverage.png'):
        assert (run / name).read_bytes().startswith(b'\x89PNG') and (run / name).stat().st_size > 5000


def test_the_card_tells_the_confidence(made):
    card = (made[0] / 'README.md').read_text()
    assert '## Confidence' in card and 'uncalibrated.' not in card.split('## Use')[1].split('## Files')[0]
    for name in ('predictions-validation.csv', *FILES):
        assert name in card


def test_evaluating_again_gives_the_same_bytes_whatever_was_lost(run):
    tables = [name for name in FILES if not name.endswith('.png')]
    before = {name: (run / name).read_bytes() for name in (*tables, 'test_metrics.json', 'README.md')}
    for name in tables:
        (run / name).unlink()
    evaluate_run(run, FAST)
    assert {name: (run / name).read_bytes() for name in before} == before


def test_the_test_part_and_the_order_of_the_file_choose_nothing(run):
    before = json.loads((run / 'calibration.json').read_text())
    test = read_csv(run / 'predictions.csv')
    Predictions.from_probabilities(test.keys, test.speakers, test.label_ids, test.probabilities[:, ::-1],
                                   NAMES).write_csv(run / 'predictions.csv')
    lines = (run / 'predictions-validation.csv').read_text().splitlines()
    (run / 'predictions-validation.csv').write_text('\n'.join([lines[0], *reversed(lines[1:])]) + '\n')
    after = evaluate_run(run, FAST)['calibration']
    chosen = ('temperature', 'threshold', 'risk', 'validation')
    assert {name: after[name] for name in chosen} == {name: before[name] for name in chosen}
    assert after['test'] != before['test']


@pytest.mark.parametrize('risk, reason', [(None, 'evaluation.unknown_risk is null'),
                                          (0.0, 'no threshold that names at least 20 validation clips has a risk')])
def test_without_a_threshold_everything_is_named_and_the_reason_is_told(run, risk, reason):
    part = read_csv(run / 'predictions-validation.csv')
    surest = part.probabilities[part.probabilities.max(axis=1).argmax()]
    replace(part, probabilities=np.tile(surest, (len(part), 1))).write_csv(run / 'predictions-validation.csv')
    facts = evaluate_run(run, EvaluationConfig(bootstrap=50, unknown_risk=risk))['calibration']
    assert facts['threshold'] is None and facts['no_threshold'].startswith(reason) and facts['risk'] == risk
    assert facts['test']['coverage'] == 1 and facts['test']['risk'] == facts['test']['risk_of_all']
    assert read_calibration(run).threshold is None
    card = (run / 'README.md').read_text()
    assert 'There is no threshold for `unknown`' in card and 'It always answers with one of them.' in card


def test_a_run_of_an_earlier_version_has_none_and_nothing_is_made(tmp_path):
    run = make_run(tmp_path / 'run')
    metrics = evaluate_run(run, FAST)
    assert 'calibration' not in metrics and not [name for name in FILES if (run / name).exists()]
    card = (run / 'README.md').read_text()
    assert '## Confidence' not in card and 'its probabilities are uncalibrated' in card
    assert calibration_elsewhere(run, read_csv(run / 'predictions.csv'), FAST) == {}


def test_a_calibration_whose_source_is_lost_is_an_error(run):
    (run / 'predictions-validation.csv').unlink()
    with pytest.raises(SerError, match='predictions-validation.csv: no such file, and calibration.json was fitted'):
        evaluate_run(run, FAST)


def dropped(part):
    return Predictions(part.keys[1:], part.speakers[1:], part.labels[1:], part.predicted[1:], part.probabilities[1:],
                       part.names)


@pytest.mark.parametrize('change, message', [
    (dropped, 'clip p-angry-0 is not as split.csv has it in the validation part'),
    (lambda part: replace(part, keys=('test', *part.keys[1:])), 'is not as split.csv has it'),
    (lambda part: replace(part, speakers=('z', *part.speakers[1:])), 'is not as split.csv has it'),
    (lambda part: replace(part, labels=('happy', *part.labels[1:])), 'is not as split.csv has it'),
    (lambda part: Predictions(part.keys, part.speakers, ['x'] * 40, ['x'] * 40, part.probabilities,
                              ('x', *NAMES[1:])), 'classes x, happy, sad, angry, but labels.json says neutral'),
])
def test_what_is_not_of_the_validation_part_is_refused(run, change, message):
    part = read_csv(run / 'predictions-validation.csv')
    order = np.argsort(part.keys)
    part = Predictions(*([getattr(part, field)[i] for i in order] for field in ('keys', 'speakers', 'labels',
                                                                                'predicted')),
                       part.probabilities[order], part.names)
    change(part).write_csv(run / 'predictions-validation.csv')
    with pytest.raises(SerError) as error:
        evaluate_run(run, FAST)
    assert message in str(error.value) and 'predictions-validation.csv' in str(error.value)


def test_elsewhere_the_runs_own_temperature_and_threshold_are_used(made):
    run, metrics = made
    found = calibration_elsewhere(run, read_csv(run / 'predictions.csv'), FAST)['calibration']
    assert found == {name: metrics['calibration'][name] for name in ('temperature', 'threshold', 'risk', 'test')}


def folds(tmp_path):
    return [calibrated_run(tmp_path / f'fold{i}', test=tuple(test), train=tuple(train), facts={
        'protocol_kind': 'speaker-kfold', 'protocol': f'fold {i} of 2'})
        for i, (test, train) in enumerate([('stu', 'vwx'), ('vwx', 'stu')], start=1)]


def test_folds_are_pooled_each_by_its_own_calibration(tmp_path):
    runs = folds(tmp_path)
    # Two folds that differ in what they need.
    predictions_of(runs[1], 'valid', 1.0).write_csv(runs[1] / 'predictions-validation.csv')
    for run in runs:
        evaluate_run(run, FAST)
    each = [read_calibration(run) for run in runs]
    metrics = pool_folds(runs, tmp_path / 'pooled', FAST)
    told = metrics['calibration']
    assert [fold['temperature'] for fold in told['folds']] == [one.temperature for one in each]
    assert each[0].temperature > 2 * each[1].temperature and [fold['run'] for fold in told['folds']] == ['fold1',
                                                                                                      'fold2']
    parts = [read_csv(run / 'predictions.csv') for run in runs]
    values = np.concatenate([one.apply(part.probabilities) for one, part in zip(each, parts, strict=True)])
    true = values[np.arange(len(values)), np.concatenate([part.label_ids for part in parts])]
    assert told['test']['after']['log_loss'] == pytest.approx(-np.log(true).mean())
    named = sum((one.apply(part.probabilities).max(axis=1) >= one.threshold).sum()
                for one, part in zip(each, parts, strict=True))
    assert told['test']['named'] == named and told['test']['clips'] == 120
    card = (tmp_path / 'pooled' / 'README.md').read_text()
    assert 'Each fold has a temperature and a threshold of its own' in card
    # The pooled folder has no model, and so no calibration of its own.
    assert read_calibration(tmp_path / 'pooled') is None


def test_folds_of_which_one_has_no_calibration_have_none_together(tmp_path):
    runs = folds(tmp_path)
    evaluate_run(runs[0], FAST)
    assert 'calibration' not in pool_folds(runs, tmp_path / 'pooled', FAST)


def test_a_class_called_unknown_gets_no_threshold():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 60)
    probabilities = np.where(np.eye(2)[labels] > 0, 0.9, 0.1)
    said = Predictions.from_probabilities([f'k{n:02d}' for n in range(60)], ['s'] * 60, labels, probabilities,
                                          ('happy', 'unknown'))
    calibration, notes = calibration_run.fit(said, EvaluationConfig())
    assert calibration.threshold is None and "a class is called 'unknown'" in notes['no_threshold']
