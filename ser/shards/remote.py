"""Shards on object storage and web servers: addresses, listings and bytes through fsspec, with retries.

Credentials are fsspec's own (environment, profile, instance role); an address that carries any is refused, so that none
gets into a config, a log or a message. A web server is streamed and resumed at the byte where a transfer broke off;
a bucket is read range by range.
"""

import contextlib
import random
import re
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from ser.errors import SerError, install

SCHEMES = ('s3', 'gs', 'https')
RANGE_BYTES = 1 << 24
"""Bytes that one request asks a bucket for."""
ATTEMPTS = 6
"""Requests in a row without progress before giving up."""
BACK_OFF_SECONDS = 0.5
"""Wait after the first failure; doubled after each that follows."""
MOST_BACK_OFF_SECONDS = 30.0
STALL_SECONDS = 30.0
"""A transfer that brings less than STALL_BYTES in this time is broken off and asked for again."""
STALL_BYTES = 1 << 15

_PIECE = 1 << 20
_BUFFER = 1 << 16
_LOOPBACK = ('127.0.0.1', 'localhost', '::1')
_QUERY = re.compile(r'\?[^\s\'")]*')
_USER = re.compile(r'://[^\s/@]*@')


@dataclass(frozen=True, order=True)
class Remote:
    """A file or folder on object storage or a web server, used where a Path would be. url: whole, without a query."""

    url: str

    @property
    def name(self):
        """The last part of the address."""
        return self.url.rstrip('/').rpartition('/')[2]

    @property
    def parent(self):
        """The folder that holds it."""
        return Remote(self.url.rstrip('/').rpartition('/')[0])

    @property
    def scheme(self):
        """'s3', 'gs', 'https' or, on this machine only, 'http'."""
        return self.url.partition(':')[0]

    def resolve(self):
        """Itself: an address is whole already."""
        return self

    def __truediv__(self, name):
        return Remote(f'{self.url.rstrip("/")}/{name}')

    def __str__(self):
        return self.url


def is_remote(text):
    """Whether a pattern is the address of something remote that can be read, or is meant to be one."""
    return text.startswith(tuple(f'{scheme}://' for scheme in (*SCHEMES, 'http')))


def parse(text, option='--shards'):
    """The Remote of an address. Raises SerError for one that carries credentials, a query or a plain http host."""
    try:
        address = urlsplit(text)
        host = address.hostname
    except ValueError:
        raise SerError(f'{option}: {text!r} is not an address') from None
    if '@' in address.netloc or address.query or address.fragment:
        raise SerError(f'{option}: an address of {host or "shards"} with a name, password or query in it. Give the '
                       'bare address; credentials come from the environment, as fsspec reads them')
    if address.scheme == 'http' and host not in _LOOPBACK:
        raise SerError(f'{option}: {text} is not encrypted: use https')
    parts = address.path.split('/')[1:]
    if not host or '..' in parts or '.' in parts or '' in parts[:-1] or '\\' in text:
        raise SerError(f'{option}: {text!r} is not the address of shards. Write SCHEME://PLACE/FOLDER/ or '
                       f'SCHEME://PLACE/FOLDER/NAME.tar, SCHEME one of {", ".join(SCHEMES)}')
    return Remote(text)


def listed(folder, pattern='*.tar'):
    """Remotes below a folder that a glob pattern names, or None where a listing cannot be had (web servers)."""
    if folder.scheme.startswith('http'):
        return None
    found = _tried(folder, lambda system: system.glob(f'{folder.url.rstrip("/")}/{pattern}'))
    return [Remote(f'{folder.scheme}://{path}') for path in found]


def facts_of(remote):
    """{'size': bytes or None, 'version': text that changes with the file, or None}; None where no file is there."""
    try:
        info = _tried(remote, lambda system: system.info(remote.url))
    except NoSuchFile:
        return None
    version = next((info[name] for name in ('ETag', 'etag', 'Last-Modified', 'LastModified', 'updated')
                    if info.get(name)), None)
    return {'size': info.get('size'), 'version': None if version is None else str(version)}


def read_small(remote, limit):
    """The bytes of a file of at most `limit`, or None where there is no such file. Raises SerError for a larger one."""
    def read(system):
        with _opened(system, remote, 0) as (pieces, _):
            data = bytearray()
            for piece in pieces:
                data += piece
                if len(data) > limit:
                    raise SerError(f'{remote}: more than {limit} bytes')
            return bytes(data)

    try:
        return _tried(remote, read)
    except NoSuchFile:
        return None


