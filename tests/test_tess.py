from pathlib import Path

import pytest

from ser.corpora.tess import EMOTIONS, FACTS, describe
from ser.errors import SerError
from tests.fixture_trees import built, counts, plant

# As many words as the corpus has; what they are is no matter.
WORDS = [first + vowel + last for first in 'bcdfg' for vowel in ('a', 'e', 'i', 'oa') for last in 'cdlmnprstz']
FOLDERS = {
    'OAF': ('OAF_angry', 'OAF_disgust', 'OAF_Fear', 'OAF_happy', 'OAF_neutral', 'OAF_Pleasant_surprise', 'OAF_Sad'),
    'YAF': ('YAF_angry', 'YAF_disgust', 'YAF_fear', 'YAF_happy', 'YAF_neutral', 'YAF_pleasant_surprised', 'YAF_sad')}
RELEASE = [f'{folder}/{speaker}_{word}_{code}.wav' for speaker, folders in FOLDERS.items()
           for folder, code in zip(folders, EMOTIONS, strict=True) for word in WORDS]
BY_EMOTION = dict.fromkeys(FACTS.emotions, 400)
BY_SPEAKER = {'OAF': 1400, 'YAF': 1400}


def of(name):
    return describe(Path('/nowhere') / name, name)


def test_every_part_of_a_name_is_read():
    found = of('any/where/YAF_dog_ps.WAV')
    assert (found.emotion, found.raw_label, found.speaker, found.gender) == (
        'surprise', 'pleasant surprise', 'YAF', 'female')
    assert (found.text_id, found.language, found.extra) == ('dog', 'en', {'age': 26})
    assert of('yaf_DOG_Ps.wav').text_id == 'dog'


@pytest.mark.parametrize(('code', 'emotion'), list(zip(
    ('angry', 'disgust', 'fear', 'happy', 'neutral', 'ps', 'sad'),
    ('angry', 'disgust', 'fear', 'happy', 'neutral', 'surprise', 'sad'), strict=True)))
def test_emotions(code, emotion):
    assert of(f'OAF_back_{code}.wav').emotion == emotion


@pytest.mark.parametrize('folder', ['YAF_neutral', 'neutral', '.', 'OAF_neutral'])
def test_the_file_of_the_release_that_lacks_a_letter_is_the_older_speakers(folder):
    found = of(f'{folder}/OA_bite_neutral.wav')
    assert (found.speaker, found.extra['age'], found.emotion) == ('OAF', 64, 'neutral')


@pytest.mark.parametrize('name', [
    'OAF_back.wav', 'OAF_back_angry_2.wav', 'noise.wav', 'unhappy.wav', 'OAF back happy.wav'])
def test_other_names_are_skipped(name):
    assert of(name).reason == 'name does not fit SPEAKER_word_emotion'


@pytest.mark.parametrize(('name', 'field', 'code', 'allowed'), [
    ('OAF_back_unhappy.wav', 'emotion', 'unhappy', 'angry, disgust, fear, happy, neutral, ps, sad'),
    ('MAF_back_sad.wav', 'speaker', 'MAF', 'OAF, YAF'),
])
def test_an_unknown_code_is_an_error_not_whatever_it_contains(name, field, code, allowed):
    with pytest.raises(SerError) as error:
        of(name)
    for part in (name, field, f"'{code}'", allowed):
        assert part in str(error.value)


def test_speakers_come_from_the_names_not_from_the_folders(tmp_path):
    flat = [name.rpartition('/')[2] for name in RELEASE]
    assert counts('tess', plant(tmp_path, flat)) == (BY_EMOTION, BY_SPEAKER, {})
    assert sum(BY_EMOTION.values()) == FACTS.utterances


def test_a_download_that_holds_the_corpus_twice_is_read_once_at_any_depth(tmp_path):
    name, part = 'TESS Toronto emotional speech set data', RELEASE[::10]
    plant(tmp_path, [f'{name}/{file}' for file in part] + [f'{name}/{name}/{file}' for file in part])
    assert counts('tess', tmp_path) == (
        dict.fromkeys(FACTS.emotions, 40), {'OAF': 140, 'YAF': 140}, {'the same name in another folder': 280})


def test_the_misnamed_file_and_its_corrected_copy_are_one_recording(tmp_path):
    plant(tmp_path, ['OAF_neutral/OA_bite_neutral.wav', 'fixed/OAF_bite_neutral.wav'])
    assert counts('tess', tmp_path) == ({'neutral': 1}, {'OAF': 1}, {'the same recording under another name': 1})


def test_planted_clips_become_shards(tmp_path):
    summary, metadata = built('tess', plant(tmp_path / 'source', ['OAF_Fear/OAF_back_fear.wav', 'YAF_dog_ps.wav']),
                              tmp_path / 'out')
    assert dict(summary.speakers) == {'OAF': 1, 'YAF': 1}
    assert metadata['tess-YAF_dog_ps']['raw_label'] == 'pleasant surprise'


def test_the_example_parses():
    assert of(FACTS.example).corpus == 'tess'
