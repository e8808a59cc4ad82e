import hashlib
import json
import multiprocessing
import os
import threading
import time
from types import SimpleNamespace

import pytest

from ser.errors import SerError
from ser.shards import remote, remote_cache
from ser.shards.remote import Remote
from ser.shards.remote_cache import ShardCache, cache_of
from tests.remote_sets import held
from tests.shard_server import serving

pytest.importorskip('aiohttp')
SIZE = 100_000


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(remote, 'BACK_OFF_SECONDS', 0.01)
    with serving() as (store, address):
        for number in range(5):
            store.files[f'/set/{number}.tar'] = bytes([number]) * SIZE
        yield store, address


def shard(site, number, folder='set', size=SIZE):
    """What a shard of the site's index says."""
    store, address = site
    path = f'/{folder}/{number}.tar'
    return SimpleNamespace(path=address + path, size=size, sha256=hashlib.sha256(store.files[path]).hexdigest())


def read(cache, one):
    handle = cache.open(one)
    with open(handle, 'rb') as file:
        return file.read()


def refused(call, *said):
    with pytest.raises(SerError) as error:
        call()
    assert all(text in str(error.value) for text in said), str(error.value)


def names(folder):
    return {path.name.partition('.')[0] for path in folder.glob('*.tar')}


def test_a_shard_is_fetched_once_and_named_by_its_content(site, tmp_path):
    store, _ = site
    cache = ShardCache(tmp_path / 'cache', 10 * SIZE)
    store.files['/other/0.tar'] = b'x' * SIZE
    one, other = shard(site, 0), shard(site, 0, 'other')
    assert read(cache, one) == read(cache, one) == bytes(SIZE) and read(cache, other) == b'x' * SIZE
    assert store.tar_bytes() == 2 * SIZE and names(tmp_path / 'cache') == {one.sha256, other.sha256}
    assert cache.holds(one) and not cache.holds(shard(site, 1))


def test_another_content_is_refused_after_a_second_try(site, tmp_path, caplog):
    store, _ = site
    cache = ShardCache(tmp_path / 'cache', 10 * SIZE)
    one = shard(site, 1)
    store.faults = [('wrong',)]
    assert read(cache, one) == bytes([1]) * SIZE and 'try 1' in caplog.text
    two = shard(site, 2)
    store.faults = [('wrong',)] * 2
    refused(lambda: cache.open(two), two.path, 'its sha256 is not')
    assert names(tmp_path / 'cache') == {one.sha256} and not list((tmp_path / 'cache').glob('*.part'))


def test_a_cached_file_cut_by_the_disk_is_fetched_again(site, tmp_path):
    cache, one = ShardCache(tmp_path / 'cache', 10 * SIZE), shard(site, 1)
    read(cache, one)
    os.truncate(cache.path_of(one), 10)
    assert read(cache, one) == bytes([1]) * SIZE


def test_the_least_recently_used_goes_and_the_limit_holds(site, tmp_path):
    cache = ShardCache(tmp_path / 'cache', 3 * SIZE + 10)
    shards = [shard(site, number) for number in range(5)]
    for one in shards[:3]:
        read(cache, one)
        time.sleep(0.01)
    read(cache, shards[0])
    read(cache, shards[3])
    assert names(tmp_path / 'cache') == {shards[i].sha256 for i in (0, 2, 3)}
    refused(lambda: ShardCache(tmp_path / 'cache', SIZE - 1).open(shards[4]), 'more than data.cache_gb')


def test_what_a_run_needs_stays_and_what_a_dead_one_needed_goes(site, tmp_path, monkeypatch):
    monkeypatch.setattr(remote_cache, 'ROOM_SECONDS', 0.1)
    cache, shards = ShardCache(tmp_path / 'cache', 2 * SIZE), [shard(site, number) for number in range(5)]
    with cache.lease('run', 2 * SIZE) as hold:
        hold([one.sha256 for one in shards[:2]])
        read(cache, shards[0])
        read(cache, shards[1])
        assert cache.reserved('run') == 0 and cache.reserved('another') == 2 * SIZE
        refused(lambda: cache.open(shards[2]), 'no room in', 'another data.cache')
        hold([shards[1].sha256])
        read(cache, shards[2])
        assert names(tmp_path / 'cache') == {one.sha256 for one in shards[1:3]}
    left = tmp_path / 'cache' / 'leases' / '1-dead'
    left.write_text(json.dumps({'group': 'dead', 'reserve': SIZE, 'shards': [shards[1].sha256]}))
    (tmp_path / 'cache' / f'{shards[4].sha256}.7.part').write_bytes(b'x')
    read(cache, shards[3])
    assert names(tmp_path / 'cache') == {one.sha256 for one in shards[2:4]} and not left.exists()
    assert not list((tmp_path / 'cache').glob('*.part'))


