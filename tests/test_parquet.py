import io
import json
import pickle
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from ser.corpora import parquet, read_corpus
from ser.corpora.parquet import parse, split_of
from ser.corpora.utterance import Skip
from ser.errors import SerError
from ser.shards.write import write_shards

AUDIO = pa.struct([('bytes', pa.binary()), ('path', pa.string())])


def wav(value, rate=16000):
    """A WAV file's bytes; its first sample tells which it is."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(160, value / 32768), rate, format='WAV', subtype='PCM_16')
    return buffer.getvalue()


def first_sample(data):
    return int(soundfile.read(io.BytesIO(data), dtype='int16')[0][0])


def export(path, columns, *, audio='audio', clips=None, features=None, row_group_size=2):
    """A parquet file as the hub writes it. columns: name -> values; clips: the audio column's values."""
    count = len(next(iter(columns.values())))
    clips = clips or [{'bytes': wav(i), 'path': f'take{i}.wav'} for i in range(count)]
    arrays = {**columns, audio: pa.array(clips, AUDIO)}
    table = pa.table(arrays)
    if features:
        table = table.replace_schema_metadata({b'huggingface': json.dumps({'info': {'features': features}}).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


def test_the_ravdess_export_of_the_hub(tmp_path):
    labels = ['neutral', 'calm', 'happy', 'sad', 'angry', 'fearful', 'disgust', 'surprised']
    export(tmp_path / 'data/ravdess_emo-00000-of-00001.parquet', {'emotion': labels})
    export(tmp_path / 'data/ravdess_gender-00000-of-00001.parquet', {'gender': ['male', 'female']})
    utterances, skips = read_corpus('parquet', tmp_path, {'split': 'ravdess_emo'})
    assert [found.emotion for found in utterances] == [
        'neutral', 'calm', 'happy', 'sad', 'angry', 'fear', 'disgust', 'surprise']
    assert utterances[5].raw_label == 'fearful' and not skips
    assert utterances[5].relative == 'data/ravdess_emo-00000-of-00001-5-take5.wav'
    assert utterances[5].extra == {'split': 'ravdess_emo', 'recording': 'take5.wav'}
    with pytest.raises(SerError, match=r'ravdess_gender-00000-of-00001.parquet: no emotion column among gender'):
        read_corpus('parquet', tmp_path)
    with pytest.raises(SerError, match="no parquet file of split 'test' .* Splits there: ravdess_emo, ravdess_gender"):
        read_corpus('parquet', tmp_path, {'split': 'test'})


def iemocap_export(path):
    return export(path, {
        'file': ['Ses01F_impro01_F000.wav', 'Ses01F_impro01_M000.wav', 'Ses05M_script01_1_F003.wav'],
        'excited': pa.array([0.0, 0.5, 1.0], pa.float32()), 'EmoAct': pa.array([2.5, 3.0, float('nan')], pa.float32()),
        'EmoVal': pa.array([1.5, 2.0, 3.5], pa.float32()), 'EmoDom': pa.array([4.5, 5.0, 1.0], pa.float32()),
        'gender': ['Female', 'Male', 'Female'], 'transcription': ['Excuse me.', 'Yes.', 'No.'],
        'major_emotion': ['neutral', 'happy', 'excited']})


def test_the_iemocap_export_of_the_hub(tmp_path):
    first, second, third = parse(iemocap_export(tmp_path / 'train-00000-of-00003.parquet'))
    assert [item.emotion for item in (first, second, third)] == ['neutral', 'happy', 'excited']
    assert (first.extra['arousal'], first.extra['valence'], first.extra['dominance']) == (2.5, 1.5, 4.5)
    assert third.extra['arousal'] is None and third.extra['excited'] == 1.0
    assert (first.gender, first.speaker, first.extra['file']) == ('Female', None, 'Ses01F_impro01_F000.wav')


def test_as_iemocap_the_same_export_has_speakers_and_sessions(tmp_path):
    iemocap_export(tmp_path / 'train-00000-of-00003.parquet')
    utterances, _ = read_corpus('iemocap', tmp_path)
    assert [(item.speaker, item.session, item.gender, item.text_id) for item in utterances] == [
        ('1F', '1', 'female', 'impro01'), ('1M', '1', 'male', 'impro01'), ('5F', '5', 'female', 'script01_1')]
    assert {item.corpus for item in utterances} == {'iemocap'}
    assert len(read_corpus('iemocap', tmp_path, {'style': 'scripted'})[0]) == 1


def test_as_iemocap_turns_without_agreement_are_an_option_and_an_unknown_label_is_refused(tmp_path):
    turns = {'file': ['Ses01F_impro01_F000.wav', 'Ses01F_impro01_M000.wav']}
    export(tmp_path / 'a.parquet', {**turns, 'major_emotion': ['xxx', 'sad']})
    (found,), (skip,) = read_corpus('iemocap', tmp_path)
    assert (found.emotion, skip.reason) == ('sad', 'no agreement')
    kept, _ = read_corpus('iemocap', tmp_path, {'undecided': 'keep'})
    assert [(item.emotion, item.raw_label) for item in kept] == [('no agreement', 'xxx'), ('sad', 'sad')]
    export(tmp_path / 'a.parquet', {**turns, 'major_emotion': ['gloomy', 'sad']})
    with pytest.raises(SerError, match=r"unknown emotion 'gloomy'. IEMOCAP has neutral, happy, .*, xxx"):
        read_corpus('iemocap', tmp_path)


def test_integers_are_named_by_the_file_or_by_an_option(tmp_path):
    features = {'label': {'names': ['anger', 'joy'], '_type': 'ClassLabel'}, 'audio': {'_type': 'Audio'},
                'who': {'names': ['anna', 'ben'], '_type': 'ClassLabel'}}
    path = export(tmp_path / 'a.parquet', {'label': [1, 0, -1], 'who': [0, 1, 1]}, features=features)
    first, second, missing = parse(path, speaker='who')
    assert (first.emotion, first.raw_label, first.speaker, second.emotion) == ('happy', 'joy', 'anna', 'angry')
    assert missing == Skip('a-2-take2.wav', 'no emotion label', 'a.parquet row 2')
    plain = export(tmp_path / 'b.parquet', {'label': [1, 0]})
    with pytest.raises(SerError, match="b.parquet: column 'label' holds numbers.*--option names=CLASS0,CLASS1"):
        list(parse(plain))
    assert [item.emotion for item in parse(plain, names='sad, fear')] == ['fear', 'sad']


@pytest.mark.parametrize('label', [2, -2])
def test_a_number_without_a_class_is_refused_and_never_dropped(tmp_path, label):
    path = export(tmp_path / 'a.parquet', {'label': [1, 0, 1, label]})
    with pytest.raises(SerError, match=rf"a.parquet row 3: column 'label' holds {label}, and there are 2 classes"):
        list(parse(path, names='sad,fear'))


def test_a_damaged_recording_is_bad_and_damaged_labels_are_refused(tmp_path):
    path = export(tmp_path / 'a.parquet', {'emotion': ['sad', 'fear']}, row_group_size=1)
    whole = path.read_bytes()

    def damage(group, leaf):
        metadata = pq.ParquetFile(io.BytesIO(whole)).metadata.row_group(group)
        column = next(metadata.column(i) for i in range(metadata.num_columns)
                      if metadata.column(i).path_in_schema == leaf)
        start = min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
        path.write_bytes(whole[:start] + b'\xff' * 20 + whole[start + 20:])

    damage(1, 'audio.bytes')
    summary = write_shards('parquet', path, tmp_path / 'out', jobs=1)
    assert [(skip.relative, skip.reason) for skip in summary.bad] == [('a-1-take1.wav', 'cannot be read')]
    assert summary.utterances == 1 and '\n' not in summary.bad[0].detail
    damage(1, 'emotion')
    with pytest.raises(SerError, match='a.parquet: damaged .* Get it again') as error:
        list(parse(path))
    assert '\n' not in str(error.value)


def test_each_recording_is_its_own_and_read_once_per_row_group(tmp_path, monkeypatch):
    path = export(tmp_path / 'a.parquet', {'emotion': ['sad'] * 5})
    found = pickle.loads(pickle.dumps(list(parse(path))))
    opened = []
    real = parquet.require_pyarrow()

    class Counting:
        @staticmethod
        def ParquetFile(name):
            opened.append(name)
            return real.ParquetFile(name)

    monkeypatch.setattr(parquet, 'require_pyarrow', lambda: Counting)
    parquet._audio_of_group.cache_clear()
    assert [first_sample(item.data()) for item in found] == [0, 1, 2, 3, 4]
    assert len(opened) == 3
    assert first_sample(found[0].data()) == 0


def test_keys_do_not_meet_across_files_of_one_name(tmp_path):
    for split in ('train', 'test'):
        export(tmp_path / f'default/{split}/0000.parquet', {'emotion': ['sad']})
    found = list(parse(tmp_path))
    assert [item.relative for item in found] == ['default/test/0000-0-take0.wav', 'default/train/0000-0-take0.wav']
    assert [item.extra['split'] for item in found] == ['test', 'train']
    assert [item.extra['split'] for item in parse(tmp_path, split='train')] == ['train']


@pytest.mark.parametrize(('relative', 'split'), [
    ('data/train-00000-of-00002', 'train'), ('default/train/0000', 'train'), ('train', 'train'), ('0000', None),
    ('default/train/0000-3-a.wav', 'train')])
def test_the_split_of_a_file(relative, split):
    assert split_of(relative) == split


def test_rows_without_bytes_use_the_file_beside_or_are_bad(tmp_path):
    (tmp_path / 'clips').mkdir()
    (tmp_path / 'clips/a.wav').write_bytes(wav(7))
    (tmp_path.parent / 'outside.wav').write_bytes(wav(8))
    clips = [{'bytes': None, 'path': 'clips/a.wav'}, {'bytes': None, 'path': 'clips/b.wav'},
             {'bytes': wav(3), 'path': None}, {'bytes': None, 'path': '../outside.wav'}, None]
    found = list(parse(export(tmp_path / 'x.y.parquet', {'emotion': ['sad'] * 5}, clips=clips)))
    assert found[0].path == tmp_path / 'clips/a.wav' and found[0].data is None
    assert [item.reason for item in found if isinstance(item, Skip) and item.bad] == ['missing file'] * 3
    assert found[2].relative == 'x.y-2.audio' and first_sample(found[2].data()) == 3


def test_a_plain_binary_column_and_a_given_one(tmp_path):
    table = pa.table({'emotion': ['sad'], 'sound': pa.array([wav(5)], pa.binary())})
    pq.write_table(table, tmp_path / 'a.parquet')
    found, = parse(tmp_path / 'a.parquet')
    assert first_sample(found.data()) == 5 and found.relative == 'a-0.audio'
    table = table.append_column('other', pa.array([wav(6)], pa.binary()))
    pq.write_table(table, tmp_path / 'a.parquet')
    with pytest.raises(SerError, match=r'several columns hold audio .*sound \(binary\), other \(binary\)'):
        list(parse(tmp_path / 'a.parquet'))
    found, = parse(tmp_path / 'a.parquet', audio='other')
    assert first_sample(found.data()) == 6
    with pytest.raises(SerError, match="column 'emotion' holds no audio"):
        list(parse(tmp_path / 'a.parquet', audio='emotion'))


def test_a_pattern_takes_fields_from_the_path(tmp_path):
    clips = [{'bytes': wav(1), 'path': '03-01-06-01-02-01-12.wav'}, {'bytes': wav(2), 'path': 'odd.wav'}]
    path = export(tmp_path / 'a.parquet', {'emotion': ['sad', 'sad']}, clips=clips)
    first, second = parse(path, pattern=r'-(?P<text_id>\d\d)-\d\d-(?P<speaker>\d\d)\.')
    assert (first.speaker, first.text_id, second.speaker) == ('12', '02', None)
    with pytest.raises(SerError, match='is not a regular expression'):
        list(parse(path, pattern='('))
    with pytest.raises(SerError, match=r'needs groups \(\?P<NAME>...\), NAME one of speaker, gender'):
        list(parse(path, pattern='(?P<mood>x)'))


def test_columns_chosen_by_options(tmp_path):
    path = export(tmp_path / 'a.parquet', {'mood': ['sad'], 'emotion': ['x'], 'loud': [2.0], 'who': [7]})
    found, = parse(path, emotion='mood', arousal='loud', speaker='who')
    assert (found.emotion, found.speaker, found.extra['arousal']) == ('sad', '7', 2.0)
    assert found.extra['table_emotion'] == 'x'
    with pytest.raises(SerError, match=r"a.parquet: no column 'modo' \(emotion=modo\).* Did you mean 'mood'"):
        list(parse(path, emotion='modo'))


def test_shards_are_built_from_a_file_by_two_processes(tmp_path):
    path = export(tmp_path / 'a.parquet', {'emotion': ['sad', 'happy', 'sad', 'fear', 'sad']})
    summary = write_shards('parquet', path, tmp_path / 'out', jobs=2)
    assert summary.emotions == Counter(sad=3, happy=1, fear=1) and not summary.skips


def test_unreadable_sources_are_one_line(tmp_path, monkeypatch):
    (tmp_path / 'a.parquet').write_bytes(b'PAR1 nothing')
    with pytest.raises(SerError, match='a.parquet: not a readable parquet file') as error:
        list(parse(tmp_path))
    assert '\n' not in str(error.value)
    with pytest.raises(SerError, match='no such file or folder'):
        list(parse(tmp_path / 'none'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(SerError, match='no parquet file in'):
        list(parse(tmp_path / 'empty'))
    pq.write_table(pa.table({'emotion': ['sad']}), tmp_path / 'a.parquet')
    with pytest.raises(SerError, match=r'no column holds audio .*Columns: emotion \(string\)'):
        list(parse(tmp_path))
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    monkeypatch.setitem(sys.modules, 'pyarrow.parquet', None)
    with pytest.raises(SerError, match=r"need the package pyarrow: pip install -e '\.\[parquet\]'"):
        list(parse(tmp_path))
