"""What people are told of an export."""

import pytest

from ser.exporting.words import lines_of

FACTS = {'task': 'emotion', 'output': 'probabilities', 'calibrated': True, 'temperature': 1.25, 'sample_rate': 16000}
FOUND = {'bytes': 1_630_000, 'clips': 2, 'clip_rate': 16000, 'source': "the run's test part",
         'exported_against_eager': {'max': 2e-6, 'mean': 1e-6},
         'alone_against_padded_batch': {'max': 3e-7, 'mean': 1e-7},
         'exported_against_trained': {'max': 4e-4, 'mean': 5e-5}, 'changed_decisions': 0, 'margins_of_changed': [],
         'latency_ms': {'median': 6.04, 'slowest': 9.0, 'processor_median': 5.5, 'median_clip_samples': 57600}}


def test_a_graph_is_told_whole():
    assert list(lines_of('a.onnx', FACTS, FOUND, ['gender'])) == [
        'a.onnx: written, 1.6 MB, 16000 Hz, calibrated, temperature 1.250',
        "parity on 2 clips of the run's test part, in probability: against eager 2.0e-06, alone against padded "
        '3.0e-07, against the trained engine 4.0e-04 (mean 5.0e-05)',
        'decisions changed: 0 of 2',
        "latency on one core: 6.0 ms a clip of 3.6 s (median; at most 9.0), 5.5 ms of it the processor's",
        'note: heads left out: gender']


def test_a_changed_decision_is_a_warning():
    found = FOUND | {'changed_decisions': 1, 'margins_of_changed': [0.003]}
    assert list(lines_of('a', FACTS, found))[2] == ("WARNING: 1 of 2 decisions differ from the trained engine's "
                                                    '(margins there: 3.0e-03)')


@pytest.mark.parametrize(('changes', 'words'), [
    ({'calibrated': False}, 'uncalibrated'), ({'task': 'dimensions', 'output': 'values'}, "in the corpus's units"),
    ({'output': 'logits'}, 'logits to be divided by the temperature 1.250'),
    ({'output': 'logits', 'calibrated': False}, 'uncalibrated'),
    ({'output': 'logits', 'task': 'dimensions'}, 'logits (times std, plus mean of ser.json)')])
def test_what_the_numbers_are(changes, words):
    assert next(lines_of('a', FACTS | changes, FOUND)).endswith(f'16000 Hz, {words}')


def test_dimensions_and_folders_tell_what_was_compared():
    found = {key: value for key, value in FOUND.items()
             if key not in ('exported_against_eager', 'alone_against_padded_batch', 'changed_decisions')}
    lines = list(lines_of('a', FACTS, found))
    assert lines[1].endswith('in deviations of the labels: against the trained engine 4.0e-04 (mean 5.0e-05)')
    assert len(lines) == 3
