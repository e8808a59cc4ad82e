"""Pages in a real browser: nothing leaves them, nothing complains, they fit a phone and can be listened to."""

import pytest

from ser.reports.compare_page import comparison_page
from ser.reports.page import run_page
from tests.chromium import chromium
from tests.page_reading import Page
from tests.page_runs import whole_run
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture(scope='module')
def files(tiny_run, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp('pages')
    one, other = (whole_run(folder / name) for name in ('one', 'other'))
    pages = {'heard': run_page(tiny_run.path, clips=1, device='cpu')[0], 'hostile': run_page(one)[0],
             'compared': comparison_page([one, other])}
    for name, text in pages.items():
        (folder / f'{name}.html').write_text(text)
    return {name: folder / f'{name}.html' for name in pages}


@pytest.fixture(scope='module')
def browser():
    with chromium() as started:
        yield started


class Opened:
    """A page opened from its file without a network, and everything it did."""

    def __init__(self, browser, path, width=1280, **options):
        self.context = browser.new_context(viewport={'width': width, 'height': 900}, offline=True, **options)
        self.page = self.context.new_page()
        self.said, self.requests, self.dialogs = [], [], []
        self.page.on('console', lambda message: self.said.append(message.text))
        self.page.on('pageerror', lambda error: self.said.append(str(error)))
        self.page.on('request', lambda request: self.requests.append(request.url))
        self.page.on('dialog', lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.page.goto(path.as_uri())
        self.page.wait_for_load_state('load')

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.context.close()


@pytest.mark.parametrize('name', ['heard', 'hostile', 'compared'])
def test_nothing_leaves_the_page_and_nothing_complains(browser, files, name):
    with Opened(browser, files[name]) as opened:
        opened.page.mouse.wheel(0, 20000)
        opened.page.wait_for_timeout(200)
        outside = [url for url in opened.requests if not url.startswith('data:') and url != files[name].as_uri()]
        assert (outside, opened.said, opened.dialogs) == ([], [], [])
        titles = Page(files[name].read_text().removeprefix('<!doctype html>\n')).titles[1:]
        assert opened.page.locator('main > section > h2').all_inner_texts() == titles
        assert all(opened.page.locator(f'section:nth-child({place})').is_visible()
                   for place in range(1, len(titles) + 1))


@pytest.mark.parametrize('name', ['heard', 'hostile', 'compared'])
def test_a_phone_scrolls_down_alone(browser, files, name):
    with Opened(browser, files[name], width=390) as opened:
        for details in opened.page.locator('details').all():
            details.evaluate('element => element.open = true')
        assert opened.page.evaluate('document.documentElement.scrollWidth') == 390
        assert opened.page.evaluate("getComputedStyle(document.body).fontSize") == '16px'


def test_clips_can_be_played(browser, files):
    with Opened(browser, files['heard']) as opened:
        sounds = opened.page.locator('audio')
        assert sounds.count() >= 1
        opened.page.wait_for_function('[...document.querySelectorAll("audio")].every(one => one.readyState >= 1)')
        lengths = sounds.evaluate_all('all => all.map(one => one.duration)')
        assert all(0.1 < seconds < 11 for seconds in lengths)
        assert all(opened.page.locator('img').evaluate_all('all => all.map(one => one.naturalWidth > 1)'))


def test_dark_and_light(browser, files):
    grounds = []
    for scheme in ('light', 'dark'):
        with Opened(browser, files['heard'], color_scheme=scheme) as opened:
            grounds.append(opened.page.evaluate('getComputedStyle(document.body).backgroundColor'))
    assert grounds == ['rgb(255, 255, 255)', 'rgb(17, 21, 27)']


def test_the_keyboard_reaches_everything(browser, files):
    with Opened(browser, files['heard']) as opened:
        opened.page.keyboard.press('Tab')
        assert opened.page.evaluate('document.activeElement.textContent') == 'To the content'
        opened.page.keyboard.press('Enter')
        assert opened.page.evaluate('document.activeElement.id') == 'content'
        summary = opened.page.locator('summary').first
        summary.focus()
        opened.page.keyboard.press('Enter')
        assert opened.page.locator('details').first.evaluate('element => element.open')


def test_bars_of_tables_have_the_length_of_their_numbers(browser, files):
    with Opened(browser, files['heard']) as opened:
        rows = opened.page.locator('#classes tbody tr')
        for row in rows.all():
            recall = float(row.locator('data').nth(1).get_attribute('value'))
            drawn = float(row.locator('rect').get_attribute('width'))
            assert drawn == pytest.approx(100 * recall, abs=0.051)
