"""A multipart body as it arrives: one file, whatever the chunks; everything hostile refused early."""

import threading

import pytest

from ser.serving.refusal import Refusal
from ser.serving.upload import MAX_HEADER_BYTES, Held, Upload, UploadParser, shown_name

TYPE = 'multipart/form-data; boundary=xyz'


def part(data, name='file', filename='clip.wav', headers=b''):
    shown = f'; filename="{filename}"'.encode() if filename is not None else b''
    return (f'--xyz\r\nContent-Disposition: form-data; name="{name}"'.encode() + shown + b'\r\n' + headers + b'\r\n'
            + data + b'\r\n')


def parsed(body, size=1 << 16, content_type=TYPE):
    parser = UploadParser(content_type)
    for start in range(0, len(body), size):
        parser.feed(body[start:start + size])
    return parser.finish()


def contents(upload):
    with upload.opened() as file:
        return file.read()


@pytest.mark.parametrize('size', [1, 2, 7, 64, 1 << 16])
def test_a_file_comes_whole_in_any_chunks(size):
    data = b'\r\n--xy\r\n--\r\n' + bytes(range(256))
    body = part(b'ignored', 'comment', None) + part(data, headers=b'Content-Type: audio/wav\r\n') + b'--xyz--\r\n'
    upload = parsed(body, size)
    assert (upload.name, upload.size, contents(upload)) == ('clip.wav', len(data), data)


def test_names_are_for_showing_only():
    assert shown_name('../../etc/passwd') == 'passwd' and shown_name('C:\\dir\\a b.wav') == 'a b.wav'
    assert shown_name('a\x00\n\x1b[31m\u202eb.wav') == 'a[31mb.wav'
    assert shown_name('') == shown_name('folder/') == shown_name('\n') == 'recording'
    assert len(shown_name('x' * 5000)) == 100 and shown_name('x' * 5000).endswith('…')
    assert parsed(part(b'x', filename='naïve 😀.wav') + b'--xyz--\r\n').name == 'naïve 😀.wav'
    assert parsed(part(b'x', filename=None) + b'--xyz--\r\n').name == 'recording'


@pytest.mark.parametrize('content_type', [None, '', 'audio/wav', 'multipart/form-data', 'multipart/mixed; boundary=xyz',
                                          'multipart/form-data; boundary=', 'x' * 100000,
                                          f'multipart/form-data; boundary={"y" * 300}'])
def test_only_multipart_forms_are_taken(content_type):
    with pytest.raises(Refusal, match="no multipart form. Send one file as the multipart form field 'file'"):
        UploadParser(content_type)


@pytest.mark.parametrize('body, status, message', [
    (b'nothing of the kind', 422, 'is malformed'),
    (b'', 422, 'ends before its last part'),
    (part(b'abc'), 422, 'ends before its last part'),
    (b'--xyz--\r\n', 422, "malformed|has no field 'file'. Send one file"),
    (part(b'abc', 'data') + b'--xyz--\r\n', 422, "has no field 'file', but 'data'. Send one file as the multipart form "
                                                  "field 'file'"),
    (part(b'abc', 'audio\x07') + part(b'de', '', None) + b'--xyz--\r\n', 422,
     "no field 'file', but 'audio' and 'a part without a name'"),
    (part(b'') + b'--xyz--\r\n', 400, 'clip.wav is empty: it holds no bytes'),
    (part(b'a') * 2 + b'--xyz--\r\n', 422, "several fields 'file'"),
    (part(b'', 'x', None) * 5000, 422, 'more than 8 parts'),
    (part(b'x' * 20000, 'x', None), 422, "the field 'x' of the form has more than 16384 bytes, which only 'file' may"),
    (part(b'x', headers=b'A: b\r\n' * 5000), 422, 'more than 8 headers|malformed'),
    (part(b'x', headers=b'A: ' + b'b' * 100000 + b'\r\n'), 422, f'more than {MAX_HEADER_BYTES} bytes|malformed'),
    (b'--xyz\r\n' + b'A' * 100000, 422, f'more than {MAX_HEADER_BYTES} bytes|malformed')])
def test_malformed_and_hostile_forms(body, status, message):
    for size in (1 << 16, 100):
        with pytest.raises(Refusal, match=message) as refused:
            parsed(body, size)
        assert refused.value.status == status


def test_memory_stays_while_a_thread_reads_and_the_reading_ends():
    upload, freed = Upload('a.wav', Held(b'abc'), lambda: freed.append(True)), []
    inside, leave = threading.Event(), threading.Event()

    def reading():
        with upload.opened() as file:
            read.append(file.read(1))
            inside.set()
            leave.wait(5)
            # Nobody waits for it: what is left seems to be nothing.
            read.append(file.read())
            read.append(file.readinto(bytearray(5)))

    read = []
    thread = threading.Thread(target=reading)
    thread.start()
    assert inside.wait(5)
    upload.close()
    assert not freed
    leave.set()
    thread.join()
    assert read == [b'a', b'', 0] and freed == [True]
    upload.close()
    assert freed == [True]
    with pytest.raises(ValueError, match='gone'), upload.opened():
        pass
