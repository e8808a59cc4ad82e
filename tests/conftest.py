"""Shared fixtures."""

import logging
import os
from pathlib import Path

import pytest

# Tests run in as many processes as there are cores (pyproject.toml): each keeps to one, before torch is imported.
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope='session')
def _own_cache(tmp_path_factory):
    """The index cache of the tests, so that they neither read nor fill the user's."""
    os.environ['XDG_CACHE_HOME'] = str(tmp_path_factory.mktemp('cache'))


@pytest.fixture(autouse=True)
def _own_logging():
    """Logging as a library leaves it, whatever command an earlier test ran in this process."""
    logger = logging.getLogger('ser')
    logger.handlers[:], logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(scope='session')
def real_corpora():
    """Folder with real RAVDESS and Emo-DB audio (`ravdess/`, `emodb/`); tests that need it skip without it."""
    folder = Path(os.environ.get('SER_CORPORA', ROOT.parent / 'shared' / 'corpora'))
    if not (folder / 'ravdess').is_dir():
        pytest.skip('real corpora not found: set SER_CORPORA to a folder with ravdess/ and emodb/')
    return folder
