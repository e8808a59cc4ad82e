"""Members behind a fault: found again, and none that is not there."""

import tarfile

import pytest

from ser.shards.salvage import Salvage
from tests.shard_factory import tar_bytes

MEMBERS = [('a.wav', b'x' * 700), ('a.json', b'{}'), ('b.wav', b'y' * 1500), ('b.json', b'{"b": 1}'), ('c.txt', b'z')]
WHOLE = tar_bytes(MEMBERS)
# Offsets of the headers: a block each, and the data in whole blocks.
HEADERS = dict(zip((name for name, _ in MEMBERS), (0, 1536, 2560, 4608, 5632), strict=True))


def salvaged(tmp_path, data):
    """(names with their data, [(offset, kind)] of the faults, the Salvage)."""
    path = tmp_path / 'x.tar'
    path.write_bytes(data)
    salvage = Salvage(path, lambda member: True)
    found = [(member.name, content) for member, content, _ in salvage]
    return found, [(fault.offset, fault.kind) for fault in salvage.faults], salvage


def but(*names):
    return [member for member in MEMBERS if member[0] not in names]


def test_a_good_shard_has_no_faults(tmp_path):
    found, faults, salvage = salvaged(tmp_path, WHOLE)
    assert (found, faults, salvage.overrun) == (MEMBERS, [], set())
    assert salvage.sha256 is not None and salvage.size == len(WHOLE)


@pytest.mark.parametrize('name', HEADERS)
def test_one_bad_header_costs_one_member(tmp_path, name):
    data = bytearray(WHOLE)
    data[HEADERS[name] + 3] ^= 1
    found, faults, salvage = salvaged(tmp_path, bytes(data))
    assert found == but(name) and faults == [(HEADERS[name], 'damaged header')] and salvage.sha256 is None


def test_several_faults_are_all_told(tmp_path):
    data = bytearray(WHOLE)
    for name in ('a.json', 'b.json'):
        data[HEADERS[name]:HEADERS[name] + 512] = bytes(512)
    found, faults, _ = salvaged(tmp_path, bytes(data[:6144]))
    assert found == but('a.json', 'b.json', 'c.txt')
    assert faults == [(1536, 'hole of zeros'), (4608, 'hole of zeros'), (6144, 'truncated')]


def test_archives_one_after_the_other(tmp_path):
    found, faults, _ = salvaged(tmp_path, WHOLE + tar_bytes([('d.wav', b'd')]))
    assert found == [*MEMBERS, ('d.wav', b'd')] and faults == [(6656, 'hole of zeros')]


def test_missing_blocks_make_the_member_before_them_doubtful(tmp_path):
    # 512 bytes of b.wav are gone: it takes the header of b.json for its own data.
    found, faults, salvage = salvaged(tmp_path, WHOLE[:3584] + WHOLE[4096:])
    assert [name for name, _ in found] == ['a.wav', 'a.json', 'b.wav', 'b.json', 'c.txt']
    assert salvage.overrun == {3072} and [kind for _, kind in faults] == ['damaged header']


@pytest.mark.parametrize('form', [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_name_that_is_cut_is_not_taken_for_a_name(tmp_path, form):
    info = tarfile.TarInfo('d' * 96 + '.flac.and.more.flac')
    info.size = 3
    header = info.tobuf(form)
    good = WHOLE[:1536] + header + b'abc' + bytes(509) + WHOLE[1536:]
    assert salvaged(tmp_path, good)[0][1] == (info.name, b'abc')
    damaged = bytearray(good)
    damaged[1536 + 4] ^= 1
    found, faults, _ = salvaged(tmp_path, bytes(damaged))
    assert found == MEMBERS
    assert [kind for _, kind in faults] == ['damaged header', 'member name']


@pytest.mark.parametrize(('data', 'kind'), [(b'', 'empty file'), (b'\x1f\x8bxyz', 'compressed'),
                                            (b'j' * 100, 'truncated'), (b'j' * 5000, 'damaged header')])
def test_what_is_no_tar(tmp_path, data, kind):
    found, faults, _ = salvaged(tmp_path, data)
    assert found == [] and [name for _, name in faults] == [kind]


def test_a_file_that_is_not_there(tmp_path):
    salvage = Salvage(tmp_path / 'none.tar', lambda member: True)
    assert list(salvage) == [] and [fault.kind for fault in salvage.faults] == ['unreadable']