def test_a_lease_is_nobodys_to_remove_before_it_is_locked(tmp_path, monkeypatch):
    cache, seen = ShardCache(tmp_path / 'cache', SIZE), []

    def locked_late(file, how, flock=remote_cache.fcntl.flock):
        if 'leases' in str(getattr(file, 'name', '')) and not how & remote_cache.fcntl.LOCK_NB:
            looking = threading.Thread(target=lambda: seen.append(cache.reserved('another')))
            looking.start()
            looking.join(0.2)
            stack.append(looking)
        flock(file, how)

    stack = []
    monkeypatch.setattr(remote_cache, 'fcntl', SimpleNamespace(**{**vars(remote_cache.fcntl), 'flock': locked_late}))
    with cache.lease('run', 7):
        stack[0].join()
        assert cache.reserved('another') == 7


def test_a_reader_waits_for_room(site, tmp_path):
    cache, shards = ShardCache(tmp_path / 'cache', 2 * SIZE), [shard(site, number) for number in range(3)]
    with cache.lease('run', 2 * SIZE) as hold:
        hold([one.sha256 for one in shards[:2]])
        read(cache, shards[0])
        read(cache, shards[1])
        thread = threading.Timer(0.2, hold, ([],))
        thread.start()
        assert read(cache, shards[2]) == bytes([2]) * SIZE
        thread.join()


def _open_all(cache, shards, results):
    for one in shards:
        os.close(cache.open(one))
    results.put(os.getpid())


def test_processes_share_one_download(site, tmp_path):
    store, _ = site
    store.delay = 0.05
    cache, shards = ShardCache(tmp_path / 'cache', 10 * SIZE), [shard(site, number) for number in range(5)]
    context = multiprocessing.get_context('fork')
    results = context.Queue()
    read(cache, shards[0])
    workers = [context.Process(target=_open_all, args=(cache, shards, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert len({results.get(timeout=30) for _ in workers}) == 3
    for worker in workers:
        worker.join()
    assert store.tar_bytes() == 5 * SIZE


def test_many_readers_of_a_small_cache_lose_nothing(site, tmp_path):
    cache, shards = ShardCache(tmp_path / 'cache', 2 * SIZE), [shard(site, number) for number in range(5)]
    wrong, sizes = [], []

    def work(start):
        for step in range(10):
            number = (start + step) % 5
            if read(cache, shards[number]) != bytes([number]) * SIZE:
                wrong.append(number)
            sizes.append(held(tmp_path / 'cache'))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(sizes) == 40 and max(sizes) <= 2 * SIZE


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    data = SimpleNamespace(cache=None, cache_gb=1.5)
    assert cache_of(data) == ShardCache(tmp_path / 'serstream' / 'shards', 1_500_000_000)
    assert cache_of(SimpleNamespace(cache='/x', cache_gb=1)).folder.as_posix() == '/x'
    monkeypatch.setattr(remote_cache, 'cache_folder', lambda: None)
    refused(lambda: cache_of(data), 'data.cache=FOLDER')


def test_a_folder_that_cannot_be_written_is_told(site, tmp_path):
    (tmp_path / 'file').touch()
    refused(lambda: ShardCache(tmp_path / 'file', SIZE).fetch(shard(site, 0)), 'cannot be kept there')


def test_an_adopted_file_stays_under_its_sha256(site, tmp_path):
    cache, one = ShardCache(tmp_path / 'cache', 2 * SIZE), shard(site, 3)
    found = cache.adopt(Remote(one.path), SIZE, lambda part: SimpleNamespace(
        sha256=hashlib.sha256(part.read_bytes()).hexdigest()))
    assert found.sha256 == one.sha256 and cache.holds(one)
