import io
import os
import stat
import struct
import tarfile
import zipfile
from collections import namedtuple

import pytest

from ser.corpora import archive as module
from ser.corpora.archive import unpack, unpacked_folder
from ser.errors import SerError

GOOD = {'Actor_01/a.wav': b'RIFF' * 500, 'Actor_01/deep/b.wav': b'', 'read me.txt': b'hello'}


def make_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    """members: name or ZipInfo -> bytes."""
    with zipfile.ZipFile(path, 'w', compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def make_tar(path, members, mode='w:gz'):
    """members: name -> bytes, or name -> TarInfo for a member that is no file."""
    with tarfile.open(path, mode) as file:
        for name, data in members.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
            file.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return path


def special(kind, name='bad', target='a'):
    """A tar member that is a link or a device."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return {name: info}


def zip_link(name, target):
    """A zip member that is a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return {info: target}


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def refused(path, match, **limits):
    """unpack refuses `path`, and leaves what was there."""
    before = sorted(path.parent.parent.rglob('*'))
    with pytest.raises(SerError, match=match) as error:
        unpack(path, path.parent / 'out', **limits)
    assert '\n' not in str(error.value) and sorted(path.parent.parent.rglob('*')) == before


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'source').mkdir()
    return tmp_path / 'source'


@pytest.mark.parametrize(('name', 'stem'), [
    ('a.zip', 'a'), ('Some.Thing.TAR.GZ', 'Some.Thing'), ('a.tgz', 'a'), ('a.tar', 'a'), ('a.tar.xz', 'a'),
    ('a.wav', None), ('a.gz', None), ('.zip', None), ('...zip', None)])
def test_where_an_archive_goes(folder, name, stem):
    assert unpacked_folder(folder / name) == (folder / stem if stem else None)


@pytest.mark.parametrize(('name', 'make'), [
    ('a.zip', make_zip), ('a.tar.gz', make_tar), ('a.tar', lambda path, members: make_tar(path, members, 'w')),
    ('a.tar.bz2', lambda path, members: make_tar(path, members, 'w:bz2')),
    ('a.tar.xz', lambda path, members: make_tar(path, members, 'w:xz'))])
def test_what_went_in_comes_out(folder, name, make):
    unpack(make(folder / name, GOOD), folder / 'out')
    assert contents(folder / 'out') == GOOD
    assert sorted(path.name for path in folder.iterdir()) == sorted([name, 'out'])


def test_folders_and_windows_separators(folder):
    # The separator that Windows' own tools once wrote; os.sep would turn it into '/' while writing on Windows.
    info = zipfile.ZipInfo('x')
    info.filename = 'one\\two.wav'
    unpack(make_zip(folder / 'a.zip', {info: b'2', 'empty/': b'', './three.wav': b'3'}), folder / 'zip')
    assert contents(folder / 'zip') == {'one/two.wav': b'2', 'three.wav': b'3'} and (folder / 'zip' / 'empty').is_dir()
    unpack(make_tar(folder / 'a.tgz', {**special(tarfile.DIRTYPE, 'empty'), './x/three.wav': b'3'}), folder / 'tar')
    assert contents(folder / 'tar') == {'x/three.wav': b'3'} and (folder / 'tar' / 'empty').is_dir()


def test_files_are_plain_whatever_the_archive_says(folder):
    info = tarfile.TarInfo('a.wav')
    info.mode, info.uid = 0o6777, 12345
    unpack(make_tar(folder / 'a.tar.gz', {'a.wav': info}), folder / 'out')
    assert stat.S_IMODE((folder / 'out' / 'a.wav').stat().st_mode) & 0o7111 == 0


def test_leftovers_of_a_killed_run_do_not_matter(folder):
    (folder / '.out.partial').mkdir()
    (folder / '.out.partial' / 'read me.txt').write_text('half')
    unpack(make_zip(folder / 'a.zip', GOOD), folder / 'out')
    assert contents(folder / 'out') == GOOD and not (folder / '.out.partial').exists()


@pytest.mark.parametrize('name', ['../out.wav', 'a/../../out.wav', '/tmp/ser-out.wav', '..\\out.wav', 'C:\\out.wav',
                                  'c:out.wav', 'a/..', '..'])
@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
def test_nothing_is_written_outside(folder, name, kind):
    info = zipfile.ZipInfo('x')
    info.filename = name
    path = folder / f'a.{kind}'
    if kind == 'zip':
        make_zip(path, {'good.wav': b'1', info: b'2'})
    else:
        make_tar(path, {'good.wav': b'1', name: b'2'})
    refused(path, 'which is outside its folder: not unpacked')


@pytest.mark.parametrize('members', [
    special(tarfile.SYMTYPE, 'bad', '/etc'), {**special(tarfile.SYMTYPE, 'bad', '..'), 'bad/out.wav': b'1'},
    special(tarfile.LNKTYPE, 'bad', '/etc/passwd'), special(tarfile.CHRTYPE), special(tarfile.BLKTYPE),
    special(tarfile.FIFOTYPE)])
