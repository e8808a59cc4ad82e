import hashlib
import tarfile

from ser.shards.tar import TarWriter


def test_a_plain_tar_with_nothing_of_the_machine_in_it(tmp_path):
    tar = TarWriter(tmp_path / 'a.tar')
    spans = {'x.flac': tar.add('x.flac', b'a' * 700), 'x.json': tar.add('x.json', b'{}'), 'e': tar.add('e', b'')}
    size, digest = tar.finish()
    data = (tmp_path / 'a.tar').read_bytes()
    assert len(data) == size and size % 10240 == 0 and data[-1024:] == bytes(1024)
    assert hashlib.sha256(data).hexdigest() == digest
    with tarfile.open(tmp_path / 'a.tar', 'r:') as read:
        assert [member.name for member in read] == list(spans)
        for member in read.getmembers():
            assert (member.mtime, member.uid, member.gid, member.mode, member.uname) == (0, 0, 0, 0o644, '')
            assert member.isreg() and member.pax_headers == {}
            offset, length = spans[member.name]
            assert (offset, length) == (member.offset_data, member.size)
            assert data[offset:offset + length] == read.extractfile(member).read()


def test_names_over_100_characters_are_kept_whole(tmp_path):
    name = 'k' * 150 + '.flac'
    tar = TarWriter(tmp_path / 'a.tar')
    offset, length = tar.add(name, b'abc')
    tar.finish()
    with tarfile.open(tmp_path / 'a.tar', 'r:') as read:
        assert read.getnames() == [name]
    assert (tmp_path / 'a.tar').read_bytes()[offset:offset + length] == b'abc'
