import shutil
from collections import Counter

import pytest

from ser.corpora import CORPORA, read_corpus
from ser.corpora.iemocap import FACTS, parse
from ser.corpora.iemocap_labels import EMOTIONS, read_evaluations, read_turn
from ser.corpora.utterance import Skip
from ser.errors import SerError

HEADER = '% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n'
RATERS = ('C-E2:\tNeutral;\t()\nC-E3:\tNeutral; Anger;\t()\nC-E4:\tFrustration;\t(so-so; curious)\n'
          'C-F1:\tHappiness;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\nA-F1:\tval 3; act 2; dom  1;\t()\n')
# Session -> dialog -> turns and their codes: women and men with markers, improvised and scripted.
DIALOGS = {
    '1': {'Ses01F_impro01': {'F000': 'neu', 'M000': 'exc', 'F001': 'xxx', 'M001': 'hap'},
          'Ses01M_script01_1b': {'F000': 'fru', 'M000': 'oth'}},
    '2': {'Ses02M_impro05a': {'F000': 'sad', 'MXX0': 'ang'},
          'Ses02F_script02_2': {'F000': 'sur', 'M000': 'fea', 'M001': 'dis'}}}


def line(turn, code, attributes='[2.5000, 3.5000, 4.5000]'):
    return f'[6.2901 - 8.2357]\t{turn}\t{code}\t{attributes}\n'


def release(root, dialogs=DIALOGS):
    for session, of_session in dialogs.items():
        for dialog, turns in of_session.items():
            wavs = root / f'Session{session}/sentences/wav/{dialog}'
            labels = root / f'Session{session}/dialog/EmoEvaluation'
            wavs.mkdir(parents=True)
            labels.mkdir(parents=True, exist_ok=True)
            text = HEADER
            for turn, code in turns.items():
                (wavs / f'{dialog}_{turn}.wav').touch()
                text += line(f'{dialog}_{turn}', code) + RATERS + '\n'
            (labels / f'{dialog}.txt').write_text(text)
    return root


@pytest.fixture
def root(tmp_path):
    return release(tmp_path / 'IEMOCAP_full_release')


def test_exact_counts_by_emotion_and_speaker(root):
    utterances, skips = read_corpus('iemocap', root)
    assert Counter(found.emotion for found in utterances) == {
        'neutral': 1, 'excited': 1, 'happy': 1, 'frustrated': 1, 'other': 1, 'sad': 1, 'angry': 1, 'surprise': 1,
        'fear': 1, 'disgust': 1}
    assert Counter(found.speaker for found in utterances) == {'1F': 2, '1M': 3, '2F': 2, '2M': 3}
    assert [(skip.relative, skip.reason) for skip in skips] == [
        ('Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F001.wav', 'no agreement')]


def test_what_a_turn_says(root):
    found = {item.path.stem: item for item in parse(root) if not isinstance(item, Skip)}
    first = found['Ses01F_impro01_F000']
    assert (first.speaker, first.session, first.gender, first.text_id) == ('1F', '1', 'female', 'impro01')
    assert (first.raw_label, first.language, first.corpus) == ('neu', 'en', 'iemocap')
    assert first.extra == {'style': 'improvised', 'valence': 2.5, 'arousal': 3.5, 'dominance': 4.5,
                           'votes': {'neutral': 2, 'angry': 1, 'frustrated': 1}}
    # The letter before the first underscore is who wears the markers, not who speaks.
    other = found['Ses01M_script01_1b_F000']
    assert (other.speaker, other.gender, other.text_id, other.extra['style']) == (
        '1F', 'female', 'script01_1', 'scripted')
    assert found['Ses02M_impro05a_MXX0'].speaker == '2M' and found['Ses02M_impro05a_MXX0'].text_id == 'impro05'


def test_each_label_named_by_a_listener_is_one_vote_and_the_speaker_has_none():
    turn, = read_evaluations(HEADER + line('Ses01F_impro01_F000', 'xxx') + RATERS, 'Ses01F_impro01', 'x').values()
    assert turn.votes == {'neutral': 2, 'angry': 1, 'frustrated': 1}


def test_turns_come_from_sentences_not_from_dialogs(root):
    """A reference looked for `dialog/wav/<turn>.wav`, which no release has, and found nothing."""
    (root / 'Session1/dialog/wav').mkdir()
    (root / 'Session1/dialog/wav/Ses01F_impro01.wav').touch()
    (root / 'Session1/dialog/wav/Ses01F_impro01_F000.wav').touch()
    assert all('/sentences/wav/' in found.relative for found in parse(root))


def test_excited_is_never_merged_into_happy(root):
    assert {found.raw_label: found.emotion for found in parse(root) if not isinstance(found, Skip)}['exc'] == 'excited'
    assert EMOTIONS['exc'] == 'excited' and 'excited' in FACTS.emotions


def test_a_dialog_in_the_wrong_session_is_refused(tmp_path):
    """A reference's mock release called the dialogs of every session Ses01F."""
    release(tmp_path, {'1': {'Ses01F_impro01': {'F000': 'neu'}}, '2': {'Ses01F_impro02': {'F000': 'neu'}}})
    with pytest.raises(SerError, match=r"Ses01F_impro02.*session 2 is called Ses02F_\.\.\. or Ses02M_") as error:
        list(parse(tmp_path))
    assert '\n' not in str(error.value)


