"""The process: a socket that is taken before the model is loaded, uvicorn, and an end that keeps its promises."""

import contextlib
import errno
import logging
import os
import signal
import socket
from functools import partial

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ser.errors import SerError
from ser.serving.app import build_app
from ser.serving.guard import CROWDED
from ser.serving.intake import DRAIN_SECONDS
from ser.serving.limits import is_loopback, size_words
from ser.serving.refusal import as_json

LOG = logging.getLogger('ser.serving')
_MOST_CONNECTIONS = 512
_HEADER_BYTES = 16 << 10
_IDLE_SECONDS = 5
PATIENCE_SECONDS = 10.0
"""How long a connection may take to bring the headers of a request, or to take more of an answer; up to twice that."""
CLOSING_SECONDS = 4.0
"""How long what was begun may take when the server is to end."""


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
    """Answer requests on a listening socket until SIGINT or SIGTERM. What was begun by then has CLOSING_SECONDS to be
    answered; what takes longer is refused with 503."""
    limits = service.limits
    for name in ('uvicorn', 'python_multipart'):
        # Their warnings are of what strangers send.
        logging.getLogger(name).setLevel(logging.ERROR)
    server = Server(settings(build_app(service, host, token, access_log), limits), service)
    facts = service.facts
    LOG.info('%s serves %s (%s). %s. A request: %s, %g s of audio, %g s to wait; %s at once, batches of %s',
             url_of(listener, host), facts['name'], facts['system'], facts['score'] or 'Not tested',
             size_words(limits.max_bytes), limits.max_seconds, limits.timeout_seconds, limits.queue, limits.max_batch)
    if not is_loopback(host):
        LOG.warning('plain HTTP: whoever listens in on the network reads the token and the recordings; put a server '
                    'that speaks TLS in front')
    server.run(sockets=[listener])
    requests, answered, clips = service.metrics.counts()
    LOG.info('stopped: %s requests, %s answered, %s clips heard', requests, answered, clips)


def settings(app, limits):
    """The uvicorn.Config of an ASGI application within Limits."""
    http = partial(Connection, most=limits.queue + _MOST_CONNECTIONS, answer_seconds=limits.timeout_seconds)
    return uvicorn.Config(
        app, http=http, ws='none', loop='asyncio', lifespan='off', log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=int(CLOSING_SECONDS + DRAIN_SECONDS) + 1,
        h11_max_incomplete_event_size=_HEADER_BYTES)


class Connection(H11Protocol):
    """uvicorn's, which would wait for ever for the rest of a request's headers, and for who does not read its answer or
    reads it byte by byte, until no connection is left; and whose own refusals are no JSON."""

    _last, _left, _since = None, 0, 0.0

    def __init__(self, *arguments, most, answer_seconds, **options):
        """most: connections at once. answer_seconds: in which a client must take what was answered; up to
        PATIENCE_SECONDS more."""
        super().__init__(*arguments, **options)
        self._most, self._answer_seconds = most, answer_seconds

    def connection_made(self, transport):
        """A client has come."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self.app_state = {**self.app_state, CROWDED: True}
        self.loop.call_later(PATIENCE_SECONDS, self._look)

    def send_400_response(self, msg):
        """Refuse what is no HTTP."""
        body = as_json('this is no valid HTTP request') + b'\n'
        response = h11.Response(status_code=400, reason=b'Bad Request', headers=[
            (b'content-type', b'application/json'), (b'content-length', b'%d' % len(body)), (b'connection', b'close')])
        # In the middle of an answer there is nothing left to say.
        with contextlib.suppress(h11.LocalProtocolError):
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self.transport.close()

    def _look(self):
        idle, left = self.cycle is None or self.cycle.response_complete, self.transport.get_write_buffer_size()
        now = self.loop.time()
        self._since = self._since or now if left else 0.0
        if left and (left == self._left or now - self._since > self._answer_seconds):
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

    async def shutdown(self, sockets=None):
        """Take no more connections, and leave what was begun a little time."""
        self._service.end_within(min(CLOSING_SECONDS, self._service.limits.timeout_seconds))
        await super().shutdown(sockets)

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
