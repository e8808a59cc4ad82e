"""Members to samples: keys, kinds and bounded JSON."""

import json

import pytest

from ser.errors import SerError
from ser.shards.shard_scan import MAX_JSON_BYTES, ShardScan, parse_json, scan_shard
from tests.shard_factory import write_tar


def scan(tmp_path, members, wanted=('cls', 'txt'), folder=()):
    return scan_shard(write_tar(tmp_path / 'x.tar', members, folder), wanted)


def refused(tmp_path, members, *said):
    with pytest.raises(SerError) as error:
        scan(tmp_path, members)
    assert all(text in str(error.value) for text in ('x.tar', *said)), str(error.value)


def test_a_key_ends_at_the_first_dot_and_keeps_its_folder(tmp_path):
    found = scan(tmp_path, [('v1.0/a.mic.WAV', b'a'), ('v1.0/a.json', b'{"x": 1}'), ('b.flac', b'b'), ('b.cls', b'3')])
    assert [(s.key, s.suffix, s.metadata, s.texts) for s in found.samples] == [
        ('v1.0/a', '.mic.wav', {'x': 1}, {}), ('b', '.flac', {}, {'cls': '3'})]
    assert ShardScan.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_text_images_folders_and_archive_notes_are_ignored_and_counted(tmp_path):
    found = scan(tmp_path, [('__meta__', b''), ('a.wav', b'a'), ('a.png', b''), ('a.words.txt', b'x'), ('a.lab', b''),
                            ('b.wav', b'b'), ('b.txt', b'\xff'), ('b.cls', b'x' * 5000)], folder=('d',))
    assert found.ignored == {'archive notes (__name__)': 1, 'image members (.png)': 1, 'text members (.txt)': 1,
                             'text members (.lab)': 1, 'folders': 1}
    assert found.samples[1].texts == {'txt': None, 'cls': None}


@pytest.mark.parametrize(('members', 'said'), [
    ([('a.wav', b''), ('a.pkl', b'')], "'a.pkl' may hold a pickle and is refused"),
    ([('a.wav', b''), ('a.npy', b'')], 'may hold a pickle'), ([('a.wav', b''), ('a.x', b'')], 'of an unknown kind'),
    ([('a.m4a', b'')], 'unknown kind'), ([('README', b'')], 'has no suffix'),
    ([('a.json', b'{}'), ('b.wav', b'')], "sample 'a' has no audio member (it has .json)"),
    ([('a.0.wav', b''), ('a.1.wav', b'')], "sample 'a' has 2 audio members (it has .0.wav, .1.wav)"),
    ([('a.wav', b''), ('a.WAV', b'')], "member 'a.WAV' is there twice (again at byte 1024)"),
    ([('a.wav', b''), ('b.wav', b''), ('a.json', b'{}')], "key 'a' comes again at byte 1536, after other samples"),
    ([('a.wav', b''), ('a.json', b'[]')], "the JSON of sample 'a' is a list, not an object"),
    ([('a.wav', b''), ('a.json', b'{')], "'a.json': damaged JSON"),
    ([('a.wav', b''), ('a.json', b' ' * (MAX_JSON_BYTES + 1))], 'more than 1048576 for JSON'), ([], 'holds no sample')])
def test_shards_that_are_refused(tmp_path, members, said):
    refused(tmp_path, members, said)


@pytest.mark.parametrize(('data', 'said'), [
    (b'\xff', 'not UTF-8'), (b'{"a": NaN}', 'NaN'), (b'{"a": 1, "a": 2}', 'comes twice'), (b'', 'damaged JSON'),
    (b'[' * 33 + b']' * 33, 'deeper than 32'), (b'[' * 100000, 'deeper than 32'), (b'{"a":' * 9000, 'deeper than 32'),
    (b'1' * 5000, 'digits')])
def test_json_is_bounded(data, said):
    with pytest.raises(ValueError, match=said):
        parse_json(data)
    assert parse_json(b'[' * 32 + b']' * 32)
    assert parse_json(b'\xef\xbb\xbf{"a": [1, {}]}') == {'a': [1, {}]}
