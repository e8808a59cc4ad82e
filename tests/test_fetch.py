import collections
import errno
import itertools
import json
import os
import socket
import ssl
import urllib.error

import numpy as np
import pytest

from ser.corpora import fetch as module
from ser.corpora.fetch import TRIES, fetch
from ser.errors import SerError
from tests.file_server import serving

DATA = np.random.default_rng(0).bytes(100_000)


@pytest.fixture
def web(monkeypatch):
    # Whoever runs the tests behind a proxy reaches this machine without it.
    monkeypatch.setenv('no_proxy', '*')
    with serving() as (site, address):
        site.files['/a.bin'] = DATA
        site.url = f'{address}/a.bin'
        yield site


def get(web, folder, waits=None, **options):
    """The file as fetch brings it; `waits` collects how long it waited."""
    fetch(web.url, folder / 'a.bin', sleep=(waits if waits is not None else []).append, timeout=5, **options)
    return (folder / 'a.bin').read_bytes()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def interrupted(web, folder, at=60_000):
    """Leave what a process that was stopped after `at` bytes leaves."""
    def stop(done, total):
        if done >= at:
            raise KeyboardInterrupt

    web.cuts.append(at)
    with pytest.raises(KeyboardInterrupt):
        get(web, folder, progress=stop)
    assert (folder / 'a.bin.part').read_bytes() == DATA[:at]
    web.requests.clear()


def test_a_file_comes_whole_and_nothing_else_is_left(web, tmp_path):
    seen = []
    assert get(web, tmp_path, progress=lambda *args: seen.append(args), size=len(DATA)) == DATA
    assert names(tmp_path) == ['a.bin'] and seen[-1] == (len(DATA), len(DATA))
    assert all(one[0] < other[0] for one, other in itertools.pairwise(seen))
    assert 'Range' not in web.requests[0]


@pytest.mark.parametrize('validators', [('"one"', None), (None, 'Tue, 01 Jan 2019 00:00:00 GMT'), (None, None)])
def test_a_connection_that_breaks_is_carried_on_where_it_broke(web, tmp_path, validators):
    web.etag, web.last_modified = validators
    web.cuts, waits = [40_000, 25_000], []
    assert get(web, tmp_path, waits) == DATA
    assert [request.get('Range') for request in web.requests] == [None, 'bytes=40000-', 'bytes=65000-']
    assert {request.get('If-Range') for request in web.requests[1:]} == {validators[0] or validators[1]}
    assert waits == [1, 2]


def test_without_ranges_it_starts_anew_and_the_bytes_are_equal(web, tmp_path):
    web.ranges, web.cuts = False, [40_000]
    assert get(web, tmp_path) == DATA


def test_a_stopped_download_is_carried_on_by_the_next_process(web, tmp_path):
    interrupted(web, tmp_path)
    assert get(web, tmp_path) == DATA
    assert [request.get('Range') for request in web.requests] == ['bytes=60000-']
    assert names(tmp_path) == ['a.bin']


@pytest.mark.parametrize('if_range', [True, False])
def test_a_file_that_changed_meanwhile_starts_anew(web, tmp_path, if_range):
    # Also on a server that does not know If-Range and would mix the two.
    interrupted(web, tmp_path)
    changed = DATA[::-1]
    web.files['/a.bin'], web.etag, web.if_range = changed, '"two"', if_range
    assert get(web, tmp_path) == changed


def test_a_shorter_file_on_the_server_starts_anew(web, tmp_path):
    web.etag = None
    interrupted(web, tmp_path)
    web.files['/a.bin'] = DATA[:50_000]
    assert get(web, tmp_path) == DATA[:50_000]


def test_a_part_that_is_whole_needs_only_its_name(web, tmp_path):
    interrupted(web, tmp_path)
    with open(tmp_path / 'a.bin.part', 'ab') as part:
        part.write(DATA[60_000:])
    assert get(web, tmp_path) == DATA
    assert [request.get('Range') for request in web.requests] == ['bytes=100000-']


