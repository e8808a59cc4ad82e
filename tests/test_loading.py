"""The port before the model is there: an answer at once, whatever comes, and none once the block has ended."""

import http.client
import socket
import threading
import time

import pytest

from ser.serving.loading import told_to_wait
from ser.serving.server import listen

WORDS = b'{"status": "loading", "error": "the model is being loaded. Try again in 2 s"}\n'


def asked(port, method, path, body=None):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.headers['content-type'], answer.headers['retry-after'], answer.read()


def test_who_asks_early_is_told_to_come_again():
    with listen('127.0.0.1', 0) as listener:
        port = listener.getsockname()[1]
        # Who says nothing does not keep the others waiting for long.
        with told_to_wait(listener), socket.create_connection(('127.0.0.1', port), timeout=10):
            for request in (('GET', '/health'), ('POST', '/predict', bytes(300_000))):
                assert asked(port, *request) == (503, 'application/json', '2', WORDS)
        # Whoever comes now is the server's.
        assert listener.gettimeout() is None and not any(t.name == 'loading' for t in threading.enumerate())
        with socket.create_connection(('127.0.0.1', port), timeout=10) as client:
            client.sendall(b'GET / HTTP/1.1\r\n\r\n')
            served, _ = listener.accept()
            served.close()


def test_a_failure_to_load_ends_it_too():
    with listen('127.0.0.1', 0) as listener:
        started = time.monotonic()
        with pytest.raises(ZeroDivisionError), told_to_wait(listener):
            raise ZeroDivisionError
        assert time.monotonic() - started < 5
