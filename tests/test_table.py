import json
import logging
import unicodedata

import pytest

from ser.corpora import read_corpus
from ser.corpora.table import parse
from ser.corpora.utterance import Skip
from ser.errors import SerError


def folder(tmp_path, text, name='metadata.csv', files=('a.wav', 'sub/b.wav'), encoding='utf-8'):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / name).write_bytes(text.encode(encoding))
    return tmp_path


@pytest.mark.parametrize('mark', [',', ';', '\t', '|'])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_any_delimiter_and_byte_order_mark(tmp_path, mark, encoding):
    text = 'Path,Label,Speaker_ID,arousal,note\na.wav,Anger,7,0.5,é\nsub/b.wav,amused,8,,x\n'.replace(',', mark)
    first, second = parse(folder(tmp_path, text, encoding=encoding))
    assert (first.relative, first.emotion, first.raw_label, first.speaker) == ('a.wav', 'angry', 'Anger', '7')
    assert first.extra == {'arousal': 0.5, 'note': 'é'}
    assert (second.relative, second.emotion, second.extra) == ('sub/b.wav', 'amused', {'arousal': None, 'note': 'x'})


def test_json_lines_keep_their_values(tmp_path):
    rows = [{'audio': 'a.wav', 'emotion': 'joy', 'speaker': 3, 'votes': {'joy': 2, 'fear': 1}, 'valence': 4},
            {'audio': 'sub/b.wav', 'emotion': 'fear', 'valence': float('nan')}]
    text = '\n'.join(json.dumps(row) for row in rows) + '\n\n'
    first, second = parse(folder(tmp_path, text, 'x.jsonl'))
    assert (first.emotion, first.speaker) == ('happy', '3')
    assert first.extra == {'votes': {'happy': 2, 'fear': 1}, 'valence': 4}
    assert (second.speaker, second.extra) == (None, {'valence': None})


@pytest.mark.parametrize('mark', ['\u2028', '\u2029', '\x85', '\x0b', '\x0c', '\x1c', '\x1e'])
def test_only_line_ends_end_a_line(tmp_path, mark):
    for newline in ('\n', '\r\n'):
        text = newline.join(('path,emotion,text', f'a.wav,sad,one{mark}two', f'sub/b.wav,joy,"x{mark}{newline}y"', ''))
        first, second = parse(folder(tmp_path, text))
        assert first.extra == {'text': f'one{mark}two'} and second.extra == {'text': f'x{mark}{newline}y'}
    (tmp_path / 'metadata.csv').unlink()
    if mark in '\u2028\u2029\x85':
        rows = [{'path': 'a.wav', 'emotion': 'sad', 'text': f'one{mark}two'}, {'path': 'sub/b.wav', 'emotion': 'joy'}]
        text = '\r\n'.join(json.dumps(row, ensure_ascii=False) for row in rows)
        first, second = parse(folder(tmp_path, text, 'x.jsonl'))
        assert first.extra == {'text': f'one{mark}two'} and second.emotion == 'happy'


def test_the_line_of_an_error_is_that_of_an_editor(tmp_path):
    with pytest.raises(SerError, match=r'x.jsonl line 3: not JSON'):
        list(parse(folder(tmp_path, '{"path": "a.wav", "emotion": "sad", "t": "\u2028"}\n\n{\n', 'x.jsonl')))


def test_quotes_blank_lines_and_backslashes(tmp_path):
    first, = parse(folder(tmp_path, 'path,emotion,text\r\n\r\n"sub\\b.wav",sad,"a, b"\r\n'))
    assert (first.relative, first.extra) == ('sub/b.wav', {'text': 'a, b'})


def test_the_table_itself_may_be_the_source(tmp_path):
    folder(tmp_path, 'file;emotion\na.wav;sad\n', 'two.csv')
    folder(tmp_path, 'file;emotion\nsub/b.wav;sad\n', 'one.csv')
    with pytest.raises(SerError, match=r'several tables in .*one.csv, two.csv'):
        list(parse(tmp_path))
    assert [found.relative for found in parse(tmp_path / 'two.csv')] == ['a.wav']
    folder(tmp_path, 'file;emotion\na.wav;sad\nsub/b.wav;sad\n')
    assert len(list(parse(tmp_path))) == 2


