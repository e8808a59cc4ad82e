"""Shared fixtures."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='session')
def real_corpora():
    """Folder with real RAVDESS and Emo-DB audio (`ravdess/`, `emodb/`); tests that need it skip without it."""
    folder = Path(os.environ.get('SER_CORPORA', ROOT.parent / 'shared' / 'corpora'))
    if not (folder / 'ravdess').is_dir():
        pytest.skip('real corpora not found: set SER_CORPORA to a folder with ravdess/ and emodb/')
    return folder
