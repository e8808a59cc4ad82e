from collections import Counter
from pathlib import Path

import pytest

from ser.corpora import read_corpus
from ser.corpora.ravdess import EMOTIONS, FACTS, INTENSITIES, SONG_EMOTIONS, describe
from ser.corpora.utterance import Skip
from ser.errors import SerError
from tests.fixture_trees import built, counts, plant


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
    assert of(name) == Skip(name, reason, bad=reason.startswith('name'))


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


SPEECH = [f'03-01-{emotion}-{intensity}-{statement}-{repetition}-{actor:02d}'
          for actor in range(1, 25) for emotion in EMOTIONS for intensity in INTENSITIES
          if (emotion, intensity) != ('01', '02') for statement in ('01', '02') for repetition in ('01', '02')]
SONG = [name.replace('03-01', '03-02', 1) for name in SPEECH
        if name[6:8] in SONG_EMOTIONS and not name.endswith('18')]


@pytest.fixture(scope='module')
def planted(tmp_path_factory):
    """The whole corpus, speech and song, as its two archives unpack side by side."""
    folder = tmp_path_factory.mktemp('ravdess')
    plant(folder, [f'Audio_Speech_Actors_01-24/Actor_{name[-2:]}/{name}.wav' for name in SPEECH])
    return plant(folder, [f'Audio_Song_Actors_01-24/Actor_{name[-2:]}/{name}.wav' for name in SONG])


def test_speech_alone_by_default(planted):
    emotions, speakers, skips = counts('ravdess', planted)
    assert emotions == {emotion: 96 if emotion == 'neutral' else 192 for emotion in FACTS.emotions}
    assert set(speakers.values()) == {60} and len(speakers) == 24
    assert (sum(emotions.values()), skips) == (FACTS.utterances, {'song': 1012})


def test_song_alone_and_both(planted):
    emotions, speakers, skips = counts('ravdess', planted, {'song': 'only'})
    assert emotions == {'neutral': 92} | dict.fromkeys(('calm', 'happy', 'sad', 'angry', 'fear'), 184)
    assert set(speakers.values()) == {44} and len(speakers) == 23 and '18' not in speakers
    assert skips == {'speech': 1440}
    emotions, speakers, skips = counts('ravdess', planted, {'song': 'yes'})
    assert (sum(emotions.values()), speakers['18'], skips) == (2452, 60, {})


def test_where_song_is_taken_the_channel_is_noted():
    name = '03-02-03-01-01-01-01.wav'
    found = describe(Path('/nowhere') / name, name, song='yes')
    assert (found.emotion, found.extra) == ('happy', {'repetition': '01', 'channel': 'song'})
    assert describe(Path('x'), name.replace('03-02', '03-01', 1), song='yes').extra['channel'] == 'speech'


def test_disgust_and_surprise_are_not_sung():
    name = '03-02-07-01-01-01-01.wav'
    with pytest.raises(SerError, match="unknown emotion code '07'. RAVDESS song has 01, 02, 03, 04, 05, 06. "):
        describe(Path(name), name, song='only')


def test_an_unknown_value_of_the_option_is_refused(tmp_path):
    with pytest.raises(SerError, match="option song must be one of no, yes, only, not 'maybe'"):
        read_corpus('ravdess', tmp_path, {'song': 'maybe'})


def test_actors_at_any_depth_in_renamed_folders_with_suffixes_in_capitals(tmp_path):
    names = [f'a/b/c/someone/{SPEECH[0]}.WAV', f'{SPEECH[60]}.Wav', f'copy/of/it/{SPEECH[0]}.wav']
    assert counts('ravdess', plant(tmp_path, names)) == (
        {'neutral': 2}, {'01': 1, '02': 1}, {'the same name in another folder': 1})


def test_speech_and_song_become_shards_with_keys_of_their_own(tmp_path):
    names = [f'Actor_01/{SPEECH[0]}.wav', f'Actor_01/{SONG[0]}.wav']
    _, metadata = built('ravdess', plant(tmp_path / 'source', names), tmp_path / 'out', {'song': 'yes'})
    assert {key: values['channel'] for key, values in metadata.items()} == {
        f'ravdess-Actor_01_{SPEECH[0]}': 'speech', f'ravdess-Actor_01_{SONG[0]}': 'song'}


def test_downloads_carry_what_their_record_publishes():
    assert [item.file for item in FACTS.downloads] == ['Audio_Speech_Actors_01-24.zip']
    assert all(item.checksum.startswith('md5:') and item.checksum_source == FACTS.homepage for item in FACTS.downloads)


def test_the_real_corpus(real_corpora):
    utterances, skips = read_corpus('ravdess', real_corpora / 'ravdess')
    assert (len(utterances), skips) == (FACTS.utterances, [])
    assert Counter(Counter(found.speaker for found in utterances).values()) == {60: 24}
    counts = Counter(found.emotion for found in utterances)
    assert counts.pop('neutral') == 96
    assert set(counts.values()) == {192} and len(counts) == 7
    assert Counter(found.gender for found in utterances) == {'male': 720, 'female': 720}
