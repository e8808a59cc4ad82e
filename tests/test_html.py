"""Pieces of HTML: everything is escaped, pages are well formed and refer to nothing."""

import base64
import hashlib
import re

import pytest

from ser.files import size_text
from ser.reports.html import (
    Markup,
    Section,
    Value,
    anchor,
    digits,
    document,
    element,
    escaped,
    listed,
    paragraphs,
    pointer,
    shown,
    table,
)
from tests.page_reading import Page

HOSTILE = '</title></style><script>alert(1)</script><img src=x onerror="alert(2)">&\'"'


def test_every_text_is_escaped_wherever_it_stands():
    made = element('p', HOSTILE, [HOSTILE, None], Value(HOSTILE, 1.0, HOSTILE), title=HOSTILE)
    assert '<script' not in made and '<img' not in made
    page = Page(made)
    assert [tag for tag, _ in page.tags] == ['p', 'data']
    assert page.text == HOSTILE * 3 and page.tags[0][1]['title'] == HOSTILE
    assert page.values == [(HOSTILE, '1.0', HOSTILE)]


def test_what_has_no_picture_or_turns_the_text_round_is_replaced():
    assert shown('a\x00b\x1bc\u202ed\u2066e\ud800f\r') == 'a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffd'
    assert shown('tab\t, line\n, ä, 声, 😀') == 'tab\t, line\n, ä, 声, 😀'
    escaped('\ud800').encode()


def test_markup_is_taken_as_it_is_and_attributes_may_be_left_out():
    assert element('p', Markup('<b>x</b>'), hidden=True, id=None, class_='a', data_of='f#/x', open=False) == \
        '<p hidden class="a" data-of="f#/x"><b>x</b></p>'
    assert element('meta', charset='utf-8') == '<meta charset="utf-8">'


@pytest.mark.parametrize('value', [0.1, 1 / 3, 1e-300, 5, 123456789012345678])
def test_digits_restore_the_number(value):
    assert type(value)(digits(value)) == value


def test_pointers_keep_slashes_apart():
    assert pointer('a.json', 'x/y', 'p~q', 0) == 'a.json#x~1y/p~0q/0'


def test_a_table_heads_its_columns_and_rows_and_aligns_numbers():
    made = table('Caption', ('name', 'n'), [('<a>', Value('1,000', 1000)), ('b', None)], foot=[('all', 'x')])
    page = Page(made)
    tags = [tag for tag, _ in page.tags]
    assert tags.count('caption') == 1 and tags.count('th') == 5 and tags.count('tr') == 4
    heads = [given for tag, given in page.tags if tag == 'th']
    assert [given['scope'] for given in heads] == ['col', 'col', 'row', 'row', 'row']
    assert 'class="n"' in made and page.tags[0][1]['tabindex'] == '0'
    assert 'thead' not in [tag for tag, _ in Page(table('Facts', ('', ''), [('a', 'b')], 'll')).tags]


def test_lists_and_paragraphs():
    assert listed([]) is None and listed(['<']) == '<ul><li>&lt;</li></ul>'
    assert paragraphs(['# no', '', '| no |', 'a `b` c']) == ['<p>a <code>b</code> c</p>']


def test_a_page_is_well_formed_and_forbids_everything_from_elsewhere():
    style = 'p { color: red; }'
    text = document(HOSTILE, element('h1', HOSTILE), [
        Section('First thing', (element('p', HOSTILE),)), Section('Second', missing=HOSTILE)], style, 'Size {size}.')
    page = Page(text.removeprefix('<!doctype html>\n'))
    assert text.startswith('<!doctype html>\n<html lang="en">') and page.titles == ['Contents', 'First thing', 'Second']
    assert f'Size {size_text(len(text.encode()))}.' in page.text
    policy, = (given['content'] for tag, given in page.tags if given.get('http-equiv') == 'Content-Security-Policy')
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'")
    assert not re.search('unsafe|http', policy)
    links = [given['href'] for tag, given in page.tags if tag == 'a']
    ids = {given['id'] for _, given in page.tags if 'id' in given}
    assert links == ['#content', '#first-thing', '#second'] and {link[1:] for link in links} <= ids
    assert {'script', 'link', 'iframe', 'img', 'object', 'form'}.isdisjoint(tag for tag, _ in page.tags)


def test_names():
    assert anchor('ROC and precision-recall') == 'roc-and-precision-recall' and anchor(HOSTILE).isascii()
