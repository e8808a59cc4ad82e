"""HTML in small pieces, every text escaped: what comes from files (names, keys, paths) is only ever shown.

A page has no script and no reference to anything outside itself; its content security policy forbids both, so that
even a mistake here could run and fetch nothing.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from html import escape

from ser.files import size_text

_VOID = {'meta', 'br', 'hr', 'img', 'col'}
# Controls, halves of surrogate pairs, and marks that turn the direction of the text after them.
_UNSHOWN = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]')
_NOT_WORD = re.compile(r'[^a-z0-9]+')


class Markup(str):
    """Text that is HTML already. Made by this module and `charts` alone, never from what a file says."""


@dataclass(frozen=True)
class Value:
    """A number on the page: `text` for people, `value` with all its digits, and where it comes from.

    of: '<file>#/<key>/<key>' of a JSON file, '<file>#<row>/<column>' of a CSV file (parts escaped by `pointer`), or
    the file alone for what was computed from it. None as value: there is none, `text` says so.
    """

    text: str
    value: float | int | str | None = None
    of: str | None = None


def shown(value):
    """A text as it can be shown: what has no picture, or turns the text around, becomes U+FFFD."""
    return _UNSHOWN.sub('\ufffd', str(value))


def escaped(value):
    """A text as Markup."""
    return Markup(escape(shown(value)))


def element(tag, *children, **attributes):
    """`<tag ...>children</tag>`. Children that are no Markup are escaped; None is left out, tuples and lists are laid
    out. Attributes: an underscore at the end is dropped, others become '-'; None and False leave one out."""
    given = ''.join(_attribute(name, value) for name, value in attributes.items())
    opened = f'<{tag}{given}>'
    return Markup(opened if tag in _VOID else f'{opened}{together(*children)}</{tag}>')


def _attribute(name, value):
    if value is None or value is False:
        return ''
    name = name.rstrip('_').replace('_', '-')
    return f' {name}' if value is True else f' {name}="{escape(shown(value))}"'


def together(*children):
    """Children one after the other, as Markup."""
    return Markup(''.join(_child(child) for child in children))


def _child(child):
    if child is None:
        return ''
    if isinstance(child, (tuple, list)):
        return together(*child)
    if isinstance(child, Value):
        return data(child)
    return child if isinstance(child, Markup) else escaped(child)


def data(value):
    """A Value in a text: `<data>` with its digits."""
    if value.value is None:
        return escaped(value.text)
    return element('data', value.text, value=digits(value.value), data_of=value.of)


def digits(value):
    """A number so that reading it gives the same number, and a text as it is."""
    return repr(value) if isinstance(value, float) else str(value)


def pointer(file, *parts):
    """Where a Value comes from: a file and a way into it; '/' and '~' in a part are written as JSON pointers do."""
    return f'{file}#' + '/'.join(str(part).replace('~', '~0').replace('/', '~1') for part in parts)


def paragraph(*children, class_=None):
    """A paragraph."""
    return element('p', *children, class_=class_)


def paragraphs(lines):
    """The plain paragraphs among lines of Markdown, its `code` as `<code>`; headings, tables and pictures are not."""
    return [paragraph(*(element('code', part) if odd % 2 else part for odd, part in enumerate(line.split('`'))))
            for line in lines if line and not line.startswith(('#', '|', '!'))]


def listed(items, class_=None):
    """A list of texts, or None where there is none."""
    return element('ul', [element('li', item) for item in items], class_=class_) if items else None


def unseen(words):
    """Words for those who hear the page, where the others need none: the name of a column of bars."""
    return element('span', words, class_='unseen')


def details(summary, *children):
    """What is shown on demand."""
    return element('details', element('summary', summary), *children)


def table(caption, header, rows, align=None, foot=()):
    """A table that scrolls by itself where it is wider than the page; the first column heads its rows.

    header: texts or `unseen` ones, all empty for none; only the first may be empty beside others. rows, foot: cells
    (text, Markup, Value, None). align: a letter per column, 'l' or 'r'.
    """
    align = align or 'l' + 'r' * (len(header) - 1)
    # A heading without words is none.
    head = element('thead', element('tr', [
        element('th', title, scope='col', class_=_side(letter)) if title else element('td')
        for title, letter in zip(header, align, strict=True)]))
    parts = [element(tag, [_row(row, align) for row in some]) for tag, some in (('tbody', rows), ('tfoot', foot))
             if some]
    whole = element('table', element('caption', caption), head if any(header) else None, *parts)
    return element('div', whole, class_='scroll', role='region', aria_label=caption, tabindex='0')


def _row(row, align):
    cells = list(zip(row, align, strict=True))
    return element('tr', element('th', cells[0][0], scope='row', class_=_side(cells[0][1])),
                   [element('td', cell, class_=_side(letter)) for cell, letter in cells[1:]])


def _side(letter):
    return 'n' if letter == 'r' else None


def anchor(title):
    """The id of a section with this title."""
    return _NOT_WORD.sub('-', title.lower()).strip('-')


@dataclass(frozen=True)
class Section:
    """A part of a page. missing: why it has nothing to show, said in its place."""

    title: str
    body: tuple = ()
    missing: str | None = None

    def render(self):
        """The section as Markup."""
        place = anchor(self.title)
        body = self.body if self.missing is None else (paragraph(self.missing, class_='missing'), *self.body)
        return element('section', element('h2', self.title, id=f'{place}-title'), *body, id=place,
                       aria_labelledby=f'{place}-title')


def document(title, head, sections, style, footer):
    """A whole page as text. head: Markup above the sections; style: CSS; footer: text, '{size}' is the page's size."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; media-src data:; base-uri 'none'; "
              "form-action 'none'")
    contents = element('nav', element('h2', 'Contents', class_='label', id='contents'),
                       element('ol', [element('li', element('a', one.title, href=f'#{anchor(one.title)}'))
                                      for one in sections]), aria_labelledby='contents')
    before, after = footer.split('{size}')
    page = element(
        'html',
        element('head', element('meta', charset='utf-8'),
                element('meta', http_equiv='Content-Security-Policy', content=policy),
                element('meta', name='viewport', content='width=device-width, initial-scale=1'),
                element('meta', name='color-scheme', content='light dark'),
                element('meta', name='referrer', content='no-referrer'),
                element('title', title), element('style', Markup(style))),
        element('body', element('a', 'To the content', href='#content', class_='skip'),
                element('header', head), contents,
                element('main', [one.render() for one in sections], id='content', tabindex='-1'),
                element('footer', paragraph(before, Markup(_SIZE), after))),
        lang='en')
    text = f'<!doctype html>\n{page}\n'
    size = size_text(len(text.encode()))
    return text.replace(_SIZE, size)


# No escaped text holds it: its brackets would be entities.
_SIZE = '<!--size-->'
