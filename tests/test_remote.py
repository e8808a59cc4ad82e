import io

import pytest

from ser.errors import SerError
from ser.shards import remote
from ser.shards.remote import Remote, download, facts_of, listed, parse, read_small
from tests.shard_server import serving

pytest.importorskip('aiohttp')
DATA = bytes(range(256)) * 12000
SIZE = len(DATA)


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr(remote, 'BACK_OFF_SECONDS', 0.01)
    monkeypatch.setattr(remote, 'STALL_SECONDS', 0.4)
    with serving() as (store, address):
        store.files['/set/a.tar'] = DATA
        yield store, Remote(f'{address}/set/a.tar')


def fetched(address, size=SIZE):
    file = io.BytesIO()
    download(address, file, size)
    return file.getvalue()


def refused(call, *said):
    with pytest.raises(SerError) as error:
        call()
    assert all(text in str(error.value) for text in said), str(error.value)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_an_address_has_a_name_and_a_folder():
    address = parse('s3://bucket/some/set/part-1.tar')
    assert (address.name, str(address.parent), address.scheme) == ('part-1.tar', 's3://bucket/some/set', 's3')
    assert str(parse('gs://bucket/set/') / 'a.tar') == 'gs://bucket/set/a.tar' and address.resolve() is address


@pytest.mark.parametrize(('text', 'said'), [
    ('https://user:secret@host/a.tar', 'password or query'), ('https://host/a.tar?X-Amz-Signature=secret', 'query'),
    ('https://host/a.tar#secret', 'query'), ('http://example.org/a.tar', 'not encrypted'),
    ('s3:///a.tar', 'not the address'), ('s3://bucket/../a.tar', 'not the address'),
    ('https://[host/a.tar', 'not an address'),
        ('s3://bucket//a.tar', 'not the address'), ('s3://bucket\\x/a.tar', 'not the address')])
def test_addresses_that_are_refused_say_why_and_keep_secrets(text, said):
    assert 'secret' not in refused(lambda: parse(text), '--shards', said)


def test_a_whole_file_comes_in_one_request(site):
    store, address = site
    assert fetched(address) == DATA
    assert [request[0] for request in store.requests] == ['GET'] and store.tar_bytes() == len(DATA)
    assert facts_of(address)['size'] == len(DATA) and facts_of(address.parent / 'b.tar') is None


def test_a_cut_is_resumed_at_its_byte(site):
    store, address = site
    store.faults = [('cut', 1_500_000), ('cut', 500_000), ('cut', 0)]
    assert fetched(address) == DATA
    starts = [int(request[2][6:-1]) if request[2] else 0 for request in store.requests]
    # What had come but was still in the client's buffer when the connection broke comes again.
    assert starts == sorted(starts) and len(starts) == 4 and 0 < starts[-1] <= 2_000_000
    assert len(DATA) <= store.tar_bytes() <= len(DATA) + 2_000_000


def test_errors_slow_answers_and_missing_ranges_lose_nothing(site):
    store, address = site
    store.faults = [503, 500, ('slow', 2, 5000), 429]
    assert fetched(address) == DATA
    store.ranges, store.faults = False, [('cut', 70_000), 503]
    assert fetched(address) == DATA and store.faults == []


def test_a_trickle_counts_as_a_stall(monkeypatch):
    monkeypatch.setattr(remote, 'STALL_SECONDS', 0.0)
    with pytest.raises(TimeoutError, match='only 1 B in'):
        list(remote._moving(iter([b'a', b'b', b'c'])))


def test_giving_up_names_address_and_reason(site):
    store, address = site
    store.faults = [503] * remote.ATTEMPTS
    refused(lambda: fetched(address), str(address), f'after {remote.ATTEMPTS} tries', '503')
    store.faults = [403]
    refused(lambda: fetched(address), str(address), 'access is refused', 'environment')
    assert len(store.requests) == remote.ATTEMPTS + 1
    refused(lambda: fetched(address.parent / 'b.tar'), 'b.tar: no such file')


def test_a_file_of_another_length_is_refused(site):
    _, address = site
    refused(lambda: fetched(address, 1000), 'longer than the 1000 bytes')
    refused(lambda: fetched(address, len(DATA) + 1), 'cannot be read')


def test_small_files_are_bounded(site):
    _, address = site
    assert read_small(address, len(DATA)) == DATA and read_small(address.parent / 'none', 9) is None
    refused(lambda: read_small(address, 1000), 'more than 1000 bytes')


def test_what_is_told_of_an_error_holds_no_credentials():
    error = OSError("403, url='https://me:secret@host/a.tar?X-Amz-Credential=secret&X=secret'")
    assert remote._words(error) == "OSError: 403, url='https://host/a.tar'"


def test_web_servers_do_not_list(site):
    assert listed(site[1].parent) is None


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'fsspec', None)
    refused(lambda: read_small(Remote('s3://bucket/a.tar'), 9), "pip install -e '.[cloud]'", 's3://')
