import json

import pytest

from ser.errors import SerError
from ser.shards import remote_manifest
from ser.shards.paths import expand_sets
from ser.shards.remote import Remote
from ser.shards.remote_manifest import expand_remote, read_manifest
from tests.remote_sets import build_set
from tests.shard_server import serving

pytest.importorskip('aiohttp')


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    return build_set(tmp_path_factory.mktemp('built'), clips=6, shard_size=2)


@pytest.fixture
def site(built):
    with serving() as (store, address):
        store.put(built)
        yield store, address


def refused(call, *said):
    with pytest.raises(SerError) as error:
        call()
    assert all(text in str(error.value) for text in said), str(error.value)


def test_a_folder_is_what_its_manifest_lists(site, built):
    _, address = site
    expected = [f'{address}/set/{path.name}' for path in sorted(built.glob('*.tar'))]
    for text in ('set', 'set/', 'set/csv-{00000..00002}.tar'):
        assert [str(path) for _, path in expand_sets([f'{address}/{text}'], remote=True)] == expected
    tars, index = read_manifest(Remote(f'{address}/set'))
    assert [tars[name].samples for name in sorted(tars)] == [2, 2, 2]
    assert index.size == (built / 'index.jsonl').stat().st_size


def test_addresses_are_for_the_explicit_flag(site):
    _, address = site
    refused(lambda: expand_sets([f'{address}/set/']), '--shards', 'data.remote=true')
    for pattern in ('pipe:cat x', 's3://bucket/a.tar::pipe:id', 'http://127.0.0.1/::pipe:id', 'ftp://host/a.tar'):
        refused(lambda pattern=pattern: expand_sets([pattern], remote=True), 'pipe: and ::')
    refused(lambda: expand_sets(['s3://{a,b@c}/x.tar'], remote=True), 'password or query')


def test_what_cannot_be_listed_is_refused(site):
    store, address = site
    refused(lambda: expand_remote(f'{address}/none/'), 'does not list', 'braces')
    refused(lambda: expand_remote(f'{address}/set/*.tar'), 'does not list')
    refused(lambda: expand_remote('s3://bucket/*/a.tar'), 'last part')
    assert all(path.startswith('/none') for _, path, _ in store.requests)


@pytest.mark.parametrize('change', [
    lambda value: value.pop('shards'), lambda value: value.update(shards=[]),
    lambda value: value['shards'][0].update(name='../x.tar'), lambda value: value['shards'][0].update(name='x.sh'),
    lambda value: value['shards'][0].update(sha256='x' * 64), lambda value: value['shards'][0].update(size=-1),
    lambda value: value['shards'][0].update(size=True), lambda value: value['shards'][0].update(utterances=0),
    lambda value: value['shards'].append(value['shards'][0]), lambda value: value['index'].update(name='other'),
    lambda value: value['index'].update(size=remote_manifest.MAX_INDEX_BYTES + 1)])
def test_a_damaged_manifest_is_refused(site, built, change):
    store, address = site
    value = json.loads((built / 'shards.json').read_text())
    change(value)
    store.files['/set/shards.json'] = json.dumps(value).encode()
    refused(lambda: read_manifest(Remote(f'{address}/set')), 'shards.json: damaged')


def test_a_manifest_that_is_no_json_is_refused(site, built):
    store, address = site
    for data in (b'', b'[' * 100_000, b'[]', (built / 'shards.json').read_bytes()[:-5]):
        store.files['/set/shards.json'] = data
        refused(lambda: read_manifest(Remote(f'{address}/set')), 'shards.json: damaged')
