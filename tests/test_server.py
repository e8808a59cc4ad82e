"""The process: sockets that cannot be had, an end in order, and one that is bounded."""

import contextlib
import http.client
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
import urllib.request

import pytest

from ser.errors import SerError
from ser.serving.server import Connection, listen, serve, url_of
from tests.served import StandIn, clip, listening, service

BOUNDARY = 'xyz'
BODY = (b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + clip() + b'\r\n--xyz--\r\n')


def post(port, body=BODY, path='/predict'):
    """(status, body) of one request."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    with contextlib.closing(connection):
        connection.request('POST', path, body, {'Content-Type': f'multipart/form-data; boundary={BOUNDARY}'})
        answer = connection.getresponse()
        return answer.status, answer.read()


def whole(connection):
    """The bytes of an answer in JSON from a raw connection."""
    said = b''
    while not said.endswith(b'}\n') and (part := connection.recv(65536)):
        said += part
    return said


def test_a_port_that_is_taken_is_refused_in_one_line():
    with listen('127.0.0.1', 0) as first:
        port = first.getsockname()[1]
        assert url_of(first, '127.0.0.1') == f'http://127.0.0.1:{port}/'
        assert url_of(first, '::1') == f'http://[::1]:{port}/'
        with pytest.raises(SerError, match=f'--port {port}: cannot listen on 127.0.0.1 .another program') as error:
            listen('127.0.0.1', port)
        assert '\n' not in str(error.value)


def test_addresses_that_cannot_be_had():
    with pytest.raises(SerError, match='--port 99999: 0 to 65535'):
        listen('127.0.0.1', 99999)
    with pytest.raises(SerError, match='--host no.such.host.invalid: no such address'):
        listen('no.such.host.invalid', 0)
    with pytest.raises(SerError, match='--port 0: cannot listen on 203.0.113.9'):
        listen('203.0.113.9', 0)


def serving(folder, listener, seconds, limits):
    """What the server's process does: a stand-in that hears a clip for so many seconds; its log goes to a file."""
    class Slow(StandIn):
        def values(self, clips):
            time.sleep(seconds)
            return super().values(clips)

    logger = logging.getLogger('ser')
    logger.handlers[:] = [logging.FileHandler(folder / 'log')]
    logger.setLevel(logging.INFO)
    with service(folder, Slow(), **limits) as made:
        serve(made, listener, '127.0.0.1')


@pytest.fixture
def start(tmp_path):
    """A function that starts a server of its own process: (process, port)."""
    started = []

    def starting(seconds=0.0, **limits):
        with listen('127.0.0.1', 0) as listener:
            port = listener.getsockname()[1]
            process = multiprocessing.get_context('fork').Process(
                target=serving, args=(tmp_path, listener, seconds, limits))
            process.start()
        started.append(process)
        return process, port

    yield starting
    for process in started:
        process.kill()
        process.join()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_when_what_was_begun_is_answered(start, tmp_path, number):
    process, port = start(seconds=0.5)
    assert post(port)[0] == 200
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(post(port))) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    os.kill(process.pid, number)
    for thread in threads:
        thread.join(20)
    process.join(10)
    assert process.exitcode == 0 and [status for status, _ in answers] == [200] * 3
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(('127.0.0.1', port), timeout=2)
    log = (tmp_path / 'log').read_text()
    assert f'http://127.0.0.1:{port}/ serves {tmp_path.name} (standin). Not tested. A request: ' in log
    assert 'stopped: 4 requests, 4 answered, 4 clips heard' in log


def test_what_does_not_end_is_ended(start):
    process, port = start(timeout_seconds=0.5)
    assert post(port)[0] == 200
    with socket.create_connection(('127.0.0.1', port), timeout=10) as slow:
        slow.sendall(b'POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n'
                     b'Content-Type: multipart/form-data; boundary=xyz\r\n\r\n--xyz')
        os.kill(process.pid, signal.SIGTERM)
        process.join(8)
        assert process.exitcode == 0


def test_a_stuck_model_does_not_keep_the_process(start):
    process, port = start(seconds=120, timeout_seconds=60)
    answers = []
    threads = [threading.Thread(target=lambda path=path: answers.append(post(port, path=path)))
               for path in ('/predict', '/predict', '/timeline', '/explain')]
    for thread in threads:
        thread.start()
    metrics = ''
    while 'ser_requests_in_progress 4' not in metrics:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=10) as page:
            metrics = page.read().decode()
    started = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    for thread in threads:
        thread.join(20)
    process.join(20)
    assert process.exitcode == 0 and time.monotonic() - started < 12
    assert answers == [(503, b'{"error":"the server is stopping"}\n')] * 4


