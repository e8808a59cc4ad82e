import unicodedata
from pathlib import Path

import pytest

from ser.corpora import read_corpus
from ser.corpora.cafe import AGES, EMOTIONS, FACTS, SENTENCES, describe
from ser.errors import SerError
from tests.fixture_trees import built, counts, plant

FOLDERS = {'C': 'Colère', 'D': 'Dégoût', 'J': 'Joie', 'P': 'Peur', 'S': 'Surprise', 'T': 'Tristesse'}
RELEASE = [f'{folder}/{level}/{actor}-{code}-{number}-{sentence}.wav' for code, folder in FOLDERS.items()
           for number, level in (('1', 'Faible'), ('2', 'Fort')) for actor in AGES for sentence in SENTENCES]
RELEASE += [f'Neutre/{actor}-N-{sentence}.wav' for actor in AGES for sentence in SENTENCES]
BY_EMOTION = {emotion: 72 if emotion == 'neutral' else 144 for emotion in FACTS.emotions}
BY_SPEAKER = dict.fromkeys(AGES, 78)


def of(name):
    return describe(Path('/nowhere') / name, name)


def test_every_code_of_a_name_is_read():
    found = of('Colère/Fort/02-C-2-5.WAV')
    assert (found.emotion, found.raw_label, found.speaker, found.gender) == ('angry', 'colère', '02', 'female')
    assert (found.text_id, found.intensity, found.language, found.extra) == ('5', 'high', 'fr', {'age': 64})
    assert of('11-t-1-1.aiff').intensity == 'low'


def test_odd_actors_are_men_and_even_ones_women():
    assert [of(f'{actor}-J-1-1.wav').gender for actor in ('01', '04', '11', '12')] == [
        'male', 'female', 'male', 'female']


@pytest.mark.parametrize(('code', 'emotion'), list(zip(
    'CDJNPST', ('angry', 'disgust', 'happy', 'neutral', 'fear', 'surprise', 'sad'), strict=True)))
def test_emotions(code, emotion):
    assert of(f'01-{code}-1-1.wav').emotion == emotion


def test_neutral_has_no_intensity():
    assert [(found.text_id, found.intensity) for found in (of('03-N-2.wav'), of('03-N-1-2.wav'))] == [('2', None)] * 2


@pytest.mark.parametrize('name', ['01-C-1.wav', 'Readme.wav', '1-C-1-1.wav', '01-C-1-1 copy.wav'])
def test_other_names_are_skipped(name):
    assert of(name).reason == 'name does not fit AA-E-I-S'


@pytest.mark.parametrize(('name', 'field', 'code', 'allowed'), [
    ('13-C-1-1.wav', 'actor', '13', '11, 12'),
    ('01-X-1-1.wav', 'emotion', 'X', 'C, D, J, N, P, S, T'),
    ('01-C-3-1.wav', 'intensity', '3', '1, 2'),
    ('01-C-1-7.wav', 'sentence', '7', '1, 2, 3, 4, 5, 6'),
])
def test_an_unknown_code_is_an_error_naming_file_code_and_allowed(name, field, code, allowed):
    with pytest.raises(SerError) as error:
        of(name)
    for part in (name, field, f"'{code}'", allowed):
        assert part in str(error.value)


@pytest.mark.parametrize('form', ['NFC', 'NFD'])
def test_the_release_is_read_however_its_accents_are_put(tmp_path, form):
    plant(tmp_path, [unicodedata.normalize(form, f'CaFE_48k/{name}') for name in RELEASE])
    assert counts('cafe', tmp_path) == (BY_EMOTION, BY_SPEAKER, {})
    assert sum(BY_EMOTION.values()) == FACTS.utterances


def test_folders_may_be_renamed_or_missing(tmp_path):
    renamed = [name.replace('Colère', 'Colere').replace('Dégoût', 'anything').replace('Joie/', '').upper()
               for name in RELEASE]
    assert counts('cafe', plant(tmp_path, renamed)) == (BY_EMOTION, BY_SPEAKER, {})


def test_faible_and_fort_of_a_sentence_are_two_recordings_and_two_sampling_rates_one(tmp_path):
    plant(tmp_path, ['CaFE_192k_1/Peur/Faible/01-P-1-1.aiff', 'CaFE_48k/Peur/Faible/01-P-1-1.wav',
                     'CaFE_48k/Peur/Fort/01-P-2-1.wav'])
    utterances, skips = read_corpus('cafe', tmp_path)
    assert [found.relative for found in utterances] == [
        'CaFE_48k/Peur/Faible/01-P-1-1.wav', 'CaFE_48k/Peur/Fort/01-P-2-1.wav']
    assert skips[0].reason == 'the same name in another folder'


def test_planted_clips_become_shards(tmp_path):
    names = [unicodedata.normalize('NFD', name) for name in RELEASE if '/01-' in name and name.endswith('1.wav')]
    summary, metadata = built('cafe', plant(tmp_path / 'source', names), tmp_path / 'out')
    assert (summary.utterances, dict(summary.speakers)) == (13, {'01': 13})
    assert {values['raw_label'] for values in metadata.values()} == {raw for raw, _ in EMOTIONS.values()}


def test_its_owner_offers_the_recordings():
    assert [item.file for item in FACTS.downloads] == ['CaFE_48k.zip']


def test_the_example_parses():
    assert of(FACTS.example).corpus == 'cafe'
