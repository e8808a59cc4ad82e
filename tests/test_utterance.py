import re

import pytest

from ser.corpora.utterance import distinct_key, key_of


@pytest.mark.parametrize(('relative', 'key'), [
    ('Actor_01/03-01.wav', 'c-Actor_01_03-01'),
    ('a b/ü.c.flac', 'c-a_b___c'),
    ('plain', 'c-plain'),
])
def test_key_has_no_suffix_and_only_plain_characters(relative, key):
    assert key_of('c', relative) == key


def test_names_of_no_plain_character_have_distinct_keys_too():
    names = ('你好.wav', '再见.wav', 'a b.wav', 'a_b.wav', 'mà.wav', 'má.wav', 'caf\udce9.wav')
    keys = {distinct_key('c', name) for name in names}
    assert len(keys) == len(names) and all(re.fullmatch('c-[A-Za-z_]+-[0-9a-f]{8}', key) for key in keys)


def test_neither_the_suffix_nor_how_accents_are_put_makes_a_key_distinct():
    assert len({distinct_key('c', name) for name in ('\xe9.wav', 'e\u0301.wav', '\xe9.flac')}) == 1


def test_keys_have_no_dot_so_that_webdataset_cuts_them_where_we_do():
    assert '.' not in key_of('csv', 'v1.2/take.3.wav')
