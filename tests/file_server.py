"""A small web server for tests of downloads: it serves bytes, honours Range or not, and breaks off when told to."""

import contextlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """What the server does. `files` maps a path to bytes; the lists are filled and emptied as requests come."""

    def __init__(self):
        self.files = {}
        self.ranges = True
        self.if_range = True
        self.etag = '"one"'
        self.last_modified = None
        self.length = True
        self.headers = {}
        # Requests answered by a status of their own, in turn: (status, headers).
        self.statuses = []
        # How many bytes of the body each request sends before the connection breaks, in turn; then all of it.
        self.cuts = []
        self.requests = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_GET(self):
        site = self.server.site
        site.requests.append(dict(self.headers))
        if site.statuses:
            self.answer(*site.statuses.pop(0), b'')
        elif self.path not in site.files:
            self.answer(404, {}, b'nothing here')
        else:
            self.serve(site, site.files[self.path])

    def serve(self, site, data):
        headers = {'ETag': site.etag, 'Last-Modified': site.last_modified, **site.headers}
        headers = {name: value for name, value in headers.items() if value}
        wanted = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        condition = self.headers.get('If-Range')
        held = condition in (None, site.etag, site.last_modified) or not site.if_range
        if wanted and site.ranges and held:
            start = int(wanted[1])
            if start >= len(data):
                self.answer(416, {'Content-Range': f'bytes */{len(data)}', **headers}, b'')
                return
            headers['Content-Range'] = f'bytes {start}-{len(data) - 1}/{len(data)}'
            self.answer(206, headers, data[start:], site)
        else:
            self.answer(200, headers, data, site)

    def answer(self, status, headers, body, site=None):
        self.close_connection = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if site is None or site.length:
            self.send_header('Content-Length', str(len(body)))
        self.send_header('Connection', 'close')
        self.end_headers()
        if site is not None and site.cuts:
            body = body[:site.cuts.pop(0)]
        with contextlib.suppress(OSError):
            self.wfile.write(body)


@contextlib.contextmanager
def serving():
    """(Site, address without the last slash) of a server that stops with the block."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.site = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
    thread.start()
    try:
        yield server.site, f'http://127.0.0.1:{server.server_address[1]}'
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
