"""Classes of auxiliary heads on their way to a hub: those that are people are numbers, wherever they stand."""

import json

import pytest

from ser.inference.hub_auxiliary import class_notes, sent_classes, with_sent_classes

CLASSES = {'accent': ['north', 'south'], 'who': ['anna', 'berta', 'carl'], 'speaker': ['7', '8']}
SCORES = {'who': {'ua': 0.5, 'per_class': {name: {'recall': 0.5} for name in CLASSES['who']}}, 'speaker': None}


@pytest.fixture
def run(tmp_path):
    (tmp_path / 'auxiliary.json').write_text(json.dumps(CLASSES))
    (tmp_path / 'config.yaml').write_text(
        'model: {kind: crnn}\ntask: {auxiliary: {accent: {}, who: {key: n}, speaker: {}}}')
    (tmp_path / 'split.csv').write_text('key,speaker,label,part\na,Anna,sad,train\nb,,sad,test\n')
    return tmp_path


def test_classes_called_like_a_speaker_or_of_that_key_are_numbers(run):
    assert sent_classes(run, False) == {'accent': ('north', 'south'), 'who': ('1', '2', '3'), 'speaker': ('1', '2')}
    assert sent_classes(run, True) == {name: tuple(values) for name, values in CLASSES.items()}
    (run / 'split.csv').unlink()
    assert sent_classes(run, False)['who'] == ('anna', 'berta', 'carl')


def test_scores_call_them_alike(run):
    scored = with_sent_classes({'ua': 1, 'auxiliary': SCORES}, run, False)['auxiliary']
    assert list(scored['who']['per_class']) == ['1', '2', '3'] and scored['speaker'] is None
    assert with_sent_classes({'auxiliary': SCORES}, run, True) == {'auxiliary': SCORES}
    assert with_sent_classes({'ua': 1}, run, False) == {'ua': 1}


def test_every_head_is_spoken_of(run):
    said = list(class_notes(run, False))
    assert said[0] == 'auxiliary accent: its classes are told: north, south'
    assert said[1].startswith('auxiliary who: its 3 classes name speakers and are sent as numbers (--with-predictions')
    assert list(class_notes(run, True))[1].endswith('classes name speakers and are told, as --with-predictions says')
    (run / 'auxiliary.json').write_text(json.dumps({'accent': list('abcdefgh')}))
    assert list(class_notes(run, False)) == ['auxiliary accent: its classes are told: a, b, c, d, e, f and 2 more']
