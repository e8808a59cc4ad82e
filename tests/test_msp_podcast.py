from collections import Counter

import pytest

from ser.corpora import CORPORA, read_corpus
from ser.corpora.msp_podcast import EMOTIONS, parse
from ser.corpora.utterance import Skip
from ser.errors import SerError

HEADER = 'FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set'
CODES = 'ASHUFDCNOX'


def wav(number):
    return f'MSP-PODCAST_0001_{number:04d}.wav'


def release(root, rows=None, header=HEADER, labels='Labels/labels_consensus.csv', audio='Audios'):
    rows = rows or [f'{wav(i)},{code},2.2,4.0,2.6,{30 + i % 2},Male,{("Train", "Development", "Test1", "Test2")[i % 4]}'
                    for i, code in enumerate(CODES)]
    (root / labels).parent.mkdir(parents=True, exist_ok=True)
    (root / labels).write_text('\n'.join([header, *rows]) + '\n')
    (root / audio).mkdir(parents=True, exist_ok=True)
    for row in rows:
        (root / audio / row.split(',')[0]).touch()
    return root


def test_exact_counts_by_emotion_speaker_and_split(tmp_path):
    utterances, skips = read_corpus('msp-podcast', release(tmp_path))
    assert [found.emotion for found in utterances] == [
        'angry', 'sad', 'happy', 'surprise', 'fear', 'disgust', 'contempt', 'neutral', 'other']
    assert Counter(found.speaker for found in utterances) == {'30': 5, '31': 4}
    assert Counter(found.extra['split_set'] for found in utterances) == {
        'Train': 3, 'Development': 2, 'Test1': 2, 'Test2': 2}
    assert skips == [Skip(f'Audios/{wav(9)}', 'no agreement', 'raters differ; --option undecided=keep takes it')]
    first = utterances[0]
    assert (first.relative, first.gender, first.raw_label, first.language) == (f'Audios/{wav(0)}', 'male', 'A', 'en')
    assert first.extra == {'split_set': 'Train', 'arousal': 2.2, 'valence': 4.0, 'dominance': 2.6}


def test_the_release_s_own_columns_and_letters_are_known(tmp_path):
    """A reference looked for none of the release's column names, and would have called every letter neutral."""
    assert len({found.emotion for found in parse(release(tmp_path)) if not isinstance(found, Skip)}) == len(EMOTIONS)


def test_an_unknown_word_is_refused_and_never_matched_in_part(tmp_path):
    """A reference took 'unhappy' for happy, and whatever it did not know for neutral."""
    for word in ('unhappy', 'melancholic'):
        release(tmp_path, [f'{wav(1)},{word},1,1,1,3,Male,Train'])
        with pytest.raises(SerError, match=f"csv line 2: unknown emotion '{word}'. Allowed: A, S") as error:
            list(parse(tmp_path))
        assert '\n' not in str(error.value) and 'happiness' in str(error.value)


def test_a_missing_label_is_skipped_and_never_neutral(tmp_path):
    """A reference called a row without a label neutral."""
    release(tmp_path, [f'{wav(1)},,1,1,1,3,Male,Train', f'{wav(2)},N,1,1,1,3,Male,Train'])
    found = list(parse(tmp_path))
    assert found[0] == Skip(f'Audios/{wav(1)}', 'no emotion label', 'labels_consensus.csv line 2')
    assert found[1].emotion == 'neutral'


def test_no_partition_is_discarded(tmp_path):
    """A reference dropped rows of partitions whose names it did not list."""
    release(tmp_path, [f'{wav(1)},N,1,1,1,3,Male,Test3', f'{wav(2)},N,1,1,1,3,Male,Held out'])
    assert [found.extra['split_set'] for found in parse(tmp_path)] == ['Test3', 'Held out']


@pytest.mark.parametrize(('word', 'emotion'), [
    ('Happiness', 'happy'), ('JOY', 'happy'), ('excitement', 'excited'), ('sadness', 'sad'), ('Anger', 'angry'),
    ('fearful', 'fear'), ('disgusted', 'disgust'), ('contempt', 'contempt'), ('Surprised', 'surprise'),
    ('n', 'neutral'), ('calm', 'calm'), ('happiness_happy', 'happy')])
def test_whole_words_in_any_case(tmp_path, word, emotion):
    release(tmp_path, [f'{wav(1)},{word},1,1,1,3,Male,Train'])
    found, = parse(tmp_path)
    assert (found.emotion, found.raw_label) == (emotion, word)


def test_unknown_speakers_are_null(tmp_path):
    release(tmp_path, [f'{wav(1)},N,1,,1,Unknown,Unknown,Train'])
    found, = parse(tmp_path)
    assert (found.speaker, found.gender, found.extra['valence']) == (None, None, None)


def test_rows_without_agreement_may_be_kept(tmp_path):
    utterances, skips = read_corpus('msp-podcast', release(tmp_path), {'undecided': 'keep'})
    assert utterances[-1].emotion == 'no agreement' and len(utterances) == 10 and not skips
    with pytest.raises(SerError, match="option undecided must be one of skip, keep, not 'maybe'"):
        read_corpus('msp-podcast', tmp_path, {'undecided': 'maybe'})


