"""One file out of a multipart body, as it arrives: bounded in bytes, in parts and in headers, held in memory."""

import io
import re
import threading
from contextlib import contextmanager

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ser.serving.refusal import Refusal

FIELD = 'file'
MAX_NAME = 100
MAX_PARTS, MAX_HEADERS, MAX_HEADER_BYTES, MAX_OTHER_BYTES = 8, 8, 4096, 16384
MAX_BOUNDARY = 200
_HOW = f"Send one file as the multipart form field '{FIELD}'"


class Held(io.BytesIO):
    """Bytes in memory that seem to end for whoever still reads them when nobody waits for what comes of it."""

    gone = False

    def read(self, size=-1):
        """As BytesIO.read."""
        return b'' if self.gone else super().read(size)

    def readinto(self, buffer):
        """As BytesIO.readinto."""
        return 0 if self.gone else super().readinto(buffer)


class Upload:
    """A file that a client sent. name: as the client calls it, made harmless; for showing only. size: bytes."""

    def __init__(self, name, data, on_freed=lambda: None):
        """data: a Held. on_freed: called once, by whichever thread comes last, when its memory is free again."""
        self.name, self.size = name, data.getbuffer().nbytes
        self._data, self._users, self._closed, self._lock = data, 0, False, threading.Lock()
        self._on_freed = on_freed

    @contextmanager
    def opened(self):
        """The file, at its start, for one thread; its memory is freed when that thread and the request are done."""
        with self._lock:
            if self._closed:
                raise ValueError('the upload is gone')
            self._users += 1
        try:
            self._data.seek(0)
            yield self._data
        finally:
            self._leave(1)

    def close(self):
        """The request needs it no more, and who still reads it shall come to an end."""
        self._closed = self._data.gone = True
        self._leave(0)

    def _leave(self, users):
        # A request may end while a thread is still reading: libsndfile must not meet a closed file.
        with self._lock:
            self._users -= users
            freed = self._closed and not self._users and not self._data.closed
            if freed:
                self._data.close()
        if freed:
            self._on_freed()


class UploadParser:
    """A multipart/form-data body, chunk by chunk. Raises Refusal for what is malformed or too much."""

    def __init__(self, content_type):
        kind, options = parse_options_header((content_type or '')[:1000])
        boundary = options.get(b'boundary', b'')
        if kind != b'multipart/form-data' or not 0 < len(boundary) <= MAX_BOUNDARY:
            raise Refusal(422, f'the body is no multipart form. {_HOW}')
        self._file, self._name, self._complete = None, None, False
        self._parts = self._headers = self._header_bytes = self._other_bytes = 0
        self._field, self._value, self._disposition = bytearray(), bytearray(), b''
        self._into, self._others = None, []
        self._parser = MultipartParser(boundary, {
            'on_part_begin': self._part_begin, 'on_part_data': self._part_data, 'on_part_end': self._part_end,
            'on_header_field': self._header_field, 'on_header_value': self._header_value,
            'on_header_end': self._header_end, 'on_headers_finished': self._headers_finished, 'on_end': self._end})

    def feed(self, chunk):
        """Take the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise Refusal(422, f'the multipart form is malformed. {_HOW}') from None

    @property
    def size(self):
        """Bytes of the file so far."""
        return self._file.getbuffer().nbytes if self._file else 0

    def finish(self, on_freed=lambda: None):
        """The Upload, once the body has ended. on_freed: of the Upload."""
        if not self._complete:
            raise Refusal(422, 'the body ends before its last part does. Send it again')
        if self._file is None:
            raise Refusal(422, f'the form has no field {FIELD!r}{self._given()}. {_HOW}')
        if not self.size:
            raise Refusal(400, f'{self._name} is empty: it holds no bytes')
        return Upload(self._name, self._file, on_freed)

    def _given(self):
        return f', but {" and ".join(map(repr, self._others))}' if self._others else ''

    def _part_begin(self):
        self._parts += 1
        self._headers, self._disposition, self._into = 0, b'', None
        if self._parts > MAX_PARTS:
            raise Refusal(422, f'the form has more than {MAX_PARTS} parts. {_HOW}')

    def _header_field(self, data, start, end):
        self._count_header(end - start)
        self._field += data[start:end]

    def _header_value(self, data, start, end):
        self._count_header(end - start)
        self._value += data[start:end]

    def _count_header(self, count):
        self._header_bytes += count
        if self._header_bytes > MAX_HEADER_BYTES:
            raise Refusal(422, f'the headers of the form have more than {MAX_HEADER_BYTES} bytes. {_HOW}')

    def _header_end(self):
        self._headers += 1
        if self._headers > MAX_HEADERS:
            raise Refusal(422, f'a part of the form has more than {MAX_HEADERS} headers. {_HOW}')
        if self._field.lower() == b'content-disposition':
            self._disposition = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _headers_finished(self):
        _, options = parse_options_header(self._disposition)
        if (name := options.get(b'name', b'')) != FIELD.encode():
            self._others.append(_harmless(name.decode('utf-8', 'replace')) or 'a part without a name')
            return
        if self._file is not None:
            raise Refusal(422, f"the form has several fields '{FIELD}'. Send one file at a time")
        self._file = self._into = Held()
        self._name = shown_name(options.get(b'filename', b'').decode('utf-8', 'replace'))

    def _part_data(self, data, start, end):
        if self._into is not None:
            self._into.write(memoryview(data)[start:end])
            return
        self._other_bytes += end - start
        if self._other_bytes > MAX_OTHER_BYTES:
            raise Refusal(422, f'the field {self._others[-1]!r} of the form has more than {MAX_OTHER_BYTES} bytes, '
                               f'which only {FIELD!r} may have. {_HOW}')

    def _part_end(self):
        self._into = None

    def _end(self):
        self._complete = True


def shown_name(name):
    """A client's file name for showing: without folders and control characters, at most MAX_NAME characters."""
    return _harmless(re.split(r'[/\\]', name)[-1]) or 'recording'


def _harmless(name):
    name = ''.join(c for c in name if c.isprintable()).strip()
    return name if len(name) <= MAX_NAME else f'{name[:MAX_NAME - 1]}…'
