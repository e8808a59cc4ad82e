"""Scans are kept, checked and done without."""

import pytest

from ser.config.data import DataConfig
from ser.shards import index_cache
from ser.shards.index import build_index
from tests.shard_factory import make_shards, sample, write_tar


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp('cache')
    monkeypatch.setenv('XDG_CACHE_HOME', str(folder))
    return folder


def index_of(*paths):
    return build_index(DataConfig(shards=tuple(map(str, paths))))


def test_an_unchanged_shard_is_scanned_once(tmp_path, cache, monkeypatch):
    scans = []
    scan_shard = index_cache.scan_shard
    monkeypatch.setattr(index_cache, 'scan_shard', lambda *args: scans.append(args) or scan_shard(*args))
    paths = make_shards(tmp_path)
    first = index_of(tmp_path)
    assert len(scans) == len(paths)
    assert index_of(tmp_path) == first and index_of(tmp_path).digest == first.digest
    assert len(scans) == len(paths)
    entry = next(cache.rglob('*.json'))
    entry.write_bytes(entry.read_bytes()[:-9] + b'x' * 9)
    assert index_of(tmp_path) == first and len(scans) == len(paths) + 1
    write_tar(paths[0], sample('other'))
    assert index_of(tmp_path) != first and len(scans) == len(paths) + 2


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, cache, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    paths = make_shards(tmp_path / 'shards')
    assert len(index_of(*paths).rows) == 48
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setattr(index_cache.Path, 'home', lambda: (_ for _ in ()).throw(RuntimeError()))
    assert len(index_of(*paths).rows) == 48
