"""Text tables."""

from ser.evaluation.tables import counted, markdown_table, mean_of, percent, percent_with_interval, rounded, text_table


def test_columns_are_aligned():
    assert text_table(('class', 'clips'), [('angry', 7), ('sad', 120)], 'lr') == [
        'class  clips', '-----  -----', 'angry      7', 'sad      120']


def test_wide_characters_take_two_columns_and_combining_marks_none():
    lines = text_table(('file', 'emotion'), [('愤怒', 'x'), ('abcd', 'y'), ('e\u0301abc', 'z')])
    assert lines[2:] == ['愤怒  x', 'abcd  y', 'e\u0301abc  z']


def test_cells_stay_on_their_line_and_none_is_empty():
    assert text_table(('a', 'b'), [('two\nlines', None)]) == ['a          b', '---------  -', 'two lines']
    assert markdown_table(('a', 'b'), [('x|y', 1)], 'lr') == ['| a | b |', '| --- | ---: |', '| x\\|y | 1 |']


def test_percent():
    assert percent(0.6321) == '63.2 %' and percent(None) == 'n/a'
    assert percent_with_interval(0.632, (0.551, 0.704)) == '63.2 % [55.1, 70.4]'


def test_counted():
    assert (counted(0, 'clip'), counted(1, 'clip'), counted(2, 'clip')) == ('0 clips', '1 clip', '2 clips')


def test_numbers_keep_three_digits():
    assert [rounded(number) for number in (None, 0, 0.041234, 1.2345, 151.26, 999.4, 1000, 263123)] == [
        'n/a', '0', '0.0412', '1.23', '151', '999', '1,000', '263,123']


def test_an_ensemble_has_one_name():
    assert mean_of(3) == 'mean of the probabilities of 3 runs'
