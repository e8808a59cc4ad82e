import pytest

from ser.corpora.utterance import key_of


@pytest.mark.parametrize(('relative', 'key'), [
    ('Actor_01/03-01.wav', 'c-Actor_01_03-01'),
    ('a b/ü.c.flac', 'c-a_b___c'),
    ('plain', 'c-plain'),
])
def test_key_has_no_suffix_and_only_plain_characters(relative, key):
    assert key_of('c', relative) == key


def test_keys_have_no_dot_so_that_webdataset_cuts_them_where_we_do():
    assert '.' not in key_of('csv', 'v1.2/take.3.wav')
