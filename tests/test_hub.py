import sys
import types
from pathlib import Path

import pytest

from ser.corpora import hub, read_corpus
from ser.errors import SerError
from tests.test_parquet import export


class RepositoryNotFoundError(OSError):
    pass


class GatedRepoError(RepositoryNotFoundError):
    pass


class RevisionNotFoundError(OSError):
    pass


class HFValidationError(ValueError):
    pass


class LocalEntryNotFoundError(FileNotFoundError):
    pass


class OfflineModeIsEnabled(ConnectionError):
    pass


class Hub:
    """Stands in for the hub's library: records what is asked for and answers with a folder or an error."""

    def __init__(self, monkeypatch, answer):
        self.asked = []

        def snapshot_download(**given):
            self.asked.append(given)
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        monkeypatch.setitem(sys.modules, 'huggingface_hub',
                            types.SimpleNamespace(snapshot_download=snapshot_download))


def test_a_data_set_of_the_hub_is_a_folder_of_parquet_files(tmp_path, monkeypatch):
    export(tmp_path / 'data/train-00000-of-00001.parquet', {'emotion': ['sad', 'joy']})
    server = Hub(monkeypatch, tmp_path)
    utterances, _ = read_corpus('parquet', 'hub:owner/name')
    assert [item.emotion for item in utterances] == ['sad', 'happy']
    assert utterances[0].relative == 'data/train-00000-of-00001-0-take0.wav'
    assert server.asked == [{'repo_id': 'owner/name', 'repo_type': 'dataset', 'revision': None,
                             'allow_patterns': ['*.parquet']}]


def test_a_revision_and_a_split_are_asked_for(tmp_path, monkeypatch):
    export(tmp_path / 'default/train/0000.parquet', {'emotion': ['sad']})
    server = Hub(monkeypatch, tmp_path)
    utterances, _ = read_corpus('parquet', 'hub:owner/name@refs/convert/parquet', {'split': 'train'})
    assert len(utterances) == 1
    assert (server.asked[0]['revision'], server.asked[0]['allow_patterns']) == (
        'refs/convert/parquet', ['*train*.parquet'])


@pytest.mark.parametrize(('error', 'message'), [
    (GatedRepoError('403\nlong'), 'access to it is gated: ask for access on its page'),
    (RepositoryNotFoundError('404'), 'there is no such data set, or it is private'),
    (RevisionNotFoundError('404'), 'it has no such revision'),
    (HFValidationError('bad'), 'that is not owner/name'),
    (LocalEntryNotFoundError('x'), 'the hub cannot be reached and the local cache has no copy'),
    (OfflineModeIsEnabled('x'), 'HF_HUB_OFFLINE is set'),
    (ConnectionError('name resolution failed\ntrace'), 'name resolution failed. Try again, or give a folder'),
    (TimeoutError(), 'TimeoutError. Try again'),
])
def test_every_failure_is_one_line_with_its_remedy(monkeypatch, error, message):
    Hub(monkeypatch, error)
    with pytest.raises(SerError, match="'hub:owner/name' cannot be fetched: ") as refused:
        read_corpus('parquet', 'hub:owner/name')
    assert message in str(refused.value) and '\n' not in str(refused.value)


def test_a_data_set_without_parquet_files_offers_the_export(tmp_path, monkeypatch):
    Hub(monkeypatch, tmp_path)
    with pytest.raises(SerError, match='has no parquet files. .* hub:owner/name@refs/convert/parquet'):
        hub.fetch(Path('hub:owner/name'))
    with pytest.raises(SerError, match='has no parquet files of a split train'):
        hub.fetch('hub:owner/name', 'train')


def test_without_the_library_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(SerError, match=r"needs the package huggingface_hub: pip install -e '\.\[hub\]'"):
        hub.fetch('hub:owner/name')


def test_the_names_of_errors_are_the_library_s_own():
    errors = pytest.importorskip('huggingface_hub.errors')
    assert all(hasattr(errors, name) for name in hub._REMEDIES)
