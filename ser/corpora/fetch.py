"""One file over HTTP: carried on where a connection broke, and under its own name only when it is whole."""

import http.client
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

from ser.errors import SerError
from ser.files import size_text, sync_folder, write_json

CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = 30
# Failures in a row before giving up; so many new bytes make the count start again.
TRIES = 6
ADVANCE_BYTES = 1 << 20
LONGEST_WAIT_SECONDS = 60
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_KEPT = 'What has come is kept: the same command carries on'


def fetch(url, path, *, size=None, verify=None, progress=None, sleep=time.sleep, timeout=TIMEOUT_SECONDS):
    """Download `url` to `path`, by way of `<path>.part`; what an earlier call left there is carried on with.

    size: published bytes, or None. verify: called with the finished part before it gets its name; whatever it raises
    removes the part. progress: called with (bytes so far, total or None). sleep: waits so many seconds before another
    try. timeout: seconds of silence that count as a dropped connection.
    Returns what verify returned. Raises SerError for any other scheme than http(s), an answer that is no file, another
    size than published, a connection that drops again and again, and a disk that is full.
    """
    check_url(url)
    with _Part(path, url) as part:
        failures, best = 0, part.size
        while not _attempt(part, size, progress, timeout):
            if part.size >= best + ADVANCE_BYTES:
                failures, best = 0, part.size
            failures += 1
            if failures == TRIES:
                raise SerError(f'{url}: {part.trouble} ({TRIES} times in a row). {_KEPT} at {size_text(part.size)}')
            sleep(min(part.wait or 2 ** (failures - 1), LONGEST_WAIT_SECONDS))
        part.must_be(size)
        try:
            found = verify(part.path) if verify else None
        except BaseException:
            part.discard()
            raise
        part.finish()
    return found


