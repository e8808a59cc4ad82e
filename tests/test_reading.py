import pytest

from ser.errors import SerError
from ser.evaluation.reading import read_json, read_rows, read_table
from ser.files import write_json, write_rows


def test_rows_come_back_with_their_lines(tmp_path):
    rows = [['a', 'b'], ['x,"', 'two\nlines'], ['\r', '']]
    write_rows(tmp_path / 'a.csv', rows)
    read = read_rows(tmp_path / 'a.csv')
    assert [cells for _, cells in read] == rows and [line for line, _ in read][:2] == [1, 3]


def test_a_table_needs_each_wanted_column_once(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('a,b,c\n1,2,3\n')
    assert read_table(path, ('c', 'a')) == [(2, {'a': '1', 'b': '2', 'c': '3'})]
    with pytest.raises(SerError, match="no column 'd'; wanted: a, d"):
        read_table(path, ('a', 'd'))
    path.write_text('a,a\n1,2\n')
    with pytest.raises(SerError, match="more than one column 'a'"):
        read_table(path, ('a',))


def test_json_of_another_type_is_refused(tmp_path):
    write_json(tmp_path / 'a.json', [1])
    with pytest.raises(SerError, match='holds list, an object is wanted'):
        read_json(tmp_path / 'a.json', dict)