@pytest.mark.parametrize('state', ['{}', 'nonsense', '[]', '{"url": "http://elsewhere/a.bin"}', None])
def test_a_part_of_who_knows_what_is_not_carried_on_with(web, tmp_path, state):
    (tmp_path / 'a.bin.part').write_bytes(b'x' * 500)
    if state is not None:
        (tmp_path / 'a.bin.part.json').write_text(state)
    assert get(web, tmp_path) == DATA
    assert 'Range' not in web.requests[0]


def test_a_weak_etag_is_no_condition(web, tmp_path):
    web.etag, web.last_modified, web.cuts = 'W/"weak"', 'Tue, 01 Jan 2019 00:00:00 GMT', [500]
    assert get(web, tmp_path) == DATA
    assert web.requests[1]['If-Range'] == web.last_modified


def test_a_body_of_unknown_length_is_held_against_the_published_size(web, tmp_path):
    web.length, web.cuts = False, [30_000]
    assert get(web, tmp_path, size=len(DATA)) == DATA
    web.files['/a.bin'] = DATA * 3
    with pytest.raises(SerError, match='100000 are published'):
        get(web, tmp_path / '.', size=len(DATA))
    assert names(tmp_path) == ['a.bin']


def test_busy_servers_are_asked_again_after_the_time_they_name(web, tmp_path):
    web.statuses, waits = [(503, {'Retry-After': '7'}), (429, {'Retry-After': '99999'}), (500, {})], []
    assert get(web, tmp_path, waits) == DATA
    assert waits == [7, 60, 4]


def test_it_gives_up_after_a_bounded_number_of_tries_and_keeps_the_part(web, tmp_path):
    web.cuts = [10_000] + [0] * 50
    with pytest.raises(SerError, match=r'closed after 10000 of 100000 bytes \(6 times.*carries on at 10\.0 kB'):
        get(web, tmp_path)
    assert len(web.requests) == TRIES and names(tmp_path) == ['a.bin.part', 'a.bin.part.json']
    web.cuts.clear()
    assert get(web, tmp_path) == DATA


def test_a_server_without_ranges_that_always_breaks_off_ends_too(web, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'ADVANCE_BYTES', 1000)
    web.ranges, web.cuts = False, [50_000] * 100
    with pytest.raises(SerError, match='closed after 50000 of 100000'):
        get(web, tmp_path)
    assert len(web.requests) <= 2 * TRIES


def test_steady_advance_outlasts_any_number_of_breaks(web, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'ADVANCE_BYTES', 1000)
    web.cuts = [5000] * 19
    assert get(web, tmp_path) == DATA


@pytest.mark.parametrize(('status', 'said'), [(404, 'answers 404 Not Found'), (403, 'answers 403'), (410, '410'),
                                              (204, 'which is no file'), (304, '304')])
def test_a_status_that_does_not_pass_is_refused_at_once(web, tmp_path, status, said):
    web.statuses = [(status, {})]
    with pytest.raises(SerError, match=said):
        get(web, tmp_path)
    assert len(web.requests) == 1 and names(tmp_path) == []


def test_a_web_page_in_place_of_the_file_is_refused(web, tmp_path):
    web.headers = {'Content-Type': 'text/html; charset=utf-8'}
    with pytest.raises(SerError, match='a web page instead of the file. Download it with a browser'):
        get(web, tmp_path)
    assert names(tmp_path) == []


def test_another_size_than_published_is_refused_before_anything_comes(web, tmp_path):
    with pytest.raises(SerError, match='the server has 100000 bytes, 99999 are published. Nothing was downloaded'):
        get(web, tmp_path, size=99_999)
    assert names(tmp_path) == []


def test_a_part_that_is_whole_but_not_of_the_published_size_is_removed(web, tmp_path):
    interrupted(web, tmp_path)
    web.files['/a.bin'] = DATA[:60_000]
    web.statuses = [(416, {'Content-Range': 'bytes */60000'})]
    with pytest.raises(SerError, match='60000 bytes came, 100000 are published'):
        get(web, tmp_path, size=100_000)
    assert names(tmp_path) == []


def test_what_the_check_refuses_gets_no_name(web, tmp_path):
    def verify(path):
        assert path.read_bytes() == DATA
        raise SerError('not the one')

    with pytest.raises(SerError, match='not the one'):
        get(web, tmp_path, verify=verify)
    assert names(tmp_path) == []
    assert fetch(web.url, tmp_path / 'a.bin', verify=lambda path: path.name) == 'a.bin.part'


