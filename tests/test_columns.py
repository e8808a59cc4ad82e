import pytest

from ser.corpora.columns import COLUMNS, FIELDS, RESERVED, columns_of, fields_and_extra, number, votes_of
from ser.errors import SerError


def test_the_first_usual_name_is_taken_in_any_case_unless_another_is_chosen():
    names = ['Label', 'EMOTION', 'File', 'mood']
    assert columns_of(names) == {'path': 'File', 'emotion': 'EMOTION'}
    assert columns_of(names, {'emotion': 'MOOD', 'speaker': None})['emotion'] == 'mood'


def test_a_chosen_name_that_is_exact_goes_before_one_in_another_case():
    assert columns_of(['mood', 'Mood'], {'emotion': 'Mood'})['emotion'] == 'Mood'


def test_no_usual_name_means_two_fields():
    names = [name for usual in COLUMNS.values() for name in usual]
    assert len(set(names)) == len(names) and set(names) == {name.lower() for name in names}
    assert set(FIELDS) <= set(RESERVED)


def test_votes_are_added_up_under_canonical_names():
    assert votes_of({'joy': 2, 'Happiness': 1, 'mixed': 0.5}, 'x') == {'happy': 3, 'mixed': 0.5}
    for count in ('2', True, -1, float('inf'), None):
        with pytest.raises(SerError, match="x: votes must map emotions to counts, not 'sad' to"):
            votes_of({'sad': count}, 'x')


@pytest.mark.parametrize(('value', 'expected'), [('0.5', 0.5), (' ', None), (None, None), (3, 3.0), ('nan', None)])
def test_numbers(value, expected):
    assert number(value, 'c', 'x') == expected


def test_fields_are_text_and_the_rest_is_extra():
    row = {'speaker': 3, 'sex': ' ', 'note': ' a ', 'frames': 1, '': 'dropped', 'valence': '2'}
    fields, extra = fields_and_extra(row, columns_of(list(row)), 'x')
    assert fields == {'speaker': '3', 'gender': None}
    assert extra == {'note': 'a', 'table_frames': 1, 'valence': 2.0}
