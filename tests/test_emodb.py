from collections import Counter
from pathlib import Path

import pytest

from ser.corpora import read_corpus
from ser.corpora.emodb import FACTS, describe
from ser.corpora.utterance import Skip
from ser.errors import SerError
from tests.fixture_trees import built, plant


def of(name):
    return describe(Path('/nowhere') / name, name)


def test_every_code_of_a_name_is_read():
    found = of('wav/16b10Lb.wav')
    assert (found.emotion, found.raw_label, found.speaker, found.gender) == ('boredom', 'boredom', '16', 'female')
    assert (found.text_id, found.language, found.extra) == ('b10', 'de', {'version': 'b'})


@pytest.mark.parametrize(('letter', 'emotion'), list(zip(
    'WLEAFTN', ('angry', 'boredom', 'disgust', 'fear', 'happy', 'sad', 'neutral'), strict=True)))
def test_emotions(letter, emotion):
    assert of(f'03a01{letter}a.flac').emotion == emotion


@pytest.mark.parametrize('name', ['03a01F.wav', '3a01Fa.wav', 'noise.wav', '03a01Fa-copy.wav'])
def test_other_names_are_skipped(name):
    assert of(name) == Skip(name, 'name does not fit SSTTTEv', bad=True)


@pytest.mark.parametrize(('name', 'field', 'code', 'allowed'), [
    ('03a01Xa.wav', 'emotion', 'X', 'W, L, E, A, F, T, N'),
    ('07a01Wa.wav', 'speaker', '07', '03, 08, 09'),
    ('03c01Wa.wav', 'text', 'c01', 'a01, a02'),
])
def test_an_unknown_code_is_an_error_naming_file_code_and_allowed(name, field, code, allowed):
    with pytest.raises(SerError) as error:
        of(name)
    for part in (name, field, f"'{code}'", allowed):
        assert part in str(error.value)


def test_names_in_capitals_are_the_same_names():
    found = of('WAV/16B10LB.WAV')
    assert (found.emotion, found.text_id, found.extra) == ('boredom', 'b10', {'version': 'b'})


def test_planted_clips_become_shards(tmp_path):
    names = [f'wav/03a01{letter}a.wav' for letter in 'WLEAFTN']
    summary, metadata = built('emodb', plant(tmp_path / 'source', names), tmp_path / 'out')
    assert summary.utterances == 7 and set(summary.emotions) == set(FACTS.emotions)
    assert metadata['emodb-wav_03a01La']['emotion'] == 'boredom'


def test_its_owner_offers_the_recordings():
    assert [item.url for item in FACTS.downloads] == ['http://emodb.bilderbar.info/download/download.zip']
    assert FACTS.downloads[0].checksum is None


def test_the_real_corpus(real_corpora):
    utterances, skips = read_corpus('emodb', real_corpora / 'emodb')
    assert (len(utterances), skips) == (FACTS.utterances, [])
    assert Counter(found.emotion for found in utterances) == {
        'angry': 127, 'boredom': 81, 'neutral': 79, 'happy': 71, 'fear': 69, 'sad': 62, 'disgust': 46}
    assert len({found.speaker for found in utterances}) == FACTS.speakers
    assert {found.emotion for found in utterances} == set(FACTS.emotions)