def test_rows_without_file_or_label_are_skipped(tmp_path):
    text = 'path,emotion\na.wav,\nnone.wav,sad\n,sad\nsub/b.wav,sad\n'
    found = list(parse(folder(tmp_path, text)))
    assert found[:3] == [Skip('a.wav', 'no emotion label'),
                         Skip('none.wav', 'missing file', 'metadata.csv line 3', bad=True),
                         Skip('metadata.csv line 4', 'no path in its row')]
    assert found[3].relative == 'sub/b.wav'


def test_what_programs_write_for_no_value_is_neither_a_label_nor_a_speaker(tmp_path):
    text = 'path,emotion,speaker,note\na.wav,NaN,1,x\nsub/b.wav,sad,nan,<NA>\n'
    skip, found = parse(folder(tmp_path, text))
    assert skip == Skip('a.wav', 'no emotion label')
    assert (found.speaker, found.extra) == (None, {'note': None})


def test_numbers_that_are_none_are_unknown_wherever_they_stand_in_json(tmp_path):
    text = '{"path": "a.wav", "emotion": "sad", "x": [NaN, 1.5], "y": {"z": -Infinity, "big": 1e999}}\n'
    found, = parse(folder(tmp_path, text, 'x.jsonl'))
    assert found.extra == {'x': [None, 1.5], 'y': {'z': None, 'big': None}}


@pytest.mark.parametrize(('disk', 'table'), [('NFC', 'NFD'), ('NFD', 'NFC')])
def test_accents_of_table_and_disk_may_be_put_in_two_ways(tmp_path, disk, table):
    name = 'Dégoût/één.wav'
    text = f'path,emotion\n{unicodedata.normalize(table, name)},sad\n'
    found, = parse(folder(tmp_path, text, files=(unicodedata.normalize(disk, name),)))
    assert found.path.is_file() and found.relative == unicodedata.normalize(disk, name)


def test_an_extra_column_cannot_pass_for_a_field_of_the_sample(tmp_path):
    found, = parse(folder(tmp_path, 'path,emotion,label,sha256,frames\na.wav,sad,3,x,1\n'))
    assert found.emotion == 'sad'
    assert found.extra == {'table_label': '3', 'table_sha256': 'x', 'table_frames': '1'}


def test_absolute_paths_and_paths_outside_the_folder(tmp_path):
    inside = tmp_path / 'corpus'
    inside.mkdir()
    folder(tmp_path, '', 'unused.txt', files=('else/c.wav',))
    folder(inside, f'path,emotion\n{inside / "a.wav"},sad\n../else/c.wav,sad\n')
    assert [found.relative for found in parse(inside)] == ['a.wav', 'else/c.wav']


def test_a_label_that_looks_misspelt_is_warned_about_once(tmp_path, caplog):
    text = 'path,emotion\na.wav,hapiness\nsub/b.wav,hapiness\n'
    with caplog.at_level(logging.WARNING):
        found = list(parse(folder(tmp_path, text)))
    assert [item.emotion for item in found] == ['hapiness', 'hapiness']
    assert len(caplog.records) == 1
    assert "'hapiness'" in caplog.text and "'happy'" in caplog.text


