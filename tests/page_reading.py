"""A page read back with the standard parser alone: what it shows, and which file each number is from."""

import csv
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {'meta', 'br', 'hr', 'img', 'col'}


@dataclass
class Page(HTMLParser):
    """values: (data-of, value, text shown). tags: (tag, attributes). titles: of sections. text: all that is shown."""

    source: str
    values: list = field(default_factory=list)
    tags: list = field(default_factory=list)
    titles: list = field(default_factory=list)
    text: str = ''
    _open: list = field(default_factory=list)

    def __post_init__(self):
        super().__init__()
        self.feed(self.source)
        assert not self._open, f'left open: {self._open}'

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append((tag, dict(attrs), len(self.text)))

    def handle_endtag(self, tag):
        opened, attributes, start = self._open.pop()
        assert opened == tag, f'{opened} closed by {tag}'
        inside = self.text[start:]
        if tag == 'data':
            self.values.append((attributes.get('data-of'), attributes['value'], inside))
        if tag == 'h2':
            self.titles.append(inside)

    def handle_data(self, data):
        if not self._open or self._open[-1][0] != 'style':
            self.text += data

    def of(self, file):
        """way -> value of the numbers that say they are of this file; '' for those computed from all of it."""
        found = {}
        for of, value, _ in self.values:
            name, _, way = (of or '').partition('#')
            if name == file:
                found.setdefault(way, []).append(value)
        return found


def ways(value, way=()):
    """'a/b/0' -> leaf of a JSON value."""
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        found = {}
        for key, inside in items:
            found |= ways(inside, (*way, str(key).replace('~', '~0').replace('/', '~1')))
        return found
    return {'/'.join(way): value}


def check_against_files(page, run):
    """Every number that names a place in a JSON or CSV file of the run is what stands there; returns how many."""
    counted = 0
    for file in sorted({(of or '').partition('#')[0] for of, _, _ in page.values if '#' in (of or '')}):
        held = ways(json.loads((run / file).read_text())) if file.endswith('.json') else cells(run / file)
        for way, values in page.of(file).items():
            for value in values if way else ():
                counted += 1
                assert (float(value) == float(held[way])) if not isinstance(held[way], str) or file.endswith('.csv') \
                    else value == held[way], f'{file}#{way}: {value}, the file says {held[way]}'
    return counted


def cells(path):
    """'<first cell of the row>/<column>' -> cell of a CSV file."""
    with open(path, newline='') as file:
        header, *rows = csv.reader(file)
    return {'/'.join(part.replace('~', '~0').replace('/', '~1') for part in (row[0], name)): cell
            for row in rows for name, cell in zip(header, row, strict=True)}