def test_links_and_devices_in_a_tar_are_refused(folder, members):
    refused(make_tar(folder / 'a.tar.gz', {'good.wav': b'1', **members}), "holds 'bad', a link or a device")


def test_links_in_a_zip_are_refused(folder):
    refused(make_zip(folder / 'a.zip', {**zip_link('bad', '..'), 'bad/out.wav': b'1'}), "holds 'bad', a link")


def test_a_name_that_comes_twice_is_refused(folder):
    with pytest.warns(UserWarning, match='Duplicate name'), zipfile.ZipFile(folder / 'a.zip', 'w') as file:
        file.writestr('a.wav', b'1')
        file.writestr('a.wav', b'2')
    refused(folder / 'a.zip', "holds 'a.wav', twice")


def test_a_file_in_the_place_of_a_folder_is_refused(folder):
    refused(make_tar(folder / 'a.tar', {'a': b'1', 'a/b.wav': b'2'}, 'w'), 'cannot be unpacked')
    refused(make_tar(folder / 'a.tar', {'a/b.wav': b'2', 'a': b'1'}, 'w'), "holds 'a', twice")


@pytest.mark.parametrize(('kind', 'make'), [('zip', make_zip), ('tar.gz', make_tar)])
def test_a_bomb_by_declared_size_or_number_is_refused(folder, kind, make):
    path = make(folder / f'a.{kind}', {f'{i}.wav': bytes(100_000) for i in range(5)})
    assert path.stat().st_size < 5000
    refused(path, r"unpacks to more than 300\.0 kB \(at '3.wav'\): not unpacked", max_bytes=300_000)
    refused(path, 'holds more than 4 members', max_members=4)
    unpack(path, folder / 'out', max_bytes=500_000, max_members=5)
    assert len(contents(folder / 'out')) == 5


def test_a_bomb_by_real_size_is_refused(folder):
    # The directory says 1000 bytes each, the data are a hundred times as many.
    path = make_zip(folder / 'a.zip', {'a.wav': bytes(100_000)})
    data = path.read_bytes()
    assert data.count(struct.pack('<I', 100_000)) == 2
    path.write_bytes(data.replace(struct.pack('<I', 100_000), struct.pack('<I', 1000)))
    refused(path, 'is damaged', max_bytes=10_000)


def test_what_really_comes_is_counted(folder):
    limits = module._Limits(make_zip(folder / 'a.zip', GOOD), folder, 1000, 10)
    limits.write('a', 600)
    with pytest.raises(SerError, match=r"more than 1\.0 kB \(at 'a'\)"):
        limits.write('a', 600)


def test_the_bound_by_default_is_the_swell_or_the_free_disk(folder, monkeypatch):
    path = make_zip(folder / 'a.zip', {'a.wav': bytes(100_000)})
    monkeypatch.setattr(module, 'SMALL_BYTES', 1000)
    refused(path, r'unpacks to more than [\d.]+ kB \(')
    monkeypatch.setattr(module.shutil, 'disk_usage', lambda path: namedtuple('usage', 'free')(500))
    refused(path, 'unpacks to more than 500 bytes, as much as is free in ')


def test_an_encrypted_zip_is_refused(folder):
    path = make_zip(folder / 'a.zip', {'a.wav': b'1'}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b'PK\x01\x02') + 8] |= 1
    path.write_bytes(data)
    refused(path, "holds 'a.wav', which is encrypted")


@pytest.mark.parametrize('kind', ['zip', 'tar.gz', 'tar.xz', 'tar'])
def test_damaged_archives_are_one_line(folder, kind):
    path = folder / f'a.{kind}'
    path.write_bytes(b'')
    refused(path, 'is damaged')
    path.write_bytes(b'<html>not found</html>' * 100)
    refused(path, 'is damaged')
    data = os.urandom(300_000)
    {'zip': make_zip, 'tar': lambda p, m: make_tar(p, m, 'w'), 'tar.xz': lambda p, m: make_tar(p, m, 'w:xz'),
     'tar.gz': make_tar}[kind](path, {'a.wav': data})
    path.write_bytes(path.read_bytes()[:150_000])
    refused(path, 'is damaged')


def test_a_flipped_bit_is_noticed_in_a_zip(folder):
    path = make_zip(folder / 'a.zip', {'a.wav': bytes(range(256)) * 100}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    refused(path, 'is damaged, or no archive .Bad CRC-32')


def test_a_full_disk_is_one_line(folder, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    path = make_zip(folder / 'a.zip', GOOD)
    monkeypatch.setattr(module, '_copy', full)
    refused(path, r"a\.zip' cannot be unpacked: No space left on device")