@pytest.mark.parametrize(('name', 'text', 'message'), [
    ('metadata.csv', 'name,emotion\na,sad\n', 'no path column among name, emotion. Allowed names: path, file'),
    ('metadata.csv', 'path,mood\na.wav,sad\n', 'no emotion column among path, mood'),
    ('metadata.csv', 'path,emotion\na.wav,sad,x\n', r'metadata.csv line 2: 3 values for 2 columns'),
    ('metadata.csv', 'path,emotion,path\na.wav,sad,x\n', 'named twice'),
    ('metadata.csv', '', 'the table is empty'),
    ('metadata.csv', 'path,emotion\n', 'metadata.csv: a header and no row below it'),
    ('metadata.csv', 'path,emotion,x\na.wav,sad\n', '2 values for 3 columns .* A value is missing, or a quotation'),
    ('metadata.csv', 'path,emotion\n"a.wav,sad\nsub/b.wav,sad\n', 'line 3: 1 values .* quotation mark above it is not'),
    ('metadata.csv', 'p\0a\0t\0h\0', 'metadata.csv: holds zero bytes, .*--option encoding=utf-16-le'),
    ('metadata.csv', 'path,emotion\nx.wav,sad\ny.wav,sad\n',
     r"no row can be used \(missing file 2\). First: 'x.wav', missing file; paths are taken from '/"),
    ('metadata.csv', 'path,emotion\na.wav,\n', r'metadata.csv: no row can be used \(no emotion label 1\)'),
    ('x.jsonl', '{"path": "a.wav", "emotion": ["sad"]}\n', r"1: column 'emotion' must hold one label, not \['sad'\]"),
    ('x.jsonl', '{"path": "a.wav", "emotion": "sad", "votes": {" ": 2}}\n', '1: votes .* one emotion has no name'),
    ('x.jsonl', '{"path": "a.wav"\n', 'x.jsonl line 1: not JSON'),
    ('x.jsonl', '[1]\n', 'line 1: a JSON object is wanted, not list'),
    ('x.jsonl', '{"path": 3, "emotion": "sad"}\n', "column 'path' must hold a file path, not 3"),
    ('x.jsonl', '{"path": "a.wav", "emotion": "sad", "votes": {"sad": "2"}}\n', "line 1: votes must map emotions to"),
    ('x.jsonl', '{"path": "a.wav"}\n', 'no emotion column among path. Allowed names: .*, major_emotion; another with'),
    ('metadata.csv', 'path,emotion,arousal\na.wav,sad,high\n', "2: column 'arousal' must hold numbers, not 'high'"),
    ('metadata.csv', 'path,emotion\na.wav,sad\na.wav,Sadness\n',
     "'a.wav' is in lines 2 and 3, both times labelled 'sad': remove one row"),
    ('metadata.csv', 'path,emotion\na.wav,sad\n./a.wav,joy\n',
     "lines 2 and 3, labelled 'sad' in one and 'happy' in the other: keep the row that is right"),
    ('metadata.csv', 'path:emotion\na.wav:sad\n',
     'among path:emotion. .* a single column with the delimiter each of comma, semicolon, tab and |'),
    ('metadata.csv', 'path,emotion\na.wav,"' + 'x' * 140000 + '"\n', 'not a readable CSV table'),
    ('x.txt', 'path,emotion\n', 'no table in'),
])
def test_what_is_wrong_with_a_table_is_said_in_one_line(tmp_path, name, text, message):
    with pytest.raises(SerError, match=message) as error:
        read_corpus('csv', folder(tmp_path, text, name))
    assert '\n' not in str(error.value)


def test_bytes_that_are_not_text_and_wrong_sources_are_refused(tmp_path):
    (tmp_path / 'metadata.csv').write_bytes(b'path,emotion\n\xff\xff,sad\n')
    with pytest.raises(SerError, match=r'not UTF-8 text \(byte 13 is 0xff\).*--option encoding=latin-1'):
        list(parse(tmp_path))
    with pytest.raises(SerError, match='no such folder or table'):
        list(parse(tmp_path / 'none'))
    (tmp_path / 'a.wav').touch()
    with pytest.raises(SerError, match='is not a table: allowed are .csv'):
        list(parse(tmp_path / 'a.wav'))


def test_delimiter_and_encoding_may_be_given(tmp_path):
    text = 'path:emotion:ort\na.wav:sad:Köln\n'
    (found,), _ = read_corpus('csv', folder(tmp_path, text, encoding='latin-1'),
                              {'delimiter': ':', 'encoding': 'latin-1'})
    assert (found.emotion, found.extra) == ('sad', {'ort': 'Köln'})
    for mark, name in (('\t', 'tab'), (' ', 'space'), ('|', 'bar')):
        found, = parse(folder(tmp_path, text.replace(':', mark)), delimiter=name)
        assert found.extra == {'ort': 'Köln'}
    for options, message in (
            ({'delimiter': 'ab'}, "option delimiter: 'ab' is not one character"),
            ({'delimiter': ';'}, "single column with the delimiter ';': give another"),
            ({'encoding': 'utf8000'}, "option encoding: 'utf8000' is unknown. Try utf-8"),
            ({'encoding': 'ascii'}, r'not ascii text \(byte \d+ is 0xc3\)')):
        with pytest.raises(SerError, match=message):
            read_corpus('csv', tmp_path, options)