def test_connections_too_many_and_what_is_no_http_are_refused_in_json(tmp_path, monkeypatch):
    monkeypatch.setattr('ser.serving.server._MOST_CONNECTIONS', 2)
    with service(tmp_path, queue=1) as made, listening(made) as address, contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(4)]
        for connection in held:
            connection.sendall(b'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')
        said = [whole(connection) for connection in held]
        assert sorted(answer[:12] for answer in said) == [b'HTTP/1.1 200'] * 3 + [b'HTTP/1.1 503']
        refused, = (answer for answer in said if b'503' in answer[:12])
        assert refused.endswith(b'{"error": "all connections of the server are taken. Try again in 5 s"}\n')
        assert b'retry-after: 5' in refused and b'connection: close' in refused
        answered = held[[b'200' in answer[:12] for answer in said].index(True)]
        answered.sendall(b'nothing of the kind\r\n\r\n')
        said = whole(answered)
        assert said.startswith(b'HTTP/1.1 400 Bad Request\r\ncontent-type: application/json')
        assert said.endswith(b'{"error": "this is no valid HTTP request"}\n')


def test_hostile_requests_leave_it_running(start):
    process, port = start()
    for hostile in (b'\x00\xff\x16\x03\x01', b'GET / HTTP/9.9\r\n\r\n', b'GET /' + b'a' * 70000,
                    b'POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n',
                    b'POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
                    b'GET / HTTP/1.1\r\nHost: localhost\r\n' + b'X-A: b\r\n' * 9000):
        with socket.create_connection(('127.0.0.1', port), timeout=10) as connection:
            try:
                connection.sendall(hostile)
                assert connection.recv(100).startswith(b'HTTP/1.1 4')
            except ConnectionError:
                pass
    assert post(port)[0] == 200 and process.is_alive()


def test_who_never_reads_does_not_keep_a_connection(tmp_path, monkeypatch):
    monkeypatch.setattr('ser.serving.server.PATIENCE_SECONDS', 0.2)
    with service(tmp_path) as made, listening(made) as address, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(address)
        asked = 1500
        connection.sendall(b'GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n' * asked)
        answered, started = -1, time.monotonic()
        while made.metrics.requests['/openapi.json', 200] > answered or not answered:
            assert time.monotonic() - started < 20
            answered = made.metrics.requests['/openapi.json', 200]
            time.sleep(1.5)
        # What the system holds may still be read, and then there is nobody: what was left has been forgotten.
        until = time.monotonic() + 5
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(1 << 20):
                assert time.monotonic() < until, 'it is still being answered'
        assert made.metrics.requests['/openapi.json', 200] == answered < asked


def test_who_reads_slowly_does_not_keep_a_connection(tmp_path, monkeypatch):
    def with_small_buffer(connection, transport):
        transport.get_extra_info('socket').setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        made_before(connection, transport)

    made_before = Connection.connection_made
    monkeypatch.setattr(Connection, 'connection_made', with_small_buffer)
    monkeypatch.setattr('ser.serving.server.PATIENCE_SECONDS', 0.2)
    with service(tmp_path, timeout_seconds=1.5) as made, listening(made) as address, socket.socket() as connection:
        made.facts['notes'] = ['x' * 1000] * 8000
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(address)
        connection.sendall(b'GET /model HTTP/1.1\r\nHost: localhost\r\n\r\n')
        read = [len(connection.recv(4096))]
        started = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            # Something is taken all the time.
            while read[-1] and time.monotonic() - started < 20:
                read.append(len(connection.recv(2048)))
                time.sleep(0.01)
        assert 1.2 < time.monotonic() - started < 10 and 50_000 < sum(read) < 4_000_000


def test_headers_that_never_end_do_not_keep_a_connection(tmp_path, monkeypatch):
    monkeypatch.setattr('ser.serving.server.PATIENCE_SECONDS', 0.2)
    with service(tmp_path) as made, listening(made) as address:
        whole = b'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'
        for begun, answers in ((b'', b''), (b'GET / HTTP/1.1\r\nHost: loc', b''), (whole + b'GET', b'HTTP/1.1 200')):
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(begun)
                said = b''
                while part := connection.recv(65536):
                    said += part
                assert said[:12] == answers
        # A request that takes longer than that is no idle connection.
        made.predictor.gate.clear()
        threading.Timer(0.8, made.predictor.gate.set).start()
        assert post(address[1])[0] == 200
