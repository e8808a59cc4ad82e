"""A web server of shards for tests: HEAD, GET with ranges or without, faults on demand, every byte sent counted."""

import contextlib
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Store:
    """What the server holds and does to requests of bytes.

    files: path -> bytes. ranges: whether Range is honoured. faults: taken by the next requests for a *.tar, in turn:
    503 and the like, ('cut', n), ('slow', seconds, n) after n bytes, ('wrong',) bytes, None for none. sent: path ->
    bytes of bodies. delay: seconds before each answer.
    """

    def __init__(self):
        self.files, self.ranges, self.faults, self.sent, self.delay = {}, True, [], Counter(), 0.0
        self.requests = []
        self.lock = threading.Lock()

    def put(self, folder, prefix='/set/'):
        """Serve the files of a local folder."""
        for path in folder.iterdir():
            if path.is_file():
                self.files[prefix + path.name] = path.read_bytes()

    def tar_bytes(self):
        """Bytes of tars sent so far."""
        return sum(count for path, count in self.sent.items() if path.endswith('.tar'))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(False)

    def do_GET(self):
        self._answer(True)

    def _answer(self, wanted):
        store = self.server.store
        with store.lock:
            store.requests.append((self.command, self.path, self.headers.get('Range')))
            fault = store.faults.pop(0) if wanted and store.faults and self.path.endswith('.tar') else None
        time.sleep(store.delay)
        data = store.files.get(self.path)
        if isinstance(fault, int) or data is None:
            self._send(fault if isinstance(fault, int) else 404, {}, b'', wanted)
            return
        if fault == ('wrong',):
            data = bytes([data[0] ^ 1]) + data[1:]
        asked = re.fullmatch(r'bytes=(\d+)-(\d*)', self.headers.get('Range', ''))
        if asked and store.ranges:
            start, end = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
            self._send(206, {'Content-Range': f'bytes {start}-{end}/{len(data)}'}, data[start:end + 1], wanted, fault)
        else:
            self._send(200, {'ETag': '"one"'}, data, wanted, fault)

    def _send(self, status, headers, body, wanted, fault=None):
        self.close_connection = True
        self.send_response(status)
        headers = {**headers, 'Content-Length': str(len(body)), 'Connection': 'close'}
        if self.server.store.ranges:
            headers['Accept-Ranges'] = 'bytes'
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not wanted:
            return
        with contextlib.suppress(OSError):
            if fault and fault[0] == 'cut':
                body = body[:fault[1]]
            elif fault and fault[0] == 'slow':
                self.wfile.write(body[:fault[2]])
                time.sleep(fault[1])
                return
            with self.server.store.lock:
                self.server.store.sent[self.path] += len(body)
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass


@contextlib.contextmanager
def serving():
    """(Store, address without the last slash) of a server that stops with the block."""
    server = _Server(('127.0.0.1', 0), _Handler)
    server.store = Store()
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
    thread.start()
    try:
        yield server.store, f'http://127.0.0.1:{server.server_address[1]}'
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
