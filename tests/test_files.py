import hashlib
import os

import pytest

from ser.errors import SerError
from ser.files import natural, sha256_of, size_text, sync_folder, verifies, write_json, write_whole, write_with_digest


def test_a_file_is_whole_and_leaves_no_temporary(tmp_path):
    path = tmp_path / 'new' / 'a.txt'
    write_whole(path, 'é\r\n')
    assert path.read_bytes() == 'é\r\n'.encode()
    write_whole(path, b'two')
    assert path.read_bytes() == b'two' and os.listdir(path.parent) == ['a.txt']
    assert sha256_of(path) == hashlib.sha256(b'two').hexdigest()


def test_json_that_is_none_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / 'a.json'
    write_json(path, {'a': 1})
    with pytest.raises(ValueError, match='JSON'):
        write_json(path, {'a': float('nan')})
    assert path.read_text() == '{\n  "a": 1\n}\n' and os.listdir(tmp_path) == ['a.json']


def test_one_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / 'w.bin'
    write_with_digest(path, bytes(1000))
    assert verifies(path)
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    assert not verifies(path)


def test_a_file_without_digest_or_absent_never_verifies(tmp_path):
    path = tmp_path / 'w.bin'
    assert not verifies(path)
    path.write_bytes(b'x')
    assert not verifies(path)
    path.with_name('w.bin.sha256').write_text('')
    assert not verifies(path)


def test_a_full_disk_leaves_the_old_file_and_no_temporary(tmp_path, monkeypatch):
    path = tmp_path / 'a.txt'
    write_whole(path, 'old')

    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(SerError, match='cannot be written: No space left on device.*--out; the file .* is intact$'):
        write_whole(path, 'new')
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['a.txt']
    with pytest.raises(SerError, match='cannot be written: No space left on device.*choose another --out$'):
        write_whole(tmp_path / 'b.txt', 'new')
    assert os.listdir(tmp_path) == ['a.txt']


def test_a_file_where_a_folder_should_be_is_an_error_for_people(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(SerError, match='cannot be written'):
        write_whole(tmp_path / 'file' / 'a.txt', 'x')


def test_natural_order_compares_numbers_as_numbers_and_is_total():
    names = ['s10', 's2', 'S1', 's1', 's01', 'a/2', 'a/10', 'a-1', '²', 'sé', '']
    other_way = names[::-1]
    assert sorted(names, key=natural) == sorted(other_way, key=natural)
    assert sorted(['s10', 's2', 'S1'], key=natural) == ['S1', 's2', 's10']
    assert sorted(['s10', 's9', 's09', 'a'], key=natural) == ['a', 's09', 's9', 's10']
    assert sorted(['a-10.tar', 'a-2.tar', 'B/1', 'a/10', 'a/9'], key=natural) == ['a/9', 'a/10', 'a-2.tar', 'a-10.tar',
                                                                                  'B/1']


def test_a_folder_is_put_on_the_disk_and_one_that_is_missing_is_an_error(tmp_path):
    before = set(os.listdir('/dev/fd')) if os.path.isdir('/dev/fd') else set()
    sync_folder(tmp_path)
    assert not before or set(os.listdir('/dev/fd')) == before
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / 'none')


@pytest.mark.parametrize(('n', 'text'), [(999, '999 bytes'), (1000, '1.0 kB'), (208_468_073, '208.5 MB'),
                                         (11_000_000_000, '11.0 GB')])
def test_sizes_for_people(n, text):
    assert size_text(n) == text
