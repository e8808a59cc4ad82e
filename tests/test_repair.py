"""The folder that a repair writes: whole or not at all, and a build's like any other."""

import json
from hashlib import sha256

import pytest

from ser.errors import SerError
from ser.shards import repair as module
from ser.shards.doctor import examine_shards
from ser.shards.publish import PARTIAL
from ser.shards.repair import check_empty, repair
from ser.shards.sample_label import LabelSource
from tests.shard_factory import sample, tar_bytes


@pytest.fixture
def damaged(tmp_path):
    """Examinations of a shard whose second sample of three lost its JSON."""
    members = [member for number, key in enumerate('abc') for member in sample(key, number, seconds=0.05)]
    (tmp_path / 'x.tar').write_bytes(tar_bytes([member for member in members if member[0] != 'b.json']))
    found, _ = examine_shards([tmp_path / 'x.tar'], LabelSource(), jobs=1)
    return list(found)


def test_the_manifest_counts_what_is_there_and_what_is_not(damaged, tmp_path):
    (tmp_path / 'shards.json').write_text(json.dumps({'format': 1, 'corpus': 'mine', 'licence': 'free', 'shards': []}))
    assert repair(damaged, tmp_path / 'out') == ('x.tar',)
    manifest = json.loads((tmp_path / 'out' / 'shards.json').read_text())
    assert {name: manifest[name] for name in ('corpus', 'licence', 'title', 'utterances', 'seconds', 'emotions',
                                              'speakers', 'skipped')} == {
        'corpus': 'mine', 'licence': 'free', 'title': None, 'utterances': 2, 'seconds': 0.1, 'emotions': {'happy': 2},
        'speakers': {'s1': 2}, 'skipped': {'label': 1}}
    data = (tmp_path / 'out' / 'x.tar').read_bytes()
    for line in map(json.loads, (tmp_path / 'out' / 'index.jsonl').read_text().splitlines()):
        for part, name in (('audio', f'{line["key"]}.flac'), ('json', f'{line["key"]}.json')):
            span = line[part]
            content = dict(sample(line['key'], 'abc'.index(line['key']), seconds=0.05))[name]
            assert span['name'] == name and data[span['offset']:span['offset'] + span['size']] == content
    index = (tmp_path / 'out' / 'index.jsonl').read_bytes()
    assert manifest['index'] == {'name': 'index.jsonl', 'size': len(index), 'sha256': sha256(index).hexdigest()}


def test_an_index_that_does_not_say_all_of_a_sample_is_not_promised(tmp_path):
    members = [*sample('a', 0, seconds=0.05), ('a.lab', b'words'), *sample('b', 1, seconds=0.05)[:1]]
    (tmp_path / 'x.tar').write_bytes(tar_bytes(members))
    found, _ = examine_shards([tmp_path / 'x.tar'], LabelSource(), jobs=1)
    assert repair(list(found), tmp_path / 'out') == ('x.tar',)
    assert 'index' not in json.loads((tmp_path / 'out' / 'shards.json').read_text())


def test_a_shard_that_changes_meanwhile_and_a_full_disk_leave_nothing(damaged, tmp_path, monkeypatch):
    path = tmp_path / 'x.tar'
    whole = path.read_bytes()
    path.write_bytes(whole[:600] + b'!' + whole[601:])
    with pytest.raises(SerError, match='x.tar: changed while it was repaired. Start again'):
        repair(damaged, tmp_path / 'out')
    path.write_bytes(whole)

    def full(path, data):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(module, 'write_file', full)
    with pytest.raises(SerError, match=r"cannot write to '.*out': No space left on device"):
        repair(damaged, tmp_path / 'out')
    assert sorted(found.name for found in tmp_path.iterdir()) == ['x.tar']


def test_what_a_killed_repair_left_is_no_obstacle(damaged, tmp_path):
    (tmp_path / 'out' / PARTIAL).mkdir(parents=True)
    (tmp_path / 'out' / PARTIAL / 'x.tar').write_bytes(b'half')
    check_empty(tmp_path / 'out')
    assert repair(damaged, tmp_path / 'out') == ('x.tar',)
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['index.jsonl', 'shards.json', 'skipped.csv',
                                                                          'x.tar']
    with pytest.raises(SerError, match='the folder holds something'):
        repair(damaged, tmp_path / 'out')
