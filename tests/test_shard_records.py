"""What the builder wrote beside its shards."""

import json

import pytest

from ser.shards.shard_records import Record, Records

LINE = {'key': 'a', 'shard': 'x.tar', 'sha256': '0' * 64, 'metadata': {'emotion': 'sad'}}


def write(folder, lines, shards=('x.tar',)):
    for name in shards:
        (folder / name).write_bytes(b'')
    (folder / 'shards.json').write_text(json.dumps(
        {'format': 1, 'shards': [{'name': name, 'sha256': 'f' * 64} for name in shards]}))
    (folder / 'index.jsonl').write_text(''.join(f'{line if isinstance(line, str) else json.dumps(line)}\n'
                                                for line in lines))


def test_a_hash_and_a_line_for_each_sample(tmp_path):
    write(tmp_path, [LINE, LINE | {'key': 'b', 'shard': 'y.tar'}])
    records = Records()
    assert records.of(tmp_path / 'x.tar') == Record('f' * 64, {'a': ('0' * 64, {'emotion': 'sad'})})
    assert records.of(tmp_path / 'z.tar') == Record(None, None) and records.notes == []


def test_without_a_manifest_nothing_is_recorded(tmp_path):
    write(tmp_path, [LINE])
    (tmp_path / 'shards.json').unlink()
    assert Records().of(tmp_path / 'x.tar') == Record(None, None)
    write(tmp_path, [])
    (tmp_path / 'index.jsonl').unlink()
    assert Records().of(tmp_path / 'x.tar') == Record('f' * 64, None)


@pytest.mark.parametrize('line', ['{', '[]', '{"key": "a"}', json.dumps(LINE | {'sha256': 'no'}),
                                  json.dumps(LINE | {'sha256': 3}), json.dumps(LINE | {'metadata': []})])
def test_a_damaged_line_is_noted_and_none_is_used(tmp_path, line):
    write(tmp_path, [LINE, line])
    records = Records()
    assert records.of(tmp_path / 'x.tar') == Record('f' * 64, None)
    assert records.notes == [f'{tmp_path / "index.jsonl"}: line 2 is damaged. Nothing is compared with it']