def test_recordings_are_found_at_any_depth_by_the_whole_stem(tmp_path):
    """A reference matched `*name*`, and only in the top folder."""
    release(tmp_path, [f'{wav(1)},N,1,1,1,3,Male,Train', f'{wav(2)},S,1,1,1,3,Male,Train',
                       f'{wav(3)},S,1,1,1,3,Male,Train'])
    (tmp_path / 'Audios/deep/er').mkdir(parents=True)
    (tmp_path / 'Audios' / wav(1)).rename(tmp_path / 'Audios/deep/er' / wav(1).replace('.wav', '.FLAC'))
    (tmp_path / 'Audios' / wav(2)).rename(tmp_path / 'Audios' / wav(2).replace('.wav', '_again.wav'))
    (tmp_path / 'Audios' / wav(3)).rename(tmp_path / 'Audios' / wav(3).lower())
    first, missing, third, unlabelled = parse(tmp_path)
    assert first.relative == 'Audios/deep/er/MSP-PODCAST_0001_0001.FLAC'
    assert missing == Skip(wav(2), 'missing file', 'labels_consensus.csv line 3', bad=True)
    assert third.relative == 'Audios/msp-podcast_0001_0003.wav'
    assert unlabelled == Skip('Audios/MSP-PODCAST_0001_0002_again.wav', 'no label')


def test_a_name_that_two_recordings_have_is_refused(tmp_path):
    release(tmp_path, [f'{wav(1)},N,1,1,1,3,Male,Train'])
    (tmp_path / 'Audios' / wav(1)).unlink()
    for folder in 'ab':
        (tmp_path / 'Audios' / folder).mkdir()
        (tmp_path / 'Audios' / folder / wav(1)).touch()
    with pytest.raises(SerError, match='is there more than once: a/MSP.*, b/MSP.*--option audio=FOLDER'):
        list(parse(tmp_path))
    assert len(list(parse(tmp_path, audio='Audios/a'))) == 1


def test_free_names_of_files_and_columns(tmp_path):
    release(tmp_path, [f'{wav(1)},joy,5.0,train,anna'], 'which,mood,energy,portion,who', 'my.csv', 'clips')
    options = {'labels': 'my.csv', 'audio': 'clips', 'file': 'which', 'emotion': 'mood', 'arousal': 'energy',
               'split': 'portion', 'speaker': 'who'}
    (found,), _ = read_corpus('msp-podcast', tmp_path, options)
    assert (found.emotion, found.speaker, found.relative) == ('happy', 'anna', f'clips/{wav(1)}')
    assert found.extra == {'split_set': 'train', 'arousal': 5.0}


@pytest.mark.parametrize('header', ['segment_id,EmotionLabel,usage', 'ID,Consensus,Train_Test', 'name,label,PARTITION',
                                    'Utterance_Id,categorical,Set', 'File_Name,Emotion,split'])
def test_usual_columns_are_detected_in_any_case(tmp_path, header):
    found, = parse(release(tmp_path, [f'{wav(1)},sadness,dev'], header))
    assert (found.emotion, found.extra) == ('sad', {'split_set': 'dev'})


def test_the_table_itself_and_the_older_names_may_be_the_source(tmp_path):
    release(tmp_path, labels='labels/Labels_Concensus.csv', audio='Audio')
    assert len(read_corpus('msp-podcast', tmp_path)[0]) == 9
    assert len(read_corpus('msp-podcast', tmp_path / 'labels/Labels_Concensus.csv')[0]) == 9


@pytest.mark.parametrize('detailed', [
    'Worker,FileName,EmoClass_Major\nw1,{0},Happy\nw2,{0},Neutral\nw3,{0},Happy\nw4,{0},Other-Curious\n',
    'FileName,Detail\n{0},"WORKER1; Happy; Happy,Amused; A:4.0; V:5.0; D:4.0;"\n{0},"WORKER2; Neutral; A:4.0;"\n'
    '{0},"WORKER3; Happy; A:4.0;"\n{0},"WORKER4; Other-Curious; A:4.0;"\n'])
def test_votes_of_the_detailed_labels(tmp_path, detailed):
    release(tmp_path, [f'{wav(1)},H,1,1,1,3,Male,Train', f'{wav(2)},H,1,1,1,3,Male,Train'])
    (tmp_path / 'Labels/labels_detailed.csv').write_text(detailed.format(wav(1)))
    first, second = parse(tmp_path)
    assert first.extra['votes'] == {'happy': 2, 'neutral': 1, 'other': 1} and second.extra['votes'] == {}


@pytest.mark.parametrize(('header', 'options', 'message'), [
    ('one,EmoClass', {}, 'labels_consensus.csv: no file column among one, EmoClass. Allowed names: filename'),
    ('FileName,two', {}, 'no emotion column among FileName, two'),
    (HEADER, {'emotion': 'mood'}, r"no column 'mood' \(emotion=mood\). Columns: FileName, EmoClass"),
    (HEADER, {'labels': 'x.csv'}, 'option labels: no such file'),
    (HEADER, {'audio': 'x'}, 'option audio: no such folder'),
    ('FileName:EmoClass', {}, 'single column with the delimiter each of comma'),
])
def test_absent_columns_and_files_are_one_line(tmp_path, header, options, message):
    row = ','.join([wav(1), 'N', '1', '1', '1', '3', 'Male', 'Train'][:header.count(',') + 1])
    with pytest.raises(SerError, match=message) as error:
        read_corpus('msp-podcast', release(tmp_path, [row], header), options)
    assert '\n' not in str(error.value)


def test_wrong_sources_and_rows_given_twice_are_refused(tmp_path):
    with pytest.raises(SerError, match='no such folder'):
        list(parse(tmp_path / 'none'))
    with pytest.raises(SerError, match='no Labels/labels_consensus.csv in .*--option labels=FILE'):
        list(parse(tmp_path))
    row = f'{wav(1)},N,1,1,1,3,Male,Train'
    release(tmp_path, [row, row])
    with pytest.raises(SerError, match='is in lines 2 and 3. Keep one'):
        list(parse(tmp_path))
    assert not CORPORA['msp-podcast'].facts.downloads
