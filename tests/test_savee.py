from pathlib import Path

import pytest

from ser.corpora import read_corpus
from ser.corpora.savee import EMOTIONS, FACTS, NEUTRAL_SENTENCES, SENTENCES, SPEAKERS, describe
from ser.corpora.utterance import Skip
from ser.errors import SerError
from tests.fixture_trees import built, counts, plant

NAMES = [f'{code}{number}' for code in EMOTIONS for number in (NEUTRAL_SENTENCES if code == 'n' else SENTENCES)]
BY_EMOTION = {emotion: 120 if emotion == 'neutral' else 60 for emotion in FACTS.emotions}
BY_SPEAKER = dict.fromkeys(SPEAKERS, 120)


def of(name):
    return describe(Path('/nowhere') / name, name)


@pytest.mark.parametrize('name', ['AudioData/DC/sa07.wav', 'DC_sa07.wav', 'ALL/dc_SA07.WAV', 'x/dc/y/sa07.flac',
                                  'JE/DC_sa07.wav'])
def test_the_speaker_is_in_the_name_or_the_nearest_folder_called_like_one(name):
    found = of(name)
    assert (found.speaker, found.gender, found.emotion, found.raw_label) == ('DC', 'male', 'sad', 'sadness')
    assert (found.text_id, found.language) == ('sa07', 'en')


@pytest.mark.parametrize(('code', 'emotion'), list(zip(
    ('a', 'd', 'f', 'h', 'n', 'sa', 'su'), ('angry', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise'),
    strict=True)))
def test_emotions(code, emotion):
    assert of(f'KL_{code}01.wav').emotion == emotion


@pytest.mark.parametrize('name', ['DC/a1.wav', 'DC/noise.wav', 'DC/a01 (1).wav', 'DC-a01.wav', 'DC/Info 01.wav'])
def test_other_names_are_skipped(name):
    assert 'name does not fit' in of(name).reason


def test_a_name_without_speaker_in_a_folder_of_nobody_is_skipped():
    assert of('somewhere/a01.wav') == Skip('somewhere/a01.wav', 'no speaker in its name or its folders', bad=True)


@pytest.mark.parametrize(('name', 'field', 'code', 'allowed'), [
    ('DC_x01.wav', 'emotion', 'x', 'a, d, f, h, n, sa, su'),
    ('AB_a01.wav', 'speaker', 'AB', 'DC, JE, JK, KL'),
    ('DC_a16.wav', 'sentence', '16', '14, 15. '),
    ('DC_n31.wav', 'sentence', '31', '29, 30. '),
])
def test_an_unknown_code_is_an_error_naming_file_code_and_allowed(name, field, code, allowed):
    with pytest.raises(SerError) as error:
        of(name)
    for part in (name, field, f"'{code}'", allowed):
        assert part in str(error.value)


def test_neutral_is_kept_and_so_is_surprise(tmp_path):
    plant(tmp_path, [f'{speaker}_{name}.wav' for speaker in SPEAKERS for name in NAMES])
    assert counts('savee', tmp_path) == (BY_EMOTION, BY_SPEAKER, {})
    assert sum(BY_EMOTION.values()) == FACTS.utterances


def test_equal_names_of_four_speakers_are_four_recordings_at_any_depth(tmp_path):
    plant(tmp_path, [f'SAVEE/AudioData/{speaker}/{name}.wav' for speaker in SPEAKERS for name in NAMES])
    assert counts('savee', tmp_path) == (BY_EMOTION, BY_SPEAKER, {})


def test_the_corpus_in_both_layouts_at_once_is_taken_once(tmp_path):
    names = [layout.format(speaker) for layout in ('AudioData/{}/a01.wav', 'ALL/{}_a01.wav') for speaker in SPEAKERS]
    assert counts('savee', plant(tmp_path, names)) == (
        {'angry': 4}, dict.fromkeys(SPEAKERS, 1), {'the same recording under another name': 4})


def test_planted_clips_become_shards(tmp_path):
    source = plant(tmp_path / 'source', [f'AudioData/{speaker}/n01.WAV' for speaker in SPEAKERS])
    summary, metadata = built('savee', source, tmp_path / 'out')
    assert (summary.utterances, dict(summary.speakers)) == (4, dict.fromkeys(SPEAKERS, 1))
    assert metadata['savee-AudioData_KL_n01']['raw_label'] == 'neutral'


def test_nothing_that_matches_shows_an_expected_and_a_found_name(tmp_path):
    plant(tmp_path, ['take one.wav'])
    with pytest.raises(SerError, match=r"expected names like 'DC_a01.wav', found 'take one.wav'"):
        read_corpus('savee', tmp_path)


def test_the_example_parses():
    assert of(FACTS.example).corpus == 'savee'
