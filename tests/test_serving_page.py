"""The files of the served page: no script can be smuggled in, nothing comes from elsewhere, names and colours hold."""

import re

import pytest

from tests.page_server import PAGE

FILES = {path.name: path.read_text() for path in sorted(PAGE.iterdir()) if path.is_file()}
HTML = FILES['index.html']
SCRIPTS = {name: text for name, text in FILES.items() if name.endswith('.js')}
STYLES = ''.join(text for name, text in FILES.items() if name.endswith('.css'))


def luminance(colour):
    """Relative luminance of '#rgb' or '#rrggbb' (WCAG 2.2)."""
    digits = colour.lstrip('#')
    digits = digits if len(digits) == 6 else ''.join(2 * digit for digit in digits)
    parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def schemes():
    """The colours of each scheme: name -> {variable: colour}."""
    light, dark = re.findall(r':root \{(.*?)\}', STYLES, re.DOTALL)[:2]
    return {name: dict(re.findall(r'--([\w-]+): (#\w+);', text)) for name, text in (('light', light), ('dark', dark))}


def class_colours():
    """The colours that classes are drawn in."""
    return re.findall(r"'(#\w{6})'", FILES['colours.js'])


@pytest.mark.parametrize('name', FILES)
def test_files_are_small_and_readable(name):
    assert FILES[name].count('\n') <= 300
    assert max(map(len, FILES[name].splitlines())) <= 120


def test_the_whole_page_loads_quickly():
    assert sum(map(len, FILES.values())) < 100_000


def test_the_html_holds_no_script_no_style_and_no_handler():
    assert not re.search(r'\s(on\w+|style)\s*=', HTML)
    assert '<style' not in HTML and 'javascript:' not in HTML
    assert all(not body.strip() for body in re.findall(r'<script[^>]*>(.*?)</script>', HTML, re.DOTALL))


@pytest.mark.parametrize('name', FILES)
def test_nothing_comes_from_elsewhere(name):
    text = FILES[name].replace('xmlns="http://www.w3.org/2000/svg"', '')
    assert not re.search(r'https?:|[\'"(]//|@import', text)


@pytest.mark.parametrize('name', SCRIPTS)
def test_scripts_make_no_markup_and_no_code_of_text(name):
    assert not re.search(r'(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function', SCRIPTS[name])
    assert not re.search(r"setAttribute\('(style|on)", SCRIPTS[name])
    # A timer given a string would run it.
    assert not re.search(r"set(Timeout|Interval)\(['\"`]", SCRIPTS[name])


def test_every_id_is_used_once_and_every_used_one_exists():
    ids = re.findall(r'\sid="([^"]+)"', HTML)
    assert len(ids) == len(set(ids))
    used = {name for text in SCRIPTS.values() for name in re.findall(r"byId\('([^']+)'\)", text)}
    pointed = set(re.findall(r'\s(?:for|aria-labelledby|aria-describedby)="([^"]+)"', HTML))
    assert used | pointed <= set(ids)
    assert used, 'nothing was found: do scripts still look elements up with byId?'


def test_every_class_that_scripts_look_for_exists():
    there = {name for names in re.findall(r'class="([^"]+)"', HTML) for name in names.split()}
    there |= {name for text in SCRIPTS.values() for names in re.findall(r"className: '([^']+)'", text)
              for name in names.split()}
    sought = {name for text in SCRIPTS.values() for name in re.findall(r"(?:querySelector(?:All)?|find)\('\.([\w-]+)'",
                                                                      text)}
    assert sought and sought <= there


def test_every_file_that_is_asked_for_exists():
    asked = set(re.findall(r'(?:src|href)="static/([^"]+)"', HTML))
    for text in SCRIPTS.values():
        asked |= set(re.findall(r"from '\./([^']+)'", text)) | set(re.findall(r"'static/([^']+)'", text))
    assert asked == set(FILES) - {'index.html'}


@pytest.mark.parametrize('name', SCRIPTS)
def test_scripts_import_what_they_use_and_what_there_is(name):
    for names, module in re.findall(r"import \{ ([^}]+) \} from '\./([^']+)'", SCRIPTS[name]):
        for each in names.split(', '):
            assert re.search(rf'export (async )?(function|class|const) {each}\b', FILES[module]), (name, each)
            assert len(re.findall(rf'\b{each}\b', SCRIPTS[name])) > 1, f'{name} imports {each} for nothing'


def test_form_fields_and_pictures_in_the_html_are_named():
    labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', HTML))
    for field in re.findall(r'<input[^>]*>', HTML):
        inside = re.search(r'<label[^>]*>' + re.escape(field), HTML)
        assert inside or re.search(r'id="([^"]+)"', field)[1] in labelled, field
    assert re.search(r'<html lang="\w+">', HTML) and '<title>' in HTML and 'width=device-width' in HTML
    assert 'user-scalable' not in HTML and 'maximum-scale' not in HTML


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_text_stands_out_from_what_lies_under_it(scheme):
    colours = schemes()[scheme]
    for text, ground in [('text', 'page'), ('text', 'card'), ('text', 'tint'), ('text', 'bad-tint'),
                         ('text', 'warn-tint'), ('quiet', 'page'), ('quiet', 'card'), ('quiet', 'tint'),
                         ('accent', 'card'), ('accent', 'page'), ('on-accent', 'accent'), ('on-accent', 'accent-deep'),
                         ('bad', 'bad-tint'), ('bad', 'card'), ('bad', 'tint')]:
        assert contrast(colours[text], colours[ground]) >= 4.5, (scheme, text, ground)
    # Edges of controls and marks.
    for mark, ground in [('edge', 'card'), ('warn-edge', 'warn-tint'), ('accent', 'tint')]:
        assert contrast(colours[mark], colours[ground]) >= 3, (scheme, mark, ground)


def test_classes_can_be_told_from_both_pages_and_their_names_read_on_them():
    cards = [colours['card'] for colours in schemes().values()]
    grounds = [colours['page'] for colours in schemes().values()]
    assert len(class_colours()) == len(set(class_colours())) == 13
    for colour in class_colours():
        assert contrast('#ffffff', colour) >= 4.5, colour
        assert min(contrast(colour, ground) for ground in cards + grounds) >= 3, colour


def test_contrast_is_that_of_the_standard():
    assert contrast('#000', '#fff') == pytest.approx(21)
    assert contrast('#767676', '#ffffff') == pytest.approx(4.54, abs=0.01)


def test_there_is_no_emoji():
    for name, text in FILES.items():
        assert text.isascii(), name
