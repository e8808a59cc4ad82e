"""The strict pass over a tar: what tarfile reads, and what it lets through and this does not."""

import gzip
import hashlib
import io
import pickle
import tarfile

import pytest

from ser.errors import SerError
from ser.shards.tarscan import ShardFault, TarScan
from tests.shard_factory import tar_bytes

MEMBERS = [('a.wav', b'x' * 700), ('a.json', b'{}'), ('b/b.wav', b''), ('b/b.json', b'y' * 512)]


def scan(tmp_path, data, wanted=lambda member: True):
    path = tmp_path / 'shard.tar'
    path.write_bytes(data)
    tar = TarScan(str(path), wanted)
    return tar, list(tar)


def refused(tmp_path, data, *said):
    with pytest.raises(SerError) as error:
        scan(tmp_path, data)
    assert all(text in str(error.value) for text in ('shard.tar', *said)), str(error.value)
    assert '\n' not in str(error.value)


def special(name='x.wav', kind=tarfile.REGTYPE, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


@pytest.mark.parametrize('form', [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_same_members_and_spans_as_tarfile(tmp_path, form):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w', format=form) as tar:
        for name, data in [*MEMBERS, ('d' * 60 + '/' + 'é' * 40 + '.wav', b'long'), ('f' * 90 + '/z.wav', b'z')]:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5 if form == tarfile.PAX_FORMAT else 1
            tar.addfile(info, io.BytesIO(data))
    scanned, found = scan(tmp_path, buffer.getvalue())
    with tarfile.open(tmp_path / 'shard.tar', 'r:') as tar:
        expected = [(info.name, info.offset_data, info.size) for info in tar]
        contents = [tar.extractfile(info).read() for info in tar.getmembers()]
    assert [tuple(member) for member, _, _ in found] == expected
    assert [data for _, data, _ in found] == contents
    assert [digest for _, _, digest in found] == [hashlib.sha256(data).hexdigest() for data in contents]
    assert scanned.sha256 == hashlib.sha256(buffer.getvalue()).hexdigest()
    assert scanned.size == len(buffer.getvalue())


def test_only_wanted_data_is_handed_over_and_folders_are_counted(tmp_path):
    tar, found = scan(tmp_path, tar_bytes(MEMBERS, folder=('b',)), lambda member: member.name.endswith('json'))
    assert [data for _, data, _ in found] == [None, b'{}', None, b'y' * 512]
    assert tar.folders == 1


@pytest.mark.parametrize(('kind', 'what'), [(tarfile.SYMTYPE, 'a symbolic link'), (tarfile.LNKTYPE, 'a hard link'),
                                            (tarfile.CHRTYPE, 'a character device'), (tarfile.FIFOTYPE, 'a named pipe'),
                                            (tarfile.BLKTYPE, 'a block device'), (tarfile.GNUTYPE_SPARSE, 'a sparse'),
                                            (tarfile.CONTTYPE, 'a contiguous file'), (b'Z', 'of unknown type')])
def test_anything_but_plain_files_is_refused(tmp_path, kind, what):
    refused(tmp_path, special(kind=kind), 'at byte 0', "'x.wav'", what, 'Only plain files are read')


@pytest.mark.parametrize(('name', 'what'), [
    ('/etc/x.wav', 'absolute'), ('a\\b.wav', 'backslash'), ('a/../x.wav', "climbs out of the archive with '..'"),
    ('./x.wav', 'starts with a dot'), ('.x.wav', 'starts with a dot'), ('a/.b/x.wav', 'starts with a dot'),
    ('a//x.wav', 'empty'), ('x\x01.wav', 'control characters'), ('x\x85.wav', 'control characters')])
def test_names_that_are_refused(tmp_path, name, what):
    refused(tmp_path, tar_bytes([('ok.wav', b'1'), (name, b'')]), 'at byte', what)


def test_pax_records_for_sparse_files_links_and_the_unknown(tmp_path):
    for record, what in (('GNU.sparse.major', 'sparse'), ('linkpath', 'link'), ('odd', "unknown pax record 'odd'")):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode='w', format=tarfile.PAX_FORMAT) as tar:
            info = tarfile.TarInfo('x.wav')
            info.pax_headers = {record: '1'}
            tar.addfile(info)
        refused(tmp_path, buffer.getvalue(), what)
    damaged = tarfile.TarInfo('x').create_pax_header({**tarfile.TarInfo('x').get_info(), 'mtime': 1.5}, 'utf-8')
    refused(tmp_path, damaged.replace(b'mtime=', b'mtime:') + bytes(1024), 'a damaged pax header')


@pytest.mark.parametrize('cut', [300, 512, 1100, 1536, 2047, -1025])
def test_a_cut_anywhere_is_noticed(tmp_path, cut):
    whole = tar_bytes(MEMBERS)[:1024 * 3 + 512 + 512 + 1024]
    scan(tmp_path, whole)
    refused(tmp_path, whole[:cut], 'trunc' if cut > 512 or cut < 0 else '')


def test_holes_short_ends_and_damage(tmp_path):
    whole = tar_bytes(MEMBERS)
    refused(tmp_path, whole[:1536] + bytes(1024) + whole[2560:], 'at byte 1536', 'a hole of zeros')
    end = len(whole.rstrip(b'\0')) + -len(whole.rstrip(b'\0')) % 512
    refused(tmp_path, whole[:end + 512], 'only 512 of 1024 closing zero bytes')
    refused(tmp_path, whole[:end], 'without the closing zeros')
    refused(tmp_path, whole[:1540] + b'Q' + whole[1541:], 'at byte 1536', 'a damaged header')
    refused(tmp_path, b'', 'empty file')
    refused(tmp_path, b'junk', '4 bytes are too few')
    refused(tmp_path, b'j' * 2000, 'not a tar file')
    refused(tmp_path, gzip.compress(whole), 'compressed (gzip). Shards are plain tars')


def test_what_is_left_of_a_damaged_shard_is_a_command_away(tmp_path):
    path, whole = tmp_path / 'a b.tar', tar_bytes(MEMBERS)
    for data, damaged in ((whole[:1540], True), (whole[:1540] + b'Q' + whole[1541:], True), (b'j' * 2000, False)):
        path.write_bytes(data)
        with pytest.raises(ShardFault) as error:
            list(TarScan(path, lambda member: True))
        said = f"Copy or build it again; what is left of it: ser doctor '{path}'"
        assert str(error.value).endswith(said) is damaged and 'ser doctor' not in error.value.what
        assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def test_every_flipped_header_bit_is_noticed(tmp_path):
    whole = tar_bytes(MEMBERS)
    for bit in range(0, 512 * 8, 37):
        flipped = bytearray(whole)
        flipped[1536 + bit // 8] ^= 1 << bit % 8
        refused(tmp_path, bytes(flipped), 'at byte 1536')


def test_sizes_beyond_the_file_and_extended_headers_beyond_the_bound(tmp_path):
    refused(tmp_path, special(size=1 << 40), "the file ends inside 'x.wav': it is truncated")
    refused(tmp_path, special(kind=tarfile.XHDTYPE, size=1 << 20), 'an extended header of 1048576 bytes')
    refused(tmp_path, special(kind=tarfile.DIRTYPE, size=5), 'holds data')
    alone = tarfile.TarInfo('x').create_pax_header({**tarfile.TarInfo('x').get_info(), 'mtime': 1.5}, 'utf-8')[:1024]
    refused(tmp_path, alone + bytes(1024), 'the member of an extended header is missing')
    bad = bytearray(special())
    bad[124:136] = b'not octal!!\0'
    bad[148:156] = b'        '
    bad[148:156] = b'%06o\0 ' % sum(bad[:512])
    refused(tmp_path, bytes(bad), 'unreadable size')


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(SerError, match='cannot be read'):
        list(TarScan(str(tmp_path / 'none.tar'), lambda member: False))
