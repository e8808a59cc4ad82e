"""The whole way from a bucket: a local S3 server that answers as one does, with faults where a test asks for them."""

import contextlib
import threading

import pytest

from ser.errors import SerError
from ser.shards import remote
from ser.shards.index import build_index
from ser.shards.remote_prefetch import SPARE_SHARDS
from tests.remote_sets import build_set, data_of, epochs_of, gb_of, held, total

pytest.importorskip('s3fs')
moto_server = pytest.importorskip('moto.server')
serving = pytest.importorskip('werkzeug.serving')
WINDOW = 2


class Faulty:
    """A WSGI application with faults for requests of tars, taken in turn: a status, ('cut', n) bytes, None for none."""

    def __init__(self, application):
        self.application, self.faults, self.sent, self.lock = application, [], 0, threading.Lock()

    def __call__(self, environment, start):
        wanted = environment['REQUEST_METHOD'] == 'GET' and environment['PATH_INFO'].endswith('.tar')
        with self.lock:
            fault = self.faults.pop(0) if wanted and self.faults else None
        if isinstance(fault, int):
            start(f'{fault} Fault', [('Content-Length', '0')])
            return [b'']
        body = b''.join(self.application(environment, start))
        if fault:
            body = body[:fault[1]]
        if wanted:
            with self.lock:
                self.sent += len(body)
        return [body]


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    return build_set(tmp_path_factory.mktemp('built'))


@contextlib.contextmanager
def server():
    application = Faulty(moto_server.DomainDispatcherApplication(moto_server.create_backend_app))
    running = serving.make_server('127.0.0.1', 0, application, threaded=True)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield application, f'http://127.0.0.1:{running.server_port}'
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


@pytest.fixture
def bucket(built, tmp_path, monkeypatch):
    from s3fs import S3FileSystem

    # Another server, on another port, for the same arguments.
    S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(remote, 'BACK_OFF_SECONDS', 0.01)
    monkeypatch.setattr(remote, 'RANGE_BYTES', 30_000)
    for name, value in {'XDG_CACHE_HOME': str(tmp_path / 'home'), 'AWS_ACCESS_KEY_ID': 'a-key',
                        'AWS_SECRET_ACCESS_KEY': 'a-secret', 'AWS_DEFAULT_REGION': 'us-east-1'}.items():
        monkeypatch.setenv(name, value)
    with server() as (application, address):
        monkeypatch.setenv('AWS_ENDPOINT_URL', address)
        system = S3FileSystem(skip_instance_cache=True)
        # The server's buckets outlive it.
        system.makedirs('bucket', exist_ok=True)
        for path in built.iterdir():
            if path.is_file():
                system.pipe_file(f'bucket/set/{path.name}', path.read_bytes())
        yield application, system


@pytest.mark.parametrize('workers', [0, pytest.param(2, marks=pytest.mark.slow)])
def test_an_epoch_from_a_bucket_is_the_local_one_under_faults(bucket, built, tmp_path, workers):
    application, _ = bucket
    local = data_of(built, shuffle_window_shards=WINDOW)
    index = build_index(local)
    data = data_of('s3://bucket/set/', tmp_path / 'cache', shuffle_window_shards=WINDOW, prefetch=1,
                   cache_gb=gb_of(index, 2 * WINDOW + SPARE_SHARDS))
    assert build_index(data).digest == index.digest and application.sent == 0
    application.faults = [503, None, ('cut', 10_000), None, 500, ('cut', 0), None, 503]
    sizes = []
    found = epochs_of(data, workers, watch=lambda: sizes.append(held(tmp_path / 'cache')))
    assert found == epochs_of(local) and not application.faults
    # A range that was cut is asked for again, whole.
    assert application.sent <= 1.05 * 2 * total(index) + 20_000 and max(sizes) <= round(data.cache_gb * 1e9)


@pytest.mark.slow
def test_a_bucket_lists_its_tars_and_a_scan_is_priced(bucket, built, tmp_path):
    application, system = bucket
    index = build_index(data_of(built))
    assert len(build_index(data_of('s3://bucket/set/csv-0000[0-4].tar', tmp_path / 'cache')).shards) == 5
    system.rm(['bucket/set/shards.json'])
    for pattern in ('s3://bucket/set/', 's3://bucket/set/*.tar'):
        with pytest.raises(SerError, match='12 shards; without it all of .* kB must be downloaded'):
            build_index(data_of(pattern, tmp_path / 'cache'))
    assert application.sent == 0
    far = build_index(data_of('s3://bucket/set/', tmp_path / 'cache', scan_remote=True))
    assert far.digest == index.digest and application.sent == total(index)
    with pytest.raises(SerError, match='no such shards'):
        build_index(data_of('s3://bucket/none/', tmp_path / 'cache'))


@pytest.mark.slow
def test_refused_credentials_are_told_without_them(bucket, tmp_path):
    application, _ = bucket
    data = data_of('s3://bucket/set/', tmp_path / 'cache')
    index = build_index(data)
    application.faults = [403] * 10
    with pytest.raises(SerError, match=r's3://bucket/set/csv-\d+.tar: access is refused') as error:
        epochs_of(data.model_copy(update={'cache_gb': 1.0}), index=index)
    assert 'a-secret' not in str(error.value) and 'a-key' not in str(error.value)
