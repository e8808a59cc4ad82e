import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from ser.corpora import read_corpus
from ser.corpora.audformat import parse
from ser.corpora.audformat_tables import seconds_of
from ser.corpora.utterance import Skip
from ser.errors import SerError

# The header of the format's own example, Emo-DB.
HEADER = """\
name: emodb
usage: unrestricted
languages: [deu]
raters:
  gold: {type: human}
schemes:
  age: {dtype: int, minimum: 0}
  confidence: {dtype: float, minimum: 0, maximum: 1}
  emotion:
    dtype: str
    labels: [anger, boredom, disgust, fear, happiness, sadness, neutral]
  gender: {dtype: str, labels: [female, male]}
  speaker: {dtype: int, labels: speaker}
  transcription:
    dtype: str
    labels: {a01: Der Lappen liegt auf dem Eisschrank., a02: Das will sie am Mittwoch abgeben.}
tables:
  emotion:
    type: filewise
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
      emotion.confidence: {scheme_id: confidence, rater_id: gold}
  files:
    type: filewise
    columns:
      speaker: {scheme_id: speaker}
      transcription: {scheme_id: transcription}
misc_tables:
  speaker:
    levels: {speaker: int}
    columns:
      age: {scheme_id: age}
      gender: {scheme_id: gender}
      language:
"""
FILES = ('wav/03a01Fa.wav', 'wav/03a01Nc.wav', 'wav/08a02Wb.wav')
TABLES = {
    'emotion': {'file': FILES, 'emotion': ('happiness', 'neutral', 'anger'), 'emotion.confidence': (0.9, 1.0, 0.95)},
    'files': {'file': FILES, 'speaker': (3, 3, 8), 'transcription': ('a01', 'a01', 'a02')},
    'speaker': {'speaker': (3, 8), 'age': (31, 34), 'gender': ('male', 'female'), 'language': ('deu', 'deu')}}


def database(folder, header=HEADER, tables=TABLES, files=FILES, storage='csv'):
    folder.mkdir(exist_ok=True)
    (folder / 'db.yaml').write_text(header)
    for name, columns in tables.items():
        if storage == 'parquet':
            pq.write_table(pa.table({key: list(values) for key, values in columns.items()}),
                           folder / f'db.{name}.parquet')
        else:
            rows = [','.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
            (folder / f'db.{name}.csv').write_text('\n'.join([','.join(columns), *rows]) + '\n')
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).touch()
    return folder


@pytest.mark.parametrize('storage', ['csv', 'parquet'])
def test_labels_speakers_and_what_a_misc_table_says_of_them(tmp_path, storage):
    utterances, skips = read_corpus('audformat', database(tmp_path / 'db', storage=storage))
    assert [(item.emotion, item.raw_label) for item in utterances] == [
        ('happy', 'happiness'), ('neutral', 'neutral'), ('angry', 'anger')]
    assert [(item.speaker, item.gender, item.extra['age']) for item in utterances] == [
        ('3', 'male', 31.0), ('3', 'male', 31.0), ('8', 'female', 34.0)]
    assert [(item.text_id, item.language) for item in utterances] == [('a01', 'de'), ('a01', 'de'), ('a02', 'de')]
    assert [float(item.extra['emotion.confidence']) for item in utterances] == [0.9, 1.0, 0.95]
    assert [item.relative for item in utterances] == list(FILES) and not skips
    assert [item.relative for item in parse(tmp_path / 'db/db.yaml')] == list(FILES)


def segmented(tmp_path, storage='csv'):
    header = """\
languages: [eng, deu]
schemes:
  mood: {dtype: int, labels: {0: {emotion: anger}, 1: happiness}}
  who: {dtype: str, labels: {anna: {gender: female, language: fra}}}
splits:
  test: {type: test}
tables:
  turns:
    type: segmented
    split_id: test
    columns: {emotion: {scheme_id: mood}, speaker: {scheme_id: who}, arousal: }
"""
    times = ['0 days 00:00:00.250', '0 days 00:00:00', '0 days 00:00:00.500000000'], ['0 days 00:00:00.500', '', 'NaT']
    if storage == 'parquet':
        times = (pa.array([250_000_000, 0, 500_000_000], pa.duration('ns')),
                 pa.array([500_000_000, None, None], pa.duration('ns')))
    columns = {'file': ['a.wav'] * 3, 'start': times[0], 'end': times[1], 'emotion': [0, 1, 1],
               'speaker': ['anna', 'anna', ''], 'arousal': [0.5, 0.25, 1.0]}
    folder = database(tmp_path / 'db', header, {'turns': columns}, (), storage)
    samples = np.arange(1000, dtype='int16')
    soundfile.write(folder / 'a.wav', samples, 1000)
    return folder, samples


@pytest.mark.parametrize('storage', ['csv', 'parquet'])
def test_segments_are_cut_out_of_their_files(tmp_path, storage):
    folder, samples = segmented(tmp_path, storage)
    first, whole, rest = pickle.loads(pickle.dumps(list(parse(folder))))
    assert [item.relative for item in (first, whole, rest)] == ['a-250-500.wav', 'a.wav', 'a-500-end.wav']
    assert [item.emotion for item in (first, whole, rest)] == ['angry', 'happy', 'happy']
    for found, part in ((first, samples[250:500]), (rest, samples[500:])):
        np.testing.assert_array_equal(soundfile.read(io.BytesIO(found.data()))[0] * 2**15, part)
    assert whole.data is None
    assert (first.speaker, first.gender, first.language, first.extra) == (
        'anna', 'female', 'fr', {'arousal': 0.5, 'split': 'test'})
    assert (rest.speaker, rest.gender, rest.language) == (None, None, None)


