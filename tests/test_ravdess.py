from collections import Counter
from pathlib import Path

import pytest

from ser.corpora import read_corpus
from ser.corpora.ravdess import FACTS, describe
from ser.corpora.utterance import Skip
from ser.errors import SerError


def of(name):
    return describe(Path('/nowhere') / name, name)


def test_every_code_of_a_name_is_read():
    found = of('Actor_12/03-01-06-02-01-02-12.WAV')
    assert (found.emotion, found.raw_label, found.speaker, found.gender) == ('fear', 'fearful', '12', 'female')
    assert (found.intensity, found.text_id, found.extra) == ('strong', '01', {'repetition': '02'})
    assert found.relative == 'Actor_12/03-01-06-02-01-02-12.WAV'


def test_odd_actors_are_male_and_even_ones_female():
    assert [of(f'03-01-01-01-01-01-{actor:02d}.wav').gender for actor in (1, 2, 23, 24)] == [
        'male', 'female', 'male', 'female']


@pytest.mark.parametrize(('code', 'emotion'), list(zip(
    ('01', '02', '03', '04', '05', '06', '07', '08'),
    ('neutral', 'calm', 'happy', 'sad', 'angry', 'fear', 'disgust', 'surprise'), strict=True)))
def test_emotions(code, emotion):
    assert of(f'03-01-{code}-01-01-01-01.wav').emotion == emotion


@pytest.mark.parametrize(('name', 'reason'), [
    ('03-02-03-01-01-01-01.wav', 'song'),
    ('01-01-03-01-01-01-01.wav', 'modality 01 (audio and video)'),
    ('02-01-03-01-01-01-01.wav', 'modality 02 (video only)'),
    ('03-01-03-01-01-01.wav', 'name does not fit MM-VC-EE-II-SS-RR-AA'),
    ('03-01-03-01-01-01-01 (1).wav', 'name does not fit MM-VC-EE-II-SS-RR-AA'),
    ('noise.wav', 'name does not fit MM-VC-EE-II-SS-RR-AA'),
])
def test_what_is_not_an_utterance_is_skipped_with_a_reason(name, reason):
    assert of(name) == Skip(name, reason)


@pytest.mark.parametrize(('name', 'field', 'code', 'allowed'), [
    ('03-01-09-01-01-01-01.wav', 'emotion', '09', '01, 02, 03, 04, 05, 06, 07, 08'),
    ('03-01-01-03-01-01-01.wav', 'intensity', '03', '01, 02'),
    ('03-01-01-01-01-01-25.wav', 'actor', '25', '23, 24'),
    ('03-03-01-01-01-01-01.wav', 'vocal channel', '03', '01, 02'),
    ('04-01-01-01-01-01-01.wav', 'modality', '04', '01, 02, 03'),
])
def test_an_unknown_code_is_an_error_naming_file_code_and_allowed(name, field, code, allowed):
    with pytest.raises(SerError) as error:
        of(name)
    for part in (name, field, f"'{code}'", allowed):
        assert part in str(error.value)
    assert '\n' not in str(error.value)


def test_nothing_that_matches_shows_an_expected_and_a_found_name(tmp_path):
    (tmp_path / 'notes.txt').touch()
    (tmp_path / 'take1.wav').touch()
    with pytest.raises(SerError) as error:
        read_corpus('ravdess', tmp_path)
    assert FACTS.example in str(error.value)
    assert 'take1.wav' in str(error.value)


def test_the_example_parses():
    assert of(FACTS.example).corpus == 'ravdess'


def test_the_real_corpus(real_corpora):
    utterances, skips = read_corpus('ravdess', real_corpora / 'ravdess')
    assert (len(utterances), skips) == (FACTS.utterances, [])
    assert Counter(Counter(found.speaker for found in utterances).values()) == {60: 24}
    counts = Counter(found.emotion for found in utterances)
    assert counts.pop('neutral') == 96
    assert set(counts.values()) == {192} and len(counts) == 7
    assert Counter(found.gender for found in utterances) == {'male': 720, 'female': 720}