def download(remote, file, size):
    """Write the `size` bytes of a Remote to an open binary file. Raises SerError after ATTEMPTS without progress."""
    position, failures = 0, 0
    while position < size:
        start = position
        try:
            with _opened(_system(remote), remote, position, size) as (pieces, begin):
                # A server that knows no ranges sends all of it again: what is there already is passed over.
                position = begin
                file.seek(begin)
                for piece in _moving(pieces):
                    file.write(piece)
                    position += len(piece)
                    if position > size:
                        raise SerError(f'{remote}: longer than the {size} bytes that its index says')
            if position < size:
                raise EOFError(f'the transfer ended after {position} of {size} bytes')
        except Exception as error:
            _refuse_final(remote, error)
            position = max(position, 0)
            failures = 1 if position - start >= _PIECE else failures + 1
            _wait(remote, error, failures)


class NoSuchFile(SerError):
    """Nothing is at an address."""


def _system(remote):
    """The file system of an address, an instance of this process alone."""
    try:
        import fsspec

        scheme = remote.scheme
        if scheme.startswith('http'):
            import aiohttp

            limits = aiohttp.ClientTimeout(total=None, sock_connect=STALL_SECONDS, sock_read=STALL_SECONDS)
            # What a client holds back when a connection breaks is lost: little, so that a resume loses little.
            return fsspec.filesystem(scheme, client_kwargs={'timeout': limits, 'trust_env': True,
                                                            'read_bufsize': _BUFFER})
        options = {}
        if scheme == 's3':
            options = {'config_kwargs': {'connect_timeout': STALL_SECONDS, 'read_timeout': STALL_SECONDS,
                                         'retries': {'max_attempts': 1}}}
        return fsspec.filesystem(scheme, use_listings_cache=False, **options)
    except ImportError:
        raise SerError(f'{remote}: reading {remote.scheme}:// needs fsspec and its parts: {install("cloud")}') from None


@contextlib.contextmanager
def _opened(system, remote, start, size=None):
    """(iterable of bytes, the position of its first byte): a file from byte `start`, or whole where ranges fail."""
    if not remote.scheme.startswith('http'):
        yield _ranges(system, remote, start, size), start
        return
    headers = {'Accept-Encoding': 'identity'}
    if start:
        headers['Range'] = f'bytes={start}-'
    # A size spares the request that would ask for it; block_size 0 is a stream.
    with system.open(remote.url, 'rb', block_size=0, size=1, headers=headers) as stream:
        begin = start
        if start and stream.r.status != 206:
            begin = 0
        elif start:
            said = re.match(r'bytes (\d+)-', stream.r.headers.get('Content-Range', ''))
            if not said or int(said[1]) != start:
                raise EOFError('another range came than was asked for')
        yield iter(lambda: stream.read(_PIECE), b''), begin


def _ranges(system, remote, start, size):
    if size is None:
        size = system.info(remote.url)['size']
    while start < size:
        end = min(start + RANGE_BYTES, size)
        piece = system.cat_file(remote.url, start=start, end=end)
        if len(piece) != end - start:
            raise EOFError(f'{len(piece)} bytes came where {end - start} were asked for')
        yield piece
        start = end


def _moving(pieces):
    """The same pieces; raises TimeoutError where fewer than STALL_BYTES come in STALL_SECONDS."""
    since, came = time.monotonic(), 0
    for piece in pieces:
        came += len(piece)
        now = time.monotonic()
        if came >= STALL_BYTES:
            since, came = now, 0
        elif now - since > STALL_SECONDS:
            raise TimeoutError(f'only {came} B in {now - since:.0f} s')
        yield piece


def _tried(remote, call):
    """call(file system), tried again as `download` does."""
    failures = 0
    while True:
        try:
            return call(_system(remote))
        except Exception as error:
            _refuse_final(remote, error)
            failures += 1
            _wait(remote, error, failures)


def _refuse_final(remote, error):
    """Raise what no second try would change."""
    if isinstance(error, SerError):
        raise error
    if isinstance(error, FileNotFoundError):
        raise NoSuchFile(f'{remote}: no such file') from None
    if isinstance(error, PermissionError) or getattr(error, 'status', None) in (401, 403):
        raise SerError(f'{remote}: access is refused ({_words(error)}). Credentials come from the environment, as '
                       f'fsspec reads them for {remote.scheme}://') from None
    if isinstance(error, OSError) and error.errno in _OF_DISK:
        raise error


_OF_DISK = (28, 30, 122)
"""ENOSPC, EROFS, EDQUOT: of the disk that is written to, not of the network."""


def _wait(remote, error, failures):
    if failures >= ATTEMPTS:
        raise SerError(f'{remote}: cannot be read after {failures} tries ({_words(error)})') from None
    seconds = min(BACK_OFF_SECONDS * 2 ** (failures - 1), MOST_BACK_OFF_SECONDS)
    # Spread out, so that ranks that failed together do not come back together.
    time.sleep(seconds * random.uniform(0.5, 1))


def _words(error):
    """An error in one short line with no query and no user in it: those are where credentials would be."""
    text = ' '.join(f'{type(error).__name__}: {error}'.split())
    return _USER.sub('://', _QUERY.sub('', text))[:200].rstrip(': ')