def check_url(url):
    """Raises SerError unless `url` is http or https with a host."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ('http', 'https') or not parts.hostname:
        raise SerError(f"'{url}' cannot be downloaded: only http and https are allowed")


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        check_url(newurl)
        if req.type == 'https' and not newurl.lower().startswith('https:'):
            raise SerError(f"{req.full_url}: sends on to '{newurl}', which is not encrypted: not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener():
    """urllib without the schemes that build_opener adds: file, ftp, data."""
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler, _Redirects,
                    urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor):
        opener.add_handler(handler())
    return opener


class _Part:
    """`<path>.part`, and beside it `<path>.part.json`: which file, in which state, it is the beginning of."""

    def __init__(self, path, url):
        self.target, self.url = path, url
        self.path, self._state_path = (path.with_name(path.name + end) for end in ('.part', '.part.json'))
        # Why the last attempt was no success, and how many seconds the server asks to wait.
        self.trouble, self.wait = '', None
        self.validator = self.total = None
        try:
            self._file = open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), 'r+b', buffering=0)  # noqa: SIM115
        except OSError as error:
            raise SerError(f"'{self.path}' cannot be written: {error.strerror or error}") from None
        self.size = self._file.seek(0, os.SEEK_END)
        state = self._read_state()
        if self.size and state.get('url') == url:
            self.validator, self.total = state.get('validator'), state.get('total')
        else:
            self.restart()

    def _read_state(self):
        try:
            state = json.loads(self._state_path.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def restart(self, validator=None, total=None):
        """Empty it, for a file that the server describes so."""
        self._file.seek(0)
        self._file.truncate()
        self.size, self.validator, self.total = 0, validator, total
        write_json(self._state_path, {'url': self.url, 'validator': validator, 'total': total})

    def add(self, data):
        """Append bytes. Raises SerError when the disk does not take them; what is there stays usable."""
        view = memoryview(data)
        try:
            while view:
                written = self._file.write(view)
                self.size, view = self.size + written, view[written:]
        except OSError as error:
            raise SerError(f"'{self.path}' cannot be written: {error.strerror or error}. Free some space. "
                           f'{_KEPT}') from None

    def failed(self, trouble, wait=None):
        """Note why an attempt ended early; False, what the attempt then returns."""
        self.trouble, self.wait = trouble, wait
        return False

    def must_be(self, size):
        """Remove it and raise SerError when `size` is published and it has another."""
        if size is not None and self.size != size:
            held = self.size
            self.discard()
            raise SerError(f'{self.url}: {held} bytes came, {size} are published. Nothing is kept')

    def finish(self):
        """Give it its name."""
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self.path, self.target)
        self._state_path.unlink(missing_ok=True)
        sync_folder(self.target.parent)

    def discard(self):
        """Remove it."""
        self._file.close()
        for path in (self.path, self._state_path):
            path.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A part that holds nothing is no use to anybody.
        if not self._file.closed and not self.size:
            self.discard()
        self._file.close()


def _attempt(part, size, progress, timeout):
    """Ask once for what is missing; whether the part is then whole. Raises SerError where asking again is no use."""
    headers = {'User-Agent': 'serstream', 'Accept-Encoding': 'identity'}
    if part.size:
        headers['Range'] = f'bytes={part.size}-'
        if part.validator:
            headers['If-Range'] = part.validator
    try:
        response = _opener().open(urllib.request.Request(part.url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(part, error)
    except (http.client.HTTPException, OSError) as error:
        reason = getattr(error, 'reason', error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise SerError(f'{part.url}: the certificate of the server is not valid: {reason.verify_message}') from None
        return part.failed(f'no connection: {_words(reason)}')
    with response:
        return _continues(part, response) and _receive(part, response, size, progress)


def _refused(part, error):
    """As _attempt, for a status that is no success."""
    if error.code == 416:
        # Nothing lies behind the end: either the part is whole, or it belongs to another state of the file.
        whole = re.fullmatch(r'bytes \*/(\d+)', error.headers.get('Content-Range', ''))
        if whole and int(whole[1]) == part.size:
            return True
        part.restart()
        return part.failed('the server has a shorter file than it had')
    if error.code in _PASSING:
        wait = error.headers.get('Retry-After', '')
        return part.failed(f'the server answers {error.code} {error.reason}', int(wait) if wait.isdecimal() else None)
    raise SerError(f'{part.url}: the server answers {error.code} {error.reason}. The file may have moved: look at the '
                   "corpus's homepage, and put it where it belongs by hand")


def _validator(headers):
    """What tells one state of a file from another, for If-Range: a strong ETag, or the time of its last change."""
    etag = headers.get('ETag')
    return etag if etag and not etag.startswith('W/') else headers.get('Last-Modified')


def _continues(part, response):
    """Whether the answer goes on from the end of the part; one that starts at the beginning empties the part."""
    headers = response.headers
    if headers.get_content_type() == 'text/html' and part.target.suffix.lower() not in ('.html', '.htm'):
        raise SerError(f'{part.url}: the server sends a web page instead of the file. Download it with a browser, and '
                       f"put it at '{part.target}'")
    if response.status not in (200, 206):
        raise SerError(f'{part.url}: the server answers {response.status} {response.reason}, which is no file')
    if response.status == 200:
        length = headers.get('Content-Length', '')
        part.restart(_validator(headers), int(length) if length.isdecimal() else None)
        return True
    said = re.fullmatch(r'bytes (\d+)-\d+/(\d+)', headers.get('Content-Range', ''))
    same = _validator(headers) in (None, part.validator)
    if said and same and int(said[1]) == part.size and part.total in (None, int(said[2])):
        part.total = int(said[2])
        return True
    part.restart()
    return part.failed('the file changed on the server, or its answer does not fit the question')


def _receive(part, response, size, progress):
    """Append the answer's bytes to the part; whether all have come."""
    if part.total is not None and size not in (None, part.total):
        part.discard()
        raise SerError(f'{part.url}: the server has {part.total} bytes, {size} are published. Nothing was downloaded')
    wanted = size if part.total is None else part.total
    _check_space(part, wanted)
    while True:
        try:
            data = response.read1(CHUNK_BYTES)
        except (http.client.HTTPException, OSError) as error:
            return part.failed(f'the connection broke: {_words(error)}')
        if not data:
            break
        part.add(data)
        if wanted is not None and part.size > wanted:
            part.must_be(wanted)
        if progress:
            progress(part.size, wanted)
    if wanted is not None and part.size < wanted:
        return part.failed(f'the connection closed after {part.size} of {wanted} bytes')
    return True


def _check_space(part, wanted):
    free = shutil.disk_usage(part.path.parent).free
    if wanted is not None and free < wanted - part.size:
        raise SerError(f"'{part.path.parent}' has {size_text(free)} free, the download needs "
                       f'{size_text(wanted - part.size)}. Free some space or choose another SOURCE')


def _words(error):
    return getattr(error, 'strerror', None) or str(error) or type(error).__name__
