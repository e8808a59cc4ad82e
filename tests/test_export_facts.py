"""What a file says of itself."""

import json
import re
from pathlib import Path

import pytest

from ser.evaluation.calibration import Calibration
from ser.exporting.facts import facts_of
from ser.exporting.graph import INPUTS
from ser.training.run import open_run
from tests.export_cases import CRNN, SSL, made_run
from tests.tiny_run import tiny_run  # noqa: F401


def test_a_trained_run_tells_classes_rate_score_and_limits(tiny_run):  # noqa: F811
    config, names = open_run(tiny_run.path)
    facts = facts_of(tiny_run.path, config, names, Calibration(1.5, 0.4, 0.25))
    assert json.loads(json.dumps(facts)) == facts
    assert (facts['class_names'], facts['sample_rate'], facts['output']) == (list(names), 16000, 'probabilities')
    assert (facts['calibrated'], facts['temperature'], facts['threshold']) == (True, 1.5, 0.4)
    assert facts['unknown'] == "say 'unknown' where the largest probability is below 0.4"
    data = json.loads((tiny_run.path / 'data.json').read_text())
    assert facts['protocol'] == data['protocol'] and facts['score'].startswith('test (')
    assert 'not for judging individuals' in facts['limits'][0] and facts['longest_seconds'] == 0.5


def test_corpora_come_with_their_licences(tmp_path):
    run = made_run(tmp_path / 'run', CRNN)
    config, names = open_run(run)
    (run / 'split.csv').write_text('key,speaker,label,part\nravdess-a,1,happy,train\nemodb-b,2,sad,test\n')
    facts = facts_of(run, config, names, None)
    assert [(corpus['name'], corpus['licence']) for corpus in facts['corpora']] == [('ravdess', 'CC BY-NC-SA 4.0')]
    assert (facts['calibrated'], facts['temperature'], facts['score']) == (False, 1.0, None)
    assert 'encoder' not in facts


def test_dimensions_tell_their_units(tmp_path):
    run = made_run(tmp_path / 'run', [*CRNN, 'task={kind: dimensions}', 'training.loss.kind=ccc'], names=('arousal',))
    (run / 'task.json').write_text(json.dumps({'kind': 'dimensions', 'names': ['arousal'], 'mean': [3.0], 'std': [0.5],
                                               'unit': [[1.0, 5.0]]}))
    facts = facts_of(run, *open_run(run), None)
    assert facts['dimension_names'] == ['arousal'] and facts['output'] == 'values' and 'class_names' not in facts
    assert facts['units'] == {'unit': [[1.0, 5.0]], 'mean': [3.0], 'std': [0.5]}


def test_a_published_encoder_is_named(tmp_path):
    run = made_run(tmp_path / 'run', SSL)
    config, names = open_run(run)
    source = type('Source', (), {'kind': 'hub', 'name': 'facebook/wav2vec2-base'})()
    encoder = config.model.encoder.model_copy(update={'source': source})
    config = config.model_copy(update={'model': config.model.model_copy(update={'encoder': encoder})})
    assert facts_of(run, config, names, None)['encoder'] == 'facebook/wav2vec2-base'


@pytest.mark.parametrize(('language', 'key'), [('python', r"facts\['(\w+)'\]"), ('js', r'facts\.(\w+)'),
                                               ('cpp', r'LookupCustomMetadataMapAllocated\("(\w+)"')])
def test_examples_of_the_readme_name_what_there_is(language, key, tmp_path):
    readme = (Path(__file__).resolve().parent.parent / 'README.md').read_text()
    blocks = re.findall(rf'^```{language}\n(.*?)^```', readme, re.MULTILINE | re.DOTALL)
    example, = (block for block in blocks if 'mine.onnx' in block)
    run = made_run(tmp_path / 'run', CRNN)
    facts = facts_of(run, *open_run(run), None)
    assert all(re.search(rf'\b{name}\b', example) for name in INPUTS)
    assert language == 'python' or re.search(rf"\b{facts['output']}\b", example)
    named = re.findall(key, example)
    assert 'class_names' in named and set(named) <= set(facts)
