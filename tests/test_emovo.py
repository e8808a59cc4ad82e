from pathlib import Path

import pytest

from ser.corpora.emovo import ACTORS, EMOTIONS, FACTS, SENTENCES, describe
from ser.errors import SerError
from tests.fixture_trees import built, counts, plant

NAMES = [f'{code}-{actor}-{sentence}' for actor in ACTORS for code in EMOTIONS for sentence in SENTENCES]
BY_EMOTION = dict.fromkeys(FACTS.emotions, 84)
BY_SPEAKER = dict.fromkeys(ACTORS, 98)


def of(name):
    return describe(Path('/nowhere') / name, name)


def test_every_code_of_a_name_is_read():
    found = of('f2/Gio-F2-n5.WAV')
    assert (found.emotion, found.raw_label, found.speaker, found.gender) == ('happy', 'gioia', 'f2', 'female')
    assert (found.text_id, found.language, found.intensity) == ('n5', 'it', None)


@pytest.mark.parametrize(('code', 'emotion'), list(zip(
    ('dis', 'gio', 'neu', 'pau', 'rab', 'sor', 'tri'),
    ('disgust', 'happy', 'neutral', 'fear', 'angry', 'surprise', 'sad'), strict=True)))
def test_emotions(code, emotion):
    assert of(f'{code}-m1-b1.wav').emotion == emotion


@pytest.mark.parametrize('name', ['dis-f1.wav', 'disgusto-f1-b1.wav', 'dis_f1_b1.wav', 'noise.wav'])
def test_other_names_are_skipped(name):
    assert of(name).reason == 'name does not fit EEE-AA-SS'


@pytest.mark.parametrize(('name', 'field', 'code', 'allowed'), [
    ('ans-f1-b1.wav', 'emotion', 'ans', 'dis, gio, neu, pau, rab, sor, tri'),
    ('dis-f4-b1.wav', 'actor', 'f4', 'f1, f2, f3, m1, m2, m3'),
    ('dis-f1-b4.wav', 'sentence', 'b4', 'b1, b2, b3'),
])
def test_an_unknown_code_is_an_error_naming_file_code_and_allowed(name, field, code, allowed):
    with pytest.raises(SerError) as error:
        of(name)
    for part in (name, field, f"'{code}'", allowed):
        assert part in str(error.value)


@pytest.mark.parametrize('layout', ['{name}.wav', 'EMOVO/{actor}/{name}.wav', 'a/b/c/{emotion}/{name}.WAV'])
def test_the_whole_corpus_flat_and_nested(tmp_path, layout):
    plant(tmp_path, [layout.format(name=name, actor=name[4:6], emotion=name[:3]) for name in NAMES])
    assert counts('emovo', tmp_path) == (BY_EMOTION, BY_SPEAKER, {})
    assert sum(BY_EMOTION.values()) == FACTS.utterances


def test_planted_clips_become_shards(tmp_path):
    names = [f'f1/{name}.wav' for name in NAMES if name.endswith('f1-b1')]
    summary, metadata = built('emovo', plant(tmp_path / 'source', names), tmp_path / 'out')
    assert (summary.utterances, set(summary.emotions)) == (7, set(FACTS.emotions))
    assert metadata['emovo-f1_sor-f1-b1']['raw_label'] == 'sorpresa'


def test_the_example_parses():
    assert of(FACTS.example).corpus == 'emovo'
