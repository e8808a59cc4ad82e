"""A headless Chromium for tests of pages; they skip where it or playwright is missing."""

import contextlib
import shutil

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
OPTIONS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
           '--disable-component-update', '--disable-sync']


@contextlib.contextmanager
def chromium(*options):
    """A playwright Browser that ends with the block. For fixtures of a module at most: while it is open, playwright's
    own event loop runs, and tests that start another one fail."""
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f'no browser found: install one of {", ".join(NAMES)}')
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=[*OPTIONS, *options])
        try:
            yield browser
        finally:
            browser.close()
