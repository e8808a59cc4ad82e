"""What the server says of its model, from the run's files or without them."""

import json
import shutil

from ser.evaluation.calibration import Calibration
from ser.serving.limits import Limits
from ser.serving.model_facts import LIMITS, SYNTHETIC, model_facts
from tests.served import StandIn
from tests.tiny_run import tiny_run  # noqa: F401


def test_a_tested_run_tells_its_score_and_protocol(tiny_run):  # noqa: F811
    facts = model_facts(tiny_run.path, StandIn(), Limits(max_bytes=2000, max_seconds=7.0))
    metrics = json.loads((tiny_run.path / 'test_metrics.json').read_text())
    assert facts['name'] == tiny_run.path.name and facts['system'].startswith('maxmvit, mel: mvitv2')
    assert facts['score'].startswith('test (') and 'UA ' in facts['score'] and '[' in facts['score']
    assert facts['score'].endswith(f"protocol: {metrics['protocol']}") and '\n' not in facts['score']
    assert set(metrics['notes']) < set(facts['notes']) and facts['notes'][-1] == LIMITS
    assert facts['limits'] == {'max_bytes': 2000, 'max_seconds': 7.0}


def test_calibration_is_told(tmp_path):
    model = StandIn()
    facts = model_facts(tmp_path, model, Limits())
    assert (facts['calibrated'], facts['threshold']) == (False, None)
    assert any('not calibrated' in note for note in facts['notes'])
    model.calibration = Calibration(1.5, 0.4, facts={'temperature': 1.5})
    facts = model_facts(tmp_path, model, Limits())
    assert (facts['calibrated'], facts['threshold']) == (True, 0.4)
    assert not any('not calibrated' in note for note in facts['notes'])


def test_missing_and_broken_files_are_said(tmp_path, tiny_run):  # noqa: F811
    facts = model_facts(tmp_path, StandIn(), Limits())
    assert facts['score'] is None and 'it was never tested' in facts['notes'] and facts['system'] == 'standin'
    (tmp_path / 'test_metrics.json').write_text('{}')
    (tmp_path / 'data.json').write_text('{"synthetic": true}')
    shutil.copy(tiny_run.path / 'config.yaml', tmp_path)
    facts = model_facts(tmp_path, StandIn(), Limits())
    assert facts['score'] is None and facts['notes'][:2] == [SYNTHETIC, 'its test_metrics.json cannot be read']
