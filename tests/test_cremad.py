from pathlib import Path

import pytest

from ser.corpora import read_corpus
from ser.corpora.cremad import ACTORS, EMOTIONS, FACTS, SENTENCES, describe, read_votes
from ser.corpora.utterance import Skip
from ser.errors import SerError
from tests.fixture_trees import built, counts, plant

# "It's eleven o'clock" is acted in three intensities, everything else and all of neutral without any.
EVERY = [f'{actor}_{sentence}_{code}_{level}' for actor in ACTORS for sentence in SENTENCES for code in EMOTIONS
         for level in (('LO', 'MD', 'HI') if sentence == 'IEO' and code != 'NEU' else ('XX',))]
# The release lacks 20 of them, three of each emotion and five of neutral; which ones is no matter here.
LACKING = {name for code in EMOTIONS for name in [name for name in EVERY if code in name][:5 if code == 'NEU' else 3]}
RELEASE = [name for name in EVERY if name not in LACKING]
BY_EMOTION = {emotion: 1087 if emotion == 'neutral' else 1271 for emotion in FACTS.emotions}

# As the release has it, with fewer of its columns: what the rater saw or heard is in the row's number.
VOTES = '''"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"
"100001",0,0,0,1,10,0,"1001_IEO_NEU_XX",11,0.909090909090909,"N"
"100002",0,0,0,3,6,0,"1001_IEO_HAP_LO",9,0.666666666666667,"N"
"100009",5,5,0,0,1,1,"1001_IEO_ANG_MD",12,0.416666666666667,"A:D"
"103212",1,0,0,0,1,7,"1040_ITH_SAD_XX",9,0.777777777777778,"S"
"107443",0,9,0,0,0,0,"ANG_HI_practice",9,1,"D"
"200002",0,0,0,9,0,0,"1001_IEO_HAP_LO",9,1,"H"
"300002",0,0,0,8,1,0,"1001_IEO_HAP_LO",9,0.888888888888889,"H"
'''
SUMMARY = '''"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"
"1","1001_IEO_NEU_XX","N","69.1","N","92.22","N","64.78"
"2","1001_IEO_HAP_LO","N","71.67","H","57","H","57.38"
"9","1001_IEO_ANG_MD","A:D","37.2:58.6","A","45.5","A","44.2"
'''
CLIPS = ['AudioWAV/1001_IEO_ANG_MD.wav', 'AudioWAV/1001_IEO_HAP_LO.wav', 'AudioWAV/1001_IEO_NEU_XX.wav',
         'AudioWAV/1001_TIE_NEU_XX.wav', 'AudioWAV/1040_ITH_SAD_X.wav']


def of(name):
    return describe(Path('/nowhere') / name, name)


@pytest.fixture
def rated(tmp_path):
    """A few clips with the table of votes and the one of actors."""
    plant(tmp_path, CLIPS)
    (tmp_path / 'processedResults').mkdir()
    (tmp_path / 'processedResults/tabulatedVotes.csv').write_text(VOTES)
    (tmp_path / 'VideoDemographics.csv').write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n')
    return tmp_path


def test_every_code_of_a_name_is_read():
    found = of('AudioWAV/1001_IEO_HAP_LO.WAV')
    assert (found.emotion, found.raw_label, found.speaker, found.gender) == ('happy', 'happy', '1001', None)
    assert (found.text_id, found.intensity, found.language, found.extra) == ('IEO', 'low', 'en', {})
    assert of('1091_wsi_ang_hi.wav').intensity == 'high'


@pytest.mark.parametrize(('code', 'emotion'), list(zip(
    ('ANG', 'DIS', 'FEA', 'HAP', 'NEU', 'SAD'), ('angry', 'disgust', 'fear', 'happy', 'neutral', 'sad'),
    strict=True)))
def test_emotions(code, emotion):
    assert of(f'1001_DFA_{code}_XX.wav').emotion == emotion


@pytest.mark.parametrize('name', ['1040_ITH_SAD_X.wav', '1040_ITH_SAD_XX.wav'])
def test_an_unspecified_intensity_is_unknown_one_x_or_two(name):
    assert of(name).intensity is None


@pytest.mark.parametrize('name', ['1001_DFA_ANG.wav', 'ANG_HI_practice.wav', 'noise.wav', '1001_DFA_ANG_XX_1.wav'])
def test_other_names_are_skipped(name):
    assert of(name) == Skip(name, 'name does not fit AAAA_SSS_EEE_LL', bad=True)


@pytest.mark.parametrize(('name', 'field', 'code', 'allowed'), [
    ('1092_DFA_ANG_XX.wav', 'actor', '1092', '1090, 1091'),
    ('1001_ABC_ANG_XX.wav', 'sentence', 'ABC', 'IEO, TIE'),
    ('1001_DFA_SUR_XX.wav', 'emotion', 'SUR', 'ANG, DIS, FEA, HAP, NEU, SAD'),
    ('1001_DFA_ANG_ME.wav', 'intensity', 'ME', 'LO, MD, HI, XX'),
])
def test_an_unknown_code_is_an_error_naming_file_code_and_allowed(name, field, code, allowed):
    with pytest.raises(SerError) as error:
        of(name)
    for part in (name, field, f"'{code}'", allowed):
        assert part in str(error.value)