@pytest.mark.parametrize('url', ['file:///etc/passwd', 'ftp://host/a', 'data:,a', 'a.bin', 'http://', 'HTTPX://h/a'])
def test_other_schemes_are_refused(tmp_path, url):
    with pytest.raises(SerError, match='only http and https'):
        fetch(url, tmp_path / 'a.bin')
    assert names(tmp_path) == []


def test_redirects_are_followed_to_http_only(web, tmp_path):
    web.statuses = [(302, {'Location': web.url})]
    assert get(web, tmp_path) == DATA
    for place in ('file:///etc/passwd', 'ftp://127.0.0.1/a', 'data:,a'):
        web.statuses = [(302, {'Location': place})]
        with pytest.raises(SerError, match='only http and https|302'):
            get(web, tmp_path)


def test_a_redirect_out_of_encryption_is_not_followed():
    request = module.urllib.request.Request('https://host/a')
    with pytest.raises(SerError, match="'http://host/b', which is not encrypted"):
        module._Redirects().redirect_request(request, None, 302, 'Found', {}, 'http://host/b')
    again = module._Redirects().redirect_request(request, None, 302, 'Found', {}, 'https://host/b')
    assert again.full_url == 'https://host/b'


def test_nobody_at_home_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv('no_proxy', '*')
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{unused.getsockname()[1]}/a.bin'
        with pytest.raises(SerError, match='no connection: .*refused'):
            fetch(url, tmp_path / 'a.bin', sleep=lambda seconds: None)
    assert names(tmp_path) == []


def test_silence_is_a_dropped_connection(tmp_path, monkeypatch):
    monkeypatch.setenv('no_proxy', '*')
    with socket.create_server(('127.0.0.1', 0)) as silent, pytest.raises(SerError, match='no connection: timed out'):
        fetch(f'http://127.0.0.1:{silent.getsockname()[1]}/a', tmp_path / 'a.bin', sleep=lambda s: None, timeout=0.02)


def test_a_certificate_that_is_not_valid_is_not_tried_again(tmp_path, monkeypatch):
    class Refusing:
        def open(self, request, timeout):
            error = ssl.SSLCertVerificationError(1, 'certificate verify failed')
            error.verify_message = 'self-signed certificate'
            raise urllib.error.URLError(error)

    monkeypatch.setattr(module, '_opener', Refusing)
    with pytest.raises(SerError, match='certificate of the server is not valid: self-signed certificate'):
        fetch('https://host/a.bin', tmp_path / 'a.bin', sleep=pytest.fail)


def test_a_disk_too_small_is_said_before_the_download(web, tmp_path, monkeypatch):
    usage = collections.namedtuple('usage', 'free')
    monkeypatch.setattr(module.shutil, 'disk_usage', lambda path: usage(30_000))
    with pytest.raises(SerError, match=r'has 30\.0 kB free, the download needs 100\.0 kB'):
        get(web, tmp_path)
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_keeps_what_came(web, tmp_path, monkeypatch):
    class Full:
        """The part's file on a disk with room for 40 000 bytes, which takes 3000 at a time."""

        def __init__(self, file):
            self.file = file

        def write(self, view):
            room = 40_000 - self.file.tell()
            if room <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(view[:min(room, 3000)])

        def __getattr__(self, name):
            return getattr(self.file, name)

    def opened(*args, **options):
        return Full(open(*args, **options))

    monkeypatch.setattr(module, 'open', opened, raising=False)
    with pytest.raises(SerError, match='a.bin.part. cannot be written: No space left on device.*carries on'):
        get(web, tmp_path)
    monkeypatch.undo()
    monkeypatch.setenv('no_proxy', '*')
    assert (tmp_path / 'a.bin.part').read_bytes() == DATA[:40_000]
    assert json.loads((tmp_path / 'a.bin.part.json').read_text())['total'] == len(DATA)
    assert get(web, tmp_path) == DATA


def test_a_folder_that_cannot_be_written_is_one_line(web, tmp_path):
    with pytest.raises(SerError, match=r"a\.bin\.part' cannot be written: No such file"):
        get(web, tmp_path / 'none')