def test_options_choose_table_and_columns(tmp_path):
    header = HEADER.replace('      emotion: {scheme', '      mood: {scheme_id: x}\n      emotion: {scheme')
    tables = {**TABLES, 'emotion': {**TABLES['emotion'], 'mood': ('calm', 'calm', 'tense')}}
    folder = database(tmp_path / 'db', header, tables)
    assert [item.emotion for item in parse(folder, emotion='mood')] == ['calm', 'calm', 'tense']
    assert [item.speaker for item in parse(folder, table='emotion', speaker='transcription')] == ['a01', 'a01', 'a02']
    for options, message in (
            ({'table': 'emotions'}, "no table 'emotions' in db.yaml. Tables: emotion, files. Did you mean 'emotion'"),
            ({'table': 'files'}, "table 'files' has no column emotion or .* Its columns: speaker, transcription"),
            ({'emotion': 'humour'}, 'no table has a column humour. Tables and columns: emotion: mood'),
            ({'speaker': 'who'}, "option speaker: no table has a column 'who'. Columns: emotion")):
        with pytest.raises(SerError, match=message) as error:
            read_corpus('audformat', folder, options)
        assert '\n' not in str(error.value)


def test_a_pickled_table_is_never_opened(tmp_path):
    folder = database(tmp_path / 'db')
    (folder / 'db.emotion.csv').unlink()

    class Bomb:
        def __reduce__(self):
            return (folder / 'ran').touch, ()

    (folder / 'db.emotion.pkl').write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(SerError, match=r"db.emotion.pkl: pickled tables are never opened.*storage_format='csv'"):
        list(parse(folder))
    assert not (folder / 'ran').exists()
    (folder / 'db.emotion.pkl').unlink()
    with pytest.raises(SerError, match='no db.emotion.csv or db.emotion.parquet in'):
        list(parse(folder))


def test_a_header_cannot_run_code_either(tmp_path):
    (tmp_path / 'db.yaml').write_text('!!python/object/apply:os.system ["true"]')
    with pytest.raises(SerError, match='db.yaml: not readable as YAML'):
        list(parse(tmp_path))


def test_missing_files_and_labels_are_skipped(tmp_path):
    tables = {**TABLES, 'emotion': {'file': (*FILES, 'wav/x.wav'), 'emotion': ('', 'neutral', 'anger', 'fear')}}
    found = list(parse(database(tmp_path / 'db', tables=tables)))
    assert found[0] == Skip(FILES[0], 'no emotion label', 'db.emotion.csv line 2')
    assert found[3] == Skip('wav/x.wav', 'missing file', 'db.emotion.csv line 5', bad=True)


def test_the_same_file_in_two_tables_is_refused(tmp_path):
    gold = 'tables:\n  gold:\n    type: filewise\n    columns: {emotion: }\n  emotion:'
    header = HEADER.replace('tables:\n  emotion:', gold)
    folder = database(tmp_path / 'db', header, {**TABLES, 'gold': TABLES['emotion']})
    with pytest.raises(SerError, match="'wav/03a01Fa.wav' is labelled twice, db.gold.csv line 2 and db.emotion"):
        list(parse(folder))
    assert len(list(parse(folder, table='gold'))) == 3


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('anger, ', '', "db.emotion.csv line 4: 'anger' is not a label of scheme 'emotion': boredom"),
    ('labels: speaker', 'labels: people', "db.yaml: no misc table 'people' with levels"),
    ('name: emodb', 'name: [', 'db.yaml: not readable as YAML'),
    ('tables:\n  emotion:', 'tables: [emotion]\nother:\n  emotion:', 'db.yaml: tables must be a mapping, not list'),
    ('  age: {dtype: int, minimum: 0}', '  age: 3', 'db.yaml: schemes.age must be a mapping, not int'),
    ('      speaker: {scheme_id: speaker}', '      speaker: who', 'db.yaml: files.columns.speaker must be a mapping'),
    ('tables:\n  emotion:', 'tables:\n  all: {columns: [emotion]}\n  emotion:', 'db.yaml: all.columns must be'),
])
def test_wrong_headers_are_one_line(tmp_path, old, new, message):
    with pytest.raises(SerError, match=message) as error:
        list(parse(database(tmp_path / 'db', HEADER.replace(old, new, 1))))
    assert '\n' not in str(error.value)


def test_a_folder_without_header_and_one_that_is_a_list(tmp_path):
    with pytest.raises(SerError, match=r'no db.yaml in .*: the folder of a database in audformat is wanted'):
        list(parse(tmp_path))
    (tmp_path / 'db.yaml').write_text('- a')
    with pytest.raises(SerError, match='a mapping with tables and schemes is wanted, not list'):
        list(parse(tmp_path))
    (tmp_path / 'db.yaml').write_text('tables: {emotion: {type: filewise, columns: {emotion: }}}')
    (tmp_path / 'db.emotion.parquet').write_bytes(b'x')
    with pytest.raises(SerError, match='db.emotion.parquet: not a readable parquet file'):
        list(parse(tmp_path))


@pytest.mark.parametrize(('text', 'seconds'), [
    ('0 days 00:00:03.797899315', 3.797899315), ('1 days 02:03:04', 93784.0), ('00:00:01.5', 1.5), ('', None),
    ('NaT', None), (None, None), (2.5, 2.5)])
def test_times(text, seconds):
    assert seconds_of(text, 'x') == pytest.approx(seconds)


def test_a_time_that_is_none_is_refused():
    with pytest.raises(SerError, match="x: '3s' is not a time such as"):
        seconds_of('3s', 'x')
