"""Load on a running server: `python -m ser.serving.load URL FILE...` prints clips/s and latency for numbers of clients.

Each client sends one file after the other to /predict on its own connection, as soon as the last one is answered.
Every request must end in an answer: 200, or 429 where the server is full; anything else is counted as lost.
"""

import asyncio
import json
import os
import re
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ser.command import SOME_BAD, Parser, run_command
from ser.errors import SerError

HEADER = ('clients', 'clips/s', 'p50 ms', 'p99 ms', 'answered', 'refused', 'lost', 'clips a batch', 'memory MiB')
_GIVE_UP_SECONDS = 300.0
_BACK_OFF_SECONDS = 0.1
_METRIC = r'^{}(?:{{[^}}]*}})? ([0-9.e+]+)$'


def parser():
    """The command line of the load generator."""
    p = Parser(prog='python -m ser.serving.load', description=__doc__)
    p.add_argument('url', metavar='URL', help='where the server is, such as http://127.0.0.1:8000')
    p.add_argument('files', nargs='+', metavar='FILE', help='audio files, sent in turn')
    p.add_argument('--clients', type=int, nargs='+', default=[1, 8, 64], metavar='N', help='default: 1 8 64')
    p.add_argument('--seconds', type=float, default=20.0, metavar='S', help='for each number (default: 20)')
    p.add_argument('--token', metavar='TOKEN', help='of the server (default: SER_TOKEN, if set)')
    p.add_argument('--json', action='store_true', help='a JSON object a line instead of a table')
    return p


def main(argv=None):
    """Run the command; returns the exit code, 1 where a request was lost."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    target = target_of(args.url, args.files, args.token or os.environ.get('SER_TOKEN'))
    if not args.json:
        print(_line(HEADER), flush=True)
    lost = 0
    for clients in args.clients:
        load = asyncio.run(measure(target, clients, args.seconds))
        lost += load.lost
        row = load.row()
        print(json.dumps(dict(zip(HEADER, row, strict=True))) if args.json else _line(row), flush=True)
        for what, count in load.failures.most_common(3):
            print(f'lost: {count} x {what}', file=sys.stderr)
    return SOME_BAD if lost else None


def _line(cells):
    return '  '.join(f'{cell:>13}' for cell in cells)


@dataclass(frozen=True)
class Target:
    """A server and the requests that it gets, whole, as bytes."""

    host: str
    port: int
    requests: tuple
    metrics: bytes


def target_of(url, files, token=None):
    """The Target of a URL and paths of audio files. Raises SerError for what is no such thing."""
    parts = urlsplit(url if '//' in url else f'http://{url}')
    if parts.scheme != 'http' or not parts.hostname:
        raise SerError(f'{url}: http://HOST:PORT is wanted')
    extra = f'Host: {parts.netloc}\r\n' + (f'Authorization: Bearer {token}\r\n' if token else '')
    requests = []
    for path in map(Path, files):
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SerError(f'{path}: cannot be read ({error.strerror})') from None
        mark = uuid.uuid4().hex
        body = (f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'.encode()
                + data + f'\r\n--{mark}--\r\n'.encode())
        head = (f'POST /predict HTTP/1.1\r\n{extra}Content-Type: multipart/form-data; boundary={mark}\r\n'
                f'Content-Length: {len(body)}\r\n\r\n')
        requests.append(head.encode() + body)
    metrics = f'GET /metrics HTTP/1.1\r\n{extra}Connection: close\r\n\r\n'.encode()
    return Target(parts.hostname, parts.port or 80, tuple(requests), metrics)


@dataclass
class Load:
    """What so many clients saw. seconds: each answer's; batches, memory: the server's counters before and after."""

    clients: int
    seconds: list = field(default_factory=list)
    refused: int = 0
    failures: Counter = field(default_factory=Counter)
    elapsed: float = 0.0
    before: tuple = ()
    after: tuple = ()

    @property
    def lost(self):
        """Requests without an answer."""
        return self.failures.total()

    def row(self):
        """The cells under HEADER."""
        ordered = sorted(self.seconds) or [float('nan')]
        p50, p99 = (1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in (0.5, 0.99))
        heard, batches = (after - before for before, after in zip(self.before[:2], self.after[:2], strict=True))
        return (self.clients, f'{len(self.seconds) / self.elapsed:.1f}', f'{p50:.0f}', f'{p99:.0f}', len(self.seconds),
                self.refused, self.lost, f'{heard / max(batches, 1):.1f}',
                f'{self.before[2] / 2**20:.0f} to {self.after[2] / 2**20:.0f}')


async def measure(target, clients, seconds):
    """The Load of so many clients for so many seconds; what was sent by then is waited for."""
    load = Load(clients)
    load.before = await _counters(target)
    started = time.monotonic()
    await asyncio.gather(*(_client(target, number, started + seconds, load) for number in range(clients)))
    load.elapsed = time.monotonic() - started
    load.after = await _counters(target)
    return load


async def _client(target, number, until, load):
    connection = None
    while time.monotonic() < until:
        request = target.requests[number % len(target.requests)]
        number += 1
        try:
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                connection = connection or await asyncio.open_connection(target.host, target.port)
                sent = time.monotonic()
                connection[1].write(request)
                status, headers, _ = await _read(connection[0])
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            load.failures[type(error).__name__] += 1
            connection = _closed(connection)
            await asyncio.sleep(_BACK_OFF_SECONDS)
            continue
        if status == 200:
            load.seconds.append(time.monotonic() - sent)
        elif status == 429:
            load.refused += 1
            await asyncio.sleep(_BACK_OFF_SECONDS)
        else:
            load.failures[f'status {status}'] += 1
        if headers.get('connection') == 'close':
            connection = _closed(connection)
    _closed(connection)


def _closed(connection):
    if connection:
        connection[1].close()


async def _read(reader):
    """(status, headers, body) of the next response."""
    first, *lines = (await reader.readuntil(b'\r\n\r\n')).decode('latin-1').split('\r\n')[:-2]
    named = (line.partition(':') for line in lines)
    headers = {name.strip().lower(): value.strip().lower() for name, _, value in named}
    return int(first.split()[1]), headers, await reader.readexactly(int(headers['content-length']))


async def _counters(target):
    """(clips heard, batches, resident bytes) of the server. Raises SerError where it does not answer."""
    try:
        reader, writer = await asyncio.open_connection(target.host, target.port)
        writer.write(target.metrics)
        status, _, body = await _read(reader)
        writer.close()
    except (OSError, EOFError, ValueError) as error:
        raise SerError(f'http://{target.host}:{target.port}: no answer ({error}). Is ser serve running '
                       'there?') from None
    if status != 200:
        raise SerError(f'http://{target.host}:{target.port}/metrics: status {status}. Is the --token right?')
    return tuple(float((re.search(_METRIC.format(name), body.decode(), re.MULTILINE) or [0, 0])[1])
                 for name in ('ser_batch_clips_sum', 'ser_batch_clips_count', 'ser_resident_bytes'))


if __name__ == '__main__':
    sys.exit(main())
