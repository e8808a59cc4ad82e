import hashlib
import json

import pytest

from ser.errors import SerError
from ser.shards import remote
from ser.shards.doctor import examine_shards
from ser.shards.index import build_index
from ser.shards.repair import repair
from ser.shards.sample_label import LabelSource
from tests.remote_sets import build_set, data_of, total
from tests.shard_server import serving

pytest.importorskip('aiohttp')


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    return build_set(tmp_path_factory.mktemp('built'), clips=10, shard_size=3)


@pytest.fixture
def site(built, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, 'BACK_OFF_SECONDS', 0.01)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    with serving() as (store, address):
        store.put(built)
        yield store, f'{address}/set/'


def refused(call, *said):
    with pytest.raises(SerError) as error:
        call()
    assert all(text in str(error.value) for text in said), str(error.value)
    assert '\n' not in str(error.value)


def replace_index(store, lines):
    """Another index.jsonl, with a manifest that names it."""
    data = b''.join(json.dumps(line).encode() + b'\n' for line in lines)
    manifest = json.loads(store.files['/set/shards.json'])
    manifest['index'].update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    store.files['/set/index.jsonl'], store.files['/set/shards.json'] = data, json.dumps(manifest).encode()


def test_the_index_file_tells_what_a_scan_finds_and_no_tar_is_read(site, built, tmp_path):
    store, address = site
    local, far = build_index(data_of(built)), build_index(data_of(address, tmp_path / 'cache'))
    assert far.digest == local.digest and store.tar_bytes() == 0
    assert [shard.path for shard in far.shards] == [address + shard.name for shard in local.shards]
    assert far.rows == local.rows and far.ignored == local.ignored
    named = build_index(data_of(f'mine={address}', tmp_path / 'cache', valid_shards=()))
    assert {row.corpus for row in named.rows} == {'mine'}


def test_a_repaired_set_has_an_index_to_be_read_from_afar_too(site, built, tmp_path):
    store, address = site
    hurt, name = tmp_path / 'hurt', 'csv-00001.tar'
    hurt.mkdir()
    data = bytearray((built / name).read_bytes())
    lines = map(json.loads, (built / 'index.jsonl').read_text().splitlines())
    line = next(line for line in lines if line['shard'] == name)
    data[line['audio']['offset'] + line['audio']['size'] // 2] ^= 1
    (hurt / name).write_bytes(data)
    found, _ = examine_shards([hurt / name], LabelSource(), jobs=1)
    assert repair(list(found), tmp_path / 'mended') == (name,)
    for file in (tmp_path / 'mended').iterdir():
        store.files[f'/mended/{file.name}'] = file.read_bytes()
    far = build_index(data_of(address.replace('/set/', '/mended/'), tmp_path / 'cache'))
    assert far.rows == build_index(data_of(tmp_path / 'mended')).rows and store.tar_bytes() == 0
    assert len(far.rows) == 2 and line['key'] not in {row.key for row in far.rows}


def test_parts_have_shards_of_their_own(site, tmp_path):
    _, address = site
    data = data_of(f'{address}csv-{{00000..00002}}.tar', tmp_path / 'cache')
    index = build_index(data.model_copy(update={'valid_shards': (f'{address}csv-00003.tar',)}))
    assert {row.part for row in index.rows} == {'train', 'valid'}


def renamed(line, key):
    line['key'], line['audio']['name'], line['json']['name'] = key, f'{key}.flac', f'{key}.json'


@pytest.mark.parametrize('change', [
    lambda line: line.pop('key'), lambda line: line.update(shard='other.tar'),
    lambda line: line['audio'].update(offset=513), lambda line: line['audio'].update(size=1 << 40),
    lambda line: line['audio'].update(name='x.flac'), lambda line: line['audio'].update(name=7),
    lambda line: line['audio'].update(name=line['key'] + 'flac'), lambda line: renamed(line, 'a\x1b[2Jb'),
    lambda line: renamed(line, '/tmp/a'), lambda line: renamed(line, 'a//b'), lambda line: renamed(line, '\ud800'),
    lambda line: line['json'].update(offset=0),
    lambda line: line.update(sha256='0'), lambda line: line.update(metadata=[]), lambda line: line.update(key=7)])
def test_a_line_that_the_builder_never_wrote_is_refused(site, tmp_path, change):
    store, address = site
    lines = [json.loads(line) for line in store.files['/set/index.jsonl'].splitlines()]
    change(lines[1])
    replace_index(store, lines)
    refused(lambda: build_index(data_of(address, tmp_path / 'cache')), 'index.jsonl: line 2')


def test_lost_doubled_and_changed_lines_are_refused(site, tmp_path):
    store, address = site
    whole = store.files['/set/index.jsonl']
    lines = [json.loads(line) for line in whole.splitlines()]
    replace_index(store, lines[:4] + lines[5:])
    refused(lambda: build_index(data_of(address, tmp_path / 'cache')), '2 samples of csv-00001.tar')
    replace_index(store, [*lines[:1], *lines])
    refused(lambda: build_index(data_of(address, tmp_path / 'cache')), 'line 2', 'overlap')
    replace_index(store, lines)
    changed = whole.replace(b'"happy"', b'"angry"', 1)
    store.files['/set/index.jsonl'] = changed
    refused(lambda: build_index(data_of(address, tmp_path / 'cache')), 'index.jsonl: its sha256')


def test_without_an_index_a_scan_is_priced_and_asked_for(site, built, tmp_path):
    store, address = site
    del store.files['/set/shards.json'], store.files['/set/index.jsonl']
    pattern = address + 'csv-{00000..00003}.tar'
    local = build_index(data_of(built))
    size = total(local)
    refused(lambda: build_index(data_of(pattern, tmp_path / 'cache')), '4 shards', f'{size / 1e3:.1f} kB',
            'data.scan_remote=true')
    assert store.tar_bytes() == 0
    far = build_index(data_of(pattern, tmp_path / 'cache', scan_remote=True))
    assert far.digest == local.digest and store.tar_bytes() == size
    # Known by size and version from now on, whether a scan is allowed or not.
    assert build_index(data_of(pattern, tmp_path / 'cache')).digest == local.digest and store.tar_bytes() == size


def test_an_older_set_without_the_hash_of_its_index_is_scanned(site, built, tmp_path):
    store, address = site
    manifest = json.loads(store.files['/set/shards.json'])
    del manifest['index']
    store.files['/set/shards.json'] = json.dumps(manifest).encode()
    refused(lambda: build_index(data_of(address, tmp_path / 'cache')), 'no index of the builder')
    assert build_index(data_of(address, tmp_path / 'cache', scan_remote=True)).digest == build_index(
        data_of(built)).digest
    name = next(path for path in store.files if path.endswith('00001.tar'))
    store.files[name] = store.files['/set/csv-00002.tar']
    (tmp_path / 'home').rename(tmp_path / 'elsewhere')
    refused(lambda: build_index(data_of(address, tmp_path / 'cache', scan_remote=True)), 'csv-00001.tar: its sha256')


def test_a_damaged_tar_is_refused_by_its_address(site, tmp_path):
    store, address = site
    del store.files['/set/shards.json']
    store.files['/set/bad.tar'] = store.files['/set/csv-00000.tar'][:-12000]
    refused(lambda: build_index(data_of(f'{address}bad.tar', tmp_path / 'cache', scan_remote=True)),
            f'{address}bad.tar: ', 'truncated')
    assert not list((tmp_path / 'cache').glob('*.part'))
    refused(lambda: build_index(data_of(f'{address}none.tar', tmp_path / 'cache')), 'none.tar: no such shard')
