"""What the port says before the model is there: 503, so that nobody waits in vain or takes the server for ready."""

import contextlib
import socket
import threading
import time

from ser.serving.refusal import as_json

STATE = 'loading'
_SENTENCE = 'the model is being loaded. Try again in 2 s'
# How often the end of the loading is looked for, and how long a client may take to ask and to be told.
_LOOK_SECONDS, _CLIENT_SECONDS = 0.1, 0.5


@contextlib.contextmanager
def told_to_wait(listener):
    """Answer 503 to every request on a listening socket, one after the other, until the block ends."""
    loaded = threading.Event()
    listener.settimeout(_LOOK_SECONDS)
    thread = threading.Thread(target=_refuse, args=(listener, loaded), name='loading', daemon=True)
    thread.start()
    try:
        yield
    finally:
        loaded.set()
        thread.join()
        listener.settimeout(None)


def _refuse(listener, loaded):
    while not loaded.is_set():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                _tell(connection)


def _tell(connection):
    body = as_json(_SENTENCE, status=STATE) + b'\n'
    connection.settimeout(_CLIENT_SECONDS)
    connection.recv(1 << 16)
    connection.sendall(b'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 2\r\n'
                       b'Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
    connection.shutdown(socket.SHUT_WR)
    # What is still on its way would, unread, take the answer away from its client.
    until = time.monotonic() + _CLIENT_SECONDS
    while connection.recv(1 << 16) and time.monotonic() < until:
        pass