def test_rows_that_name_a_recording_again_are_told_together(tmp_path):
    text = 'path,emotion\n' + 'a.wav,sad\n' * 3 + 'sub/b.wav,joy\n' * 3
    with pytest.raises(SerError) as error:
        read_corpus('csv', folder(tmp_path, text))
    twice = "{}, both times labelled '{}': remove one row"
    assert str(error.value) == 'metadata.csv: 4 rows name a recording again. ' + '; '.join([
        twice.format("'a.wav' is in lines 2 and 3", 'sad'), twice.format("'a.wav' is in lines 2 and 4", 'sad'),
        twice.format("'sub/b.wav' is in lines 5 and 6", 'happy')]) + '; and 1 more'


def test_columns_may_be_given(tmp_path):
    text = 'Clip,emotion,Mood,who,energy,tongue\na.wav,1,joy,anna,0.5,de\n'
    options = {'path': 'clip', 'emotion': 'Mood', 'speaker': 'who', 'arousal': 'energy', 'language': 'tongue'}
    (found,), _ = read_corpus('csv', folder(tmp_path, text), options)
    assert (found.emotion, found.speaker, found.language) == ('happy', 'anna', 'de')
    assert found.extra == {'table_emotion': '1', 'arousal': 0.5}
    with pytest.raises(SerError, match=r"metadata.csv: no column 'Moud' \(emotion=Moud\). Columns: Clip, .*'Mood'"):
        read_corpus('csv', tmp_path, {**options, 'emotion': 'Moud'})
    with pytest.raises(SerError, match="corpus 'csv' has no option 'speeker'.* Did you mean 'speaker'"):
        read_corpus('csv', tmp_path, {'speeker': 'who'})


def test_activation_and_the_names_of_podcast_releases_are_attributes(tmp_path):
    found, = parse(folder(tmp_path, 'path,emotion,EmoAct,EmoVal,Dominance\na.wav,sad,1,2,\n'))
    assert found.extra == {'arousal': 1.0, 'valence': 2.0, 'dominance': None}


def test_json_lines_have_a_name_of_their_own(tmp_path):
    (found,), _ = read_corpus('jsonl', folder(tmp_path, '{"path": "a.wav", "emotion": "sad"}\n', 'x.jsonl'))
    assert (found.corpus, found.emotion) == ('jsonl', 'sad')


def test_many_rows_without_a_label_are_counted_by_reason(tmp_path):
    _, skips = read_corpus('csv', folder(tmp_path, 'path,emotion\na.wav,\nsub/b.wav,\na.wav,sad\n'))
    assert [skip.reason for skip in skips] == ['no emotion label'] * 2


def test_recordings_may_have_numbers_and_no_emotion(tmp_path, caplog):
    first, second = parse(folder(tmp_path, 'path,speaker,Arousal,valence\na.wav,7,2.5,\nsub/b.wav,8,,1\n'))
    assert (first.emotion, first.raw_label, first.speaker) == ('', '', '7')
    assert [found.extra for found in (first, second)] == [{'arousal': 2.5, 'valence': None},
                                                          {'arousal': None, 'valence': 1.0}]
    assert not caplog.records


def test_a_row_with_neither_emotion_nor_number_is_counted(tmp_path):
    rows = 'path,emotion,arousal\na.wav,,3\nsub/b.wav,,\n'
    first, second = parse(folder(tmp_path, rows))
    assert (first.emotion, first.extra) == ('', {'arousal': 3.0})
    assert second == Skip('sub/b.wav', 'no emotion label')
    with pytest.raises(SerError, match='no emotion column among path, note'):
        list(parse(folder(tmp_path / 'other', 'path,note\na.wav,x\n')))
