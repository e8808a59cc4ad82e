import pytest

from ser.corpora.names import check_choice, check_codes, find_beside, read_beside
from ser.errors import SerError
from tests.fixture_trees import plant


def test_a_known_code_passes_and_an_unknown_one_names_file_field_code_and_allowed():
    check_codes('a/b.wav', 'X', [('emotion', 'n', ('a', 'n'))])
    with pytest.raises(SerError, match=r"a/b.wav: unknown emotion code 'q'. X has a, n. Rename or remove the file"):
        check_codes('a/b.wav', 'X', [('speaker', '1', '123'), ('emotion', 'q', ('a', 'n'))])


def test_an_options_value_must_be_one_of_its_values():
    assert check_choice('x', 'song', 'yes', ('yes', 'no')) == 'yes'
    with pytest.raises(SerError, match="'x': option song must be one of yes, no, not 'yess'. Did you mean 'yes'"):
        check_choice('x', 'song', 'yess', ('yes', 'no'))


def test_a_table_is_found_at_any_depth_the_first_name_first(tmp_path):
    assert find_beside(tmp_path, 'a.csv') is None
    plant(tmp_path, ['x10/b.csv', 'x9/b.csv', 'deep/er/a.csv'])
    assert find_beside(tmp_path, 'a.csv', 'b.csv') == tmp_path / 'deep/er/a.csv'
    assert find_beside(tmp_path, 'b.csv') == tmp_path / 'x9/b.csv'


@pytest.mark.parametrize('text', [
    '\ufefffile,speaker\r\n a , Anna \r\nb\r\n', 'file;speaker\na;Anna\nb;\n', 'file\t speaker\na\t  Anna\nb\t\n',
    '"file","speaker"\n"a","Anna"\n"b",""\n'])
def test_a_table_is_read_whatever_stands_between_its_values(tmp_path, text):
    table = tmp_path / 'table.csv'
    table.write_bytes(text.encode())
    assert read_beside(table, ('file', 'speaker')) == [{'file': 'a', 'speaker': 'Anna'}, {'file': 'b', 'speaker': ''}]


def test_a_quotation_mark_in_tab_separated_text_is_only_that(tmp_path):
    table = tmp_path / 'data.tsv'
    table.write_text('file\ttext\na\t"Hej\nb\tja"\n')
    assert read_beside(table, ('file', 'text')) == [{'file': 'a', 'text': '"Hej'}, {'file': 'b', 'text': 'ja"'}]


def test_a_table_of_something_else_names_what_is_expected_and_found(tmp_path):
    table = tmp_path / 'table.csv'
    table.write_text('file,who\n')
    with pytest.raises(SerError, match='table.csv: expected the columns file, speaker or clip, found file, who'):
        read_beside(table, ('file', 'speaker'), ('clip',))
    table.write_text('')
    with pytest.raises(SerError, match='expected the columns clip, found none'):
        read_beside(table, ('clip',))
    table.write_bytes(b'file\n\xff\n')
    with pytest.raises(SerError, match=r'table.csv: not UTF-8 text \(byte 5\)'):
        read_beside(table, ('file',))
    with pytest.raises(SerError, match='cannot read .*none.csv'):
        read_beside(tmp_path / 'none.csv', ('file',))
