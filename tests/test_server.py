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

import pytest

from ser.errors import SerError
from ser.serving.server import listen, serve, url_of
from tests.served import StandIn, clip, listening, service

BOUNDARY = 'xyz'
BODY = (b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + clip() + b'\r\n--xyz--\r\n')


def post(port, body=BODY):
    """(status, body) of one request to /predict."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    with contextlib.closing(connection):
        connection.request('POST', '/predict', body, {'Content-Type': f'multipart/form-data; boundary={BOUNDARY}'})
        answer = connection.getresponse()
        return answer.status, answer.read()


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
    os._exit(0)


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
