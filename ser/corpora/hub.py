"""Parquet files of a data set on the Hugging Face hub: `hub:owner/name`, or `hub:owner/name@revision`.

This is the only place where a corpus is fetched by its source; every failure is one line with its remedy.
"""

import logging
from pathlib import Path

from ser.errors import SerError, install

log = logging.getLogger(__name__)

PREFIX = 'hub:'
_LOGIN = "ask for access on its page, then log in with 'hf auth login'"
# The library's exceptions by name, so that this needs nothing of it to be imported; the nearest ancestor counts.
_REMEDIES = {
    'GatedRepoError': f'access to it is gated: {_LOGIN}',
    'RepositoryNotFoundError': f'there is no such data set, or it is private: check owner and name, or {_LOGIN}',
    'RevisionNotFoundError': 'it has no such revision: check what stands after the @',
    'HFValidationError': 'that is not owner/name: give hub:owner/name or hub:owner/name@revision',
    'LocalEntryNotFoundError': 'the hub cannot be reached and the local cache has no copy: go online once, or give a '
                               'folder of parquet files as the SOURCE',
    'OfflineModeIsEnabled': 'HF_HUB_OFFLINE is set and the local cache has no copy: unset it, or give a folder of '
                            'parquet files as the SOURCE',
}


def is_hub(source):
    """Whether a source names a data set on the hub rather than a folder."""
    return str(source).startswith(PREFIX)


def fetch(source, split=None):
    """The local folder that holds the parquet files of a data set, downloaded unless the cache has them.

    source: `hub:owner/name[@revision]`. split: only files with this in their path. Raises SerError for everything that
    can go wrong, and for a data set without parquet files.
    """
    name, _, revision = str(source).removeprefix(PREFIX).partition('@')
    patterns = [f'*{split}*.parquet'] if split else ['*.parquet']
    log.info('%s: fetching parquet files into the local cache of the hub', source)
    folder = Path(_download(source, name, revision or None, patterns))
    if not any(folder.rglob('*.parquet')):
        kept = f' of a split {split}' if split else ''
        raise SerError(f"'{source}' has no parquet files{kept}. Try its automatic export: "
                       f'{PREFIX}{name}@refs/convert/parquet')
    return folder


def _download(source, name, revision, patterns):
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise SerError(f"'{source}' needs the package huggingface_hub: {install('hub')}") from None
    try:
        return snapshot_download(repo_id=name, repo_type='dataset', revision=revision, allow_patterns=patterns)
    except Exception as error:
        # The library lets exceptions of whichever network library it uses through.
        known = (_REMEDIES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _REMEDIES)
        said = next(iter(str(error).strip().splitlines()), '') or type(error).__name__
        remedy = next(known, f'{said}. Try again, or give a folder of parquet files as the SOURCE')
        raise SerError(f"'{source}' cannot be fetched: {remedy}") from error
