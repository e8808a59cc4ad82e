"""Fingerprints of an index: in its order, by shard content, kept, and done without where they cannot be."""

from pathlib import Path

import numpy as np
import pytest

from ser.config.data import DataConfig
from ser.errors import SerError
from ser.shards import fingerprint_cache
from ser.shards.fingerprint import fingerprint
from ser.shards.fingerprint_cache import fingerprint_index
from ser.shards.index import build_index
from tests.audit_clips import babble, clip, indexed
from tests.shard_factory import audio_bytes, make_shards, write_tar


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp('cache')
    monkeypatch.setenv('XDG_CACHE_HOME', str(folder))
    return folder


@pytest.fixture
def made(monkeypatch):
    """The clips that were really fingerprinted."""
    made = []
    monkeypatch.setattr(fingerprint_cache, 'fingerprint', lambda *args: made.append(args[1]) or fingerprint(*args))
    return made


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == 'facts')
               for name in ('pcm', 'facts', 'descriptors', 'spread')) and one.bad == other.bad


def index_of(*paths):
    return build_index(DataConfig(shards=tuple(map(str, paths))))


def test_rows_are_those_of_the_index_whatever_the_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint_cache, 'CLIPS_PER_JOB', 3)
    monkeypatch.setattr(fingerprint_cache, '_FEW_CLIPS', 1)
    monkeypatch.setattr(fingerprint_cache, '_folder', lambda: None)
    make_shards(tmp_path, n_speakers=2)
    index = index_of(tmp_path)
    one, two = fingerprint_index(index, 1), fingerprint_index(index, 2)
    assert same(one, two) and len(one.spread) == len(index.rows)
    row = index.rows[9]
    data = Path(index.shards[row.shard].path).read_bytes()[row.offset:row.offset + row.size]
    alone = fingerprint(data, row.suffix)
    assert one.pcm[9].tobytes() == alone.pcm and np.array_equal(one.descriptors[9], alone.descriptor)
    assert one.fact('duration_seconds')[9] == pytest.approx(row.frames / row.sample_rate)


def test_a_shard_is_fingerprinted_once_wherever_it_lies(tmp_path, made, cache):
    paths = make_shards(tmp_path / 'one', n_speakers=2)
    first = fingerprint_index(index_of(*paths), 1)
    assert len(made) == 16
    assert same(first, fingerprint_index(index_of(*paths), 1)) and len(made) == 16
    (tmp_path / 'two').mkdir()
    moved = [path.rename(tmp_path / 'two' / path.name) for path in paths]
    assert same(first, fingerprint_index(index_of(*moved), 1)) and len(made) == 16
    write_tar(moved[1], clip('other', babble(1)))
    fingerprint_index(index_of(*moved), 1)
    assert len(made) == 17


def test_a_damaged_entry_is_made_again(tmp_path, made, cache):
    index = indexed(tmp_path, [clip('a', babble(1)), clip('b', babble(2))])
    first = fingerprint_index(index, 1)
    entry, = cache.rglob('*.npz')
    entry.write_bytes(entry.read_bytes()[:-9] + b'x' * 9)
    assert same(first, fingerprint_index(index, 1)) and len(made) == 4
    assert not list(cache.rglob('*.tmp'))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, made, monkeypatch):
    index = indexed(tmp_path, [clip('a', babble(1)), clip('b', babble(2))])
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    fingerprint_index(index, 1)
    monkeypatch.setattr(fingerprint_cache, 'cache_folder', lambda: None)
    fingerprint_index(index, 1)
    assert len(made) == 4


def test_a_damaged_clip_is_named_and_the_rest_go_on(tmp_path):
    damaged = audio_bytes(babble(2), 16000)[:2000]
    index = indexed(tmp_path, [clip('a', babble(1)), [('b.flac', damaged), ('b.json', b'{"emotion": "sad"}')]])
    for _ in range(2):
        prints = fingerprint_index(index, 1)
        assert list(prints.bad) == [1] and 'cannot be decoded' in prints.bad[1]
        assert prints.spread[0] > 0 == prints.spread[1] and np.isnan(prints.facts[1]).all()


def test_a_shard_that_is_gone_or_has_changed_is_refused(tmp_path):
    index = indexed(tmp_path, [clip('a', babble(1))])
    path = tmp_path / 'clips.tar'
    path.write_bytes(path.read_bytes() + b'\0' * 512)
    with pytest.raises(SerError, match='changed since it was indexed'):
        fingerprint_index(index, 1)
    path.unlink()
    with pytest.raises(SerError, match='cannot be read'):
        fingerprint_index(index, 1)
