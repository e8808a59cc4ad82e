"""The door: which requests may come in at all, and what every answer says to browsers. Plain ASGI, before any route."""

import hmac
import logging
import time
from urllib.parse import urlsplit

from ser.serving.limits import is_loopback
from ser.serving.refusal import Refusal, as_json, unavailable

LOG = logging.getLogger('ser.serving')
OPEN = ('/', '/health', '/openapi.json')
"""Answered without a token, as is what lies under STATIC: the page asks for it, and its link to the schema has none."""
STATIC = '/static/'
HEADERS = {
    'content-security-policy': "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
                               "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(self)', 'cache-control': 'no-store'}
CLIENT_LEFT = 499
"""Counted, never sent: the client hung up before its answer."""
CROWDED = 'crowded'
"""In the state of a scope: its connection is one too many."""
_JSON = (b'content-type', b'application/json')


class Guard:
    """ASGI middleware: Host, origin, token, encoding; counts and times every request.

    A page of another site must reach the server neither under a name of its own that it lets point here (Host header
    of a server on loopback) nor by a form that it sends here (Origin and Sec-Fetch-Site of what changes anything).
    """

    def __init__(self, app, metrics, routes, host='127.0.0.1', token=None, access_log=False):
        """routes: paths that are counted under their own name. host: what the server listens on."""
        self.app, self.metrics, self.routes = app, metrics, routes
        self.host, self.token, self.access_log = host, token, access_log

    async def __call__(self, scope, receive, send):
        if scope['type'] != 'http':
            raise RuntimeError(f"no {scope['type']} here")
        started, status = time.monotonic(), CLIENT_LEFT
        send = _ending_lines(send)

        async def sending(message):
            nonlocal status
            if message['type'] == 'http.response.start':
                status = message['status']
                message = {**message, 'headers': _with_defaults(message.get('headers', []))}
            await send(message)

        try:
            try:
                self.check(scope)
            except Refusal as refusal:
                await send_refusal(refusal, sending)
            else:
                await self.app(scope, receive, sending)
        finally:
            seconds = time.monotonic() - started
            self.metrics.request(self._route(scope['path']), status, seconds)
            if self.access_log:
                LOG.info('%s %s %s %.0f ms', scope['method'], self._route(scope['path']), status, 1000 * seconds)

    def check(self, scope):
        """Raise the Refusal of a request that may not come in."""
        if CROWDED in scope.get('state', ()):
            raise unavailable('all connections of the server are taken. Try again in 5 s')
        headers = {}
        for name, value in scope['headers']:
            # Two of a kind would let each reader believe another one.
            if name in headers and name in (b'host', b'origin', b'authorization', b'content-type', b'content-length'):
                raise Refusal(422, f'the request has several {name.decode("latin-1")} headers')
            headers[name] = value
        self._check_host(headers.get(b'host', b''))
        if scope['method'] not in ('GET', 'HEAD'):
            _check_origin(headers)
        if self.token is not None and scope['path'] not in OPEN and not scope['path'].startswith(STATIC):
            self._check_token(headers.get(b'authorization', b''))
        if headers.get(b'content-encoding', b'identity').strip().lower() != b'identity':
            raise Refusal(422, 'the body is compressed; send it as it is. FLAC, OGG and MP3 files are small already')

    def _check_host(self, host):
        if is_loopback(self.host) and not is_loopback(name := _host_name(host)):
            raise Refusal(403, f'this server is for this machine alone; it does not answer as {name[:100]!r}')

    def _check_token(self, given):
        kind, _, token = given.partition(b' ')
        wanted = self.token.encode()
        if kind.lower() != b'bearer' or not hmac.compare_digest(token.strip(), wanted):
            raise Refusal(401, 'a token is needed: the one that the server was started with, in the header '
                               "'Authorization: Bearer TOKEN'", {'WWW-Authenticate': 'Bearer'})

    def _route(self, path):
        if path in self.routes:
            return path
        return STATIC if path.startswith(STATIC) else 'other'


def _host_name(host):
    """The name in a Host header, without its port; '' for what is none."""
    try:
        return urlsplit(f'//{host.decode("ascii")}').hostname or ''
    except (UnicodeDecodeError, ValueError):
        return ''


def _check_origin(headers):
    origin, site = headers.get(b'origin'), headers.get(b'sec-fetch-site', b'none')
    same = origin is None or origin.partition(b'://')[2].lower() == headers.get(b'host', b'').lower()
    if not same or site not in (b'none', b'same-origin'):
        raise Refusal(403, "a page of another site may not send recordings here. Use this server's own page, or a "
                           'program')


def _with_defaults(headers):
    given = {name.lower() for name, _ in headers}
    return [*headers, *((name.encode(), value.encode()) for name, value in HEADERS.items()
                        if name.encode() not in given)]


def _ending_lines(send):
    """An ASGI `send` that ends JSON with a newline, for those who read it on a terminal."""
    adds = False

    async def sending(message):
        nonlocal adds
        if message['type'] == 'http.response.start':
            adds = _JSON in message['headers']
            message = {**message, 'headers': [
                (name, b'%d' % (int(value) + 1) if adds and name == b'content-length' else value)
                for name, value in message['headers']]}
        elif adds and not message.get('more_body'):
            message = {**message, 'body': message.get('body', b'') + b'\n'}
        await send(message)

    return sending


async def send_refusal(refusal, send):
    """Send a Refusal as JSON through an ASGI `send`."""
    body = as_json(refusal.sentence)
    headers = {'content-type': 'application/json', 'content-length': str(len(body)), **refusal.headers}
    await send({'type': 'http.response.start', 'status': refusal.status,
                'headers': [(name.lower().encode(), value.encode()) for name, value in headers.items()]})
    await send({'type': 'http.response.body', 'body': body})