def test_the_whole_corpus_flat_and_nested(tmp_path):
    flat, nested = tmp_path / 'flat', tmp_path / 'nested' / 'crema' / 'AudioWAV'
    plant(flat, [f'{name}.{"WAV" if number % 2 else "wav"}' for number, name in enumerate(RELEASE)])
    found = counts('crema-d', flat)
    assert (found[0], len(found[1]), found[2]) == (BY_EMOTION, FACTS.speakers, {})
    assert sum(BY_EMOTION.values()) == FACTS.utterances
    nested.parent.mkdir(parents=True)
    flat.rename(nested)
    assert counts('crema-d', tmp_path / 'nested') == found


def test_of_a_repository_with_mp3_and_wav_the_wav_files_are_taken(tmp_path):
    plant(tmp_path, ['AudioMP3/1001_DFA_ANG_XX.mp3', 'AudioWAV/1001_DFA_ANG_XX.wav', 'VideoFlash/1001_DFA_ANG_XX.flv'])
    utterances, skips = read_corpus('crema-d', tmp_path)
    assert [found.relative for found in utterances] == ['AudioWAV/1001_DFA_ANG_XX.wav']
    assert [skip.reason for skip in skips] == ['the same name in another folder', 'not an audio file']


def test_votes_are_of_the_voice_alone_and_the_label_stays_what_was_intended(rated):
    found = {item.path.stem: item for item in read_corpus('crema-d', rated)[0]}
    happy = found['1001_IEO_HAP_LO']
    assert (happy.emotion, happy.gender, happy.extra['age']) == ('happy', 'male', 51)
    assert happy.extra['votes'] == {'angry': 0, 'disgust': 0, 'fear': 0, 'happy': 3, 'neutral': 6, 'sad': 0}
    assert 'votes' not in found['1001_TIE_NEU_XX'].extra
    assert found['1040_ITH_SAD_X'].extra == {'votes': happy.extra['votes'] | {
        'angry': 1, 'happy': 0, 'neutral': 1, 'sad': 7}}
    assert found['1040_ITH_SAD_X'].gender is None


def test_the_perceived_label_is_the_majority_and_ties_are_skipped(rated):
    utterances, skips = read_corpus('crema-d', rated, {'label': 'perceived'})
    assert [(found.path.stem, found.emotion, found.raw_label, found.extra['intended']) for found in utterances] == [
        ('1001_IEO_HAP_LO', 'neutral', 'neutral', 'happy'), ('1001_IEO_NEU_XX', 'neutral', 'neutral', 'neutral'),
        ('1040_ITH_SAD_X', 'sad', 'sad', 'sad')]
    assert [(Path(skip.relative).stem, skip.reason, skip.detail) for skip in skips if skip.relative in CLIPS] == [
        ('1001_IEO_ANG_MD', 'no majority in votes', 'anger and disgust'), ('1001_TIE_NEU_XX', 'no votes', '')]


def test_the_summary_table_has_the_majority_only(tmp_path):
    plant(tmp_path / 'source', CLIPS)
    table = tmp_path / 'summaryTable.csv'
    table.write_text(SUMMARY)
    options = {'label': 'perceived', 'votes': str(table)}
    utterances, skips = read_corpus('crema-d', tmp_path / 'source', options)
    assert [(found.path.stem, found.emotion, found.extra) for found in utterances] == [
        ('1001_IEO_HAP_LO', 'neutral', {'intended': 'happy'}), ('1001_IEO_NEU_XX', 'neutral', {'intended': 'neutral'})]
    assert [skip.reason for skip in skips] == ['no majority in votes', 'no votes', 'no votes']


def test_a_perceived_label_needs_votes(tmp_path):
    plant(tmp_path, CLIPS)
    with pytest.raises(SerError, match='label=perceived needs .* tabulatedVotes.csv or summaryTable.csv .* votes=FILE'):
        read_corpus('crema-d', tmp_path, {'label': 'perceived'})
    with pytest.raises(SerError, match="option label must be one of intended, perceived, not 'heard'"):
        read_corpus('crema-d', tmp_path, {'label': 'heard'})


@pytest.mark.parametrize(('text', 'message'), [
    ('a,b\n', 'votes.csv: expected the columns A, D, F, H, N, S, fileName or FileName, VoiceVote, found a, b'),
    (VOTES.replace('"100002",0', '"100002",x'), 'votes.csv line 3: cannot be read'),
    (VOTES.replace('"100002"', '"face"'), 'votes.csv line 3: cannot be read'),
    (SUMMARY.replace('"N","71.67"', '"Q","71.67"'), 'votes.csv line 3: cannot be read'),
    (VOTES.replace('1001_IEO_NEU', '1001_ABC_NEU'), "1001_ABC_NEU_XX.wav: unknown sentence code 'ABC'"),
])
def test_a_table_that_is_not_the_releases_is_refused(tmp_path, text, message):
    table = tmp_path / 'votes.csv'
    table.write_text(text)
    with pytest.raises(SerError, match=message):
        read_votes(table)


def test_planted_clips_become_shards(rated, tmp_path_factory):
    summary, metadata = built('crema-d', rated, tmp_path_factory.mktemp('out') / 'shards')
    assert (summary.utterances, dict(summary.speakers)) == (5, {'1001': 4, '1040': 1})
    assert metadata['crema-d-AudioWAV_1001_IEO_HAP_LO']['votes']['neutral'] == 6


def test_the_example_parses():
    assert of(FACTS.example).corpus == 'crema-d'
