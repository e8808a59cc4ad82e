"""The process: a socket that is taken before the model is loaded, uvicorn, and an end that keeps its promises."""

import contextlib
import errno
import logging
import os
import signal
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ser.errors import SerError
from ser.serving.app import build_app
from ser.serving.limits import is_loopback

LOG = logging.getLogger('ser.serving')
_MOST_CONNECTIONS = 512
_HEADER_BYTES = 16 << 10
_IDLE_SECONDS = 5
PATIENCE_SECONDS = 10.0
"""How long a connection may take to bring the headers of a request, or to take more of an answer; up to twice that."""


def listen(host, port):
    """A listening socket. port: 0 takes any that is free. Raises SerError where it cannot be had."""
    if not 0 <= port <= 65535:
        raise SerError(f'--port {port}: 0 to 65535 are allowed; 0 takes any that is free')
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip('[]'), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError):
        raise SerError(f'--host {host}: no such address. Use 127.0.0.1 for this machine alone') from None
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name != 'nt':
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_MOST_CONNECTIONS)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        reason = 'another program listens there already' if taken else error.strerror or error
        raise SerError(f'--port {port}: cannot listen on {host} ({reason}). Choose another --port; 0 takes any that '
                       'is free') from None
    return listener


def url_of(listener, host):
    """The address to open in a browser."""
    name = f'[{host.strip("[]")}]' if ':' in host else host
    return f'http://{name}:{listener.getsockname()[1]}/'


def serve(service, listener, host, token=None, access_log=False):
    """Answer requests on a listening socket until SIGINT or SIGTERM; what was begun is finished, within the time that
    a request may take, and the service is closed."""
    limits = service.limits
    for name in ('uvicorn', 'python_multipart'):
        # Their warnings are of what strangers send.
        logging.getLogger(name).setLevel(logging.ERROR)
    server = Server(settings(build_app(service, host, token, access_log), limits), service)
    facts = service.facts
    LOG.info('%s serves %s (%s). %s. A request: %s bytes, %g s of audio, %g s to wait; %s at once, batches of %s',
             url_of(listener, host), facts['name'], facts['system'], facts['score'] or 'Not tested', limits.max_bytes,
             limits.max_seconds, limits.timeout_seconds, limits.queue, limits.max_batch)
    if not is_loopback(host):
        LOG.warning('plain HTTP: whoever listens in on the network reads the token and the recordings; put a server '
                    'that speaks TLS in front')
    try:
        server.run(sockets=[listener])
    finally:
        service.close()
    requests, answered, clips = service.metrics.counts()
    LOG.info('stopped: %s requests, %s answered, %s clips heard', requests, answered, clips)


def settings(app, limits):
    """The uvicorn.Config of an ASGI application within Limits."""
    return uvicorn.Config(
        app, http=Connection, ws='none', loop='asyncio', lifespan='off', log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=int(limits.timeout_seconds) + 1,
        limit_concurrency=limits.queue + _MOST_CONNECTIONS, h11_max_incomplete_event_size=_HEADER_BYTES)


class Connection(H11Protocol):
    """uvicorn's, which would wait for ever for the rest of a request's headers, and for who does not read its answer,
    until no connection is left."""

    _last, _left = None, 0

    def connection_made(self, transport):
        """A client has come."""
        super().connection_made(transport)
        self.loop.call_later(PATIENCE_SECONDS, self._look)

    def _look(self):
        idle, left = self.cycle is None or self.cycle.response_complete, self.transport.get_write_buffer_size()
        if left and left == self._left:
            # Nobody takes the answer: closing would wait until somebody does.
            self.transport.abort()
            return
        if idle and self.cycle is self._last:
            self.transport.close()
        if left or not self.transport.is_closing():
            self._last, self._left = self.cycle, left
            self.loop.call_later(PATIENCE_SECONDS, self._look)


class Server(uvicorn.Server):
    """Ends by itself after SIGINT or SIGTERM, with no signal left for the process to die of."""

    def __init__(self, config, service):
        super().__init__(config)
        self._service = service

    @contextlib.contextmanager
    def capture_signals(self):
        """Handle signals while the server runs. Raises ValueError outside the main thread, as signal.signal does."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig, frame):
        """A first signal ends in order, a second one at once."""
        self._service.stopping = True
        self.force_exit = self.should_exit
        self.should_exit = True