def test_a_missing_recording_is_bad_and_an_unlabelled_one_is_not(root):
    """References passed over missing files in silence."""
    (root / 'Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M001.wav').unlink()
    (root / 'Session2/sentences/wav/Ses02M_impro05a/Ses02M_impro05a_F009.wav').touch()
    (root / 'Session2/sentences/wav/Ses02M_impro05a/._Ses02M_impro05a_F000.wav').touch()
    (root / 'Session2/sentences/wav/Ses02M_impro05a/noise.wav').touch()
    (root / 'Session2/dialog/EmoEvaluation/._Ses02M_impro05a.txt').write_bytes(b'\0\xff')
    (root / 'Session2/dialog/EmoEvaluation/Categorical').mkdir()
    skips = {skip.relative: (skip.reason, skip.bad) for skip in read_corpus('iemocap', root)[1]}
    assert skips['Ses01F_impro01_M001'] == ('missing file', True)
    folder = 'Session2/sentences/wav/Ses02M_impro05a/'
    assert skips[f'{folder}Ses02M_impro05a_F009.wav'] == ('no label', False)
    assert skips[f'{folder}._Ses02M_impro05a_F000.wav'] == ('hidden file', False)
    assert skips[f'{folder}noise.wav'] == ('not the name of a turn', True)
    assert len(skips) == 5


def test_the_options(root):
    kept, skips = read_corpus('iemocap', root, {'undecided': 'keep'})
    assert (len(kept), skips) == (11, [])
    assert Counter(found.emotion for found in kept)['no agreement'] == 1
    scripted, skips = read_corpus('iemocap', root, {'style': 'scripted'})
    assert {found.extra['style'] for found in scripted} == {'scripted'} and len(scripted) == 5
    assert Counter(skip.reason for skip in skips) == {'improvised turn': 6}
    for option, value, allowed in (('style', 'spoken', 'all, improvised, scripted'), ('undecided', 'no', 'skip, keep')):
        with pytest.raises(SerError, match=rf"option {option} must be one of {allowed}, not '{value}'"):
            read_corpus('iemocap', root, {option: value})


def test_root_parent_other_name_and_odd_case_are_the_same_corpus(root, tmp_path):
    expected = [found.relative for found in parse(root)]
    assert [found.relative for found in parse(tmp_path)] == expected
    renamed = root.rename(tmp_path / 'my corpus')
    assert [found.relative for found in parse(renamed)] == expected
    (renamed / 'Session1').rename(renamed / 'SESSION1')
    (renamed / 'SESSION1/dialog/EmoEvaluation').rename(renamed / 'SESSION1/dialog/emoevaluation')
    (renamed / 'SESSION1/sentences').rename(renamed / 'SESSION1/Sentences')
    assert [found.emotion for found in parse(renamed) if not isinstance(found, Skip)] == [
        'neutral', 'excited', 'happy', 'frustrated', 'other', 'surprise', 'fear', 'disgust', 'sad', 'angry']


def test_sources_that_are_not_the_release_are_refused(root, tmp_path):
    with pytest.raises(SerError, match='no such folder'):
        list(parse(tmp_path / 'none'))
    with pytest.raises(SerError, match='is not a folder'):
        list(parse(root / 'Session1/dialog/EmoEvaluation/Ses01F_impro01.txt'))
    with pytest.raises(SerError, match=r"no session in .*Session1'.*Give '.*IEMOCAP_full_release'"):
        list(parse(root / 'Session1'))
    release(tmp_path / 'second', {'1': {'Ses01F_impro01': {'F000': 'neu'}}})
    with pytest.raises(SerError, match='several releases in .*IEMOCAP_full_release, second'):
        list(parse(tmp_path))
    shutil.rmtree(root / 'Session2/sentences')
    with pytest.raises(SerError, match='no folder sentences/wav in .*Session2'):
        list(parse(root))


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('\tneu\t', '\tbor\t', r"/Ses01F_impro01.txt line 3: unknown emotion code 'bor'. IEMOCAP has neu, hap"),
    ('_F000\tneu', '_F000', r'line 3: .* is not a label line'),
    ('[2.5000, 3.5000, 4.5000]', '[2.5, x, 3]', 'line 3: .* is not three numbers'),
    ('Ses01F_impro01_F000\t', 'Ses01F_impro02_F000\t', "'Ses01F_impro02_F000' does not belong to dialog"),
    ('Ses01F_impro01_M000\t', 'Ses01F_impro01_F000\t', "'Ses01F_impro01_F000' has a second label 'exc' beside 'neu'"),
])
def test_a_wrong_evaluation_names_file_line_and_what_is_allowed(root, old, new, message):
    path = root / 'Session1/dialog/EmoEvaluation/Ses01F_impro01.txt'
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(SerError, match=message) as error:
        list(parse(root))
    assert '\n' not in str(error.value)


def test_a_turn_recorded_twice_is_refused(root):
    (root / 'Session1/sentences/wav/copy').mkdir()
    (root / 'Session1/sentences/wav/copy/Ses01F_impro01_F000.wav').touch()
    with pytest.raises(SerError, match="turn 'Ses01F_impro01_F000' is recorded twice"):
        list(parse(root))


@pytest.mark.parametrize('name', ['Ses06F_impro01_F000', 'Ses01F_impro01', 'Ses01X_impro01_F000', 'a.wav', ''])
def test_what_is_no_turn(name):
    assert read_turn(name) is None


def test_the_example_is_a_turn():
    assert read_turn(FACTS.example.split('/')[-1].removesuffix('.wav')).speaker == '1F'
    assert not CORPORA['iemocap'].facts.downloads
