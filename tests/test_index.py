"""The index: agreement with plain readers, parts, the digest, and the refusals."""

import hashlib
import io
import json
import shutil
import tarfile

import pytest

from ser.config.data import DataConfig
from ser.errors import SerError
from ser.shards.index import build_index
from ser.shards.reader import EvaluationBatches
from tests.shard_factory import audio_bytes, make_shards, read_with_webdataset, sample, tone, write_tar


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp('cache')
    monkeypatch.setenv('XDG_CACHE_HOME', str(folder))
    return folder


def index_of(*paths, **options):
    return build_index(DataConfig(shards=tuple(map(str, paths)), **options))


def refused(said, *paths, **options):
    with pytest.raises(SerError) as error:
        index_of(*paths, **options)
    assert said in str(error.value), str(error.value)
    assert '\n' not in str(error.value)


def test_the_same_samples_as_webdataset_and_tarfile(tmp_path):
    paths = make_shards(tmp_path / 'shards')
    index = index_of(tmp_path / 'shards')
    assert [shard.name for shard in index.shards] == [path.name for path in paths]
    assert [shard.sha256 for shard in index.shards] == [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths]
    theirs = read_with_webdataset(paths)
    assert [row.key for row in index.rows] == list(theirs)
    for row in index.rows:
        with tarfile.open(index.shards[row.shard].path, 'r:') as tar:
            member = tar.getmember(row.key + row.suffix)
            assert (row.offset, row.size) == (member.offset_data, member.size)
        assert hashlib.sha256(theirs[row.key]['flac']).hexdigest() == row.audio_sha256
        metadata = json.loads(theirs[row.key]['json'])
        assert row.metadata == metadata
        assert (row.emotion, row.speaker, row.sample_rate, row.frames, row.part) == (
            metadata['emotion'], metadata['speaker'], 16000, metadata['frames'], None)


def test_the_digest_knows_contents_and_not_places(tmp_path):
    paths = make_shards(tmp_path / 'a')
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    digest = index_of(tmp_path / 'a').digest
    assert index_of(*(tmp_path / 'b' / path.name for path in reversed(paths))).digest == digest
    assert index_of(*paths[:2]).digest != digest
    assert index_of(paths[0], valid_shards=(str(paths[1]),), test_shards=(str(paths[2]),)).digest != digest
    data = bytearray(paths[0].read_bytes())
    data[600] ^= 1
    (tmp_path / 'b' / paths[0].name).write_bytes(data)
    refused("at byte 512: the bytes of 'test-s01-neutral-0.flac' are not those its JSON recorded", tmp_path / 'b')
    assert index_of(tmp_path / 'b', on_error='skip').digest != digest


def test_shards_per_part(tmp_path):
    paths = make_shards(tmp_path)
    index = index_of(paths[2], *paths[3:], valid_shards=(str(paths[0]),), test_shards=(str(paths[1]),))
    assert [shard.part for shard in index.shards[:3]] == ['valid', 'test', 'train']
    assert all(row.part == index.shards[row.shard].part for row in index.rows)
    refused('is named by both --shards and --test-shards', *paths, test_shards=(str(paths[0]),))
    (tmp_path / 'copy').mkdir()
    copy = shutil.copy(paths[0], tmp_path / 'copy' / 'other.tar')
    refused('(parts test and train). Keys must be unique', *paths, test_shards=(str(copy),))
    refused('Keys must be unique: a copy would be counted twice', *paths, copy)


def test_foreign_shards(tmp_path):
    audio = audio_bytes(tone(1), suffix='wav')
    path = write_tar(tmp_path / 'x.tar', [
        ('p/a.wav', audio), ('p/a.json', json.dumps({'label': 'Anger', 'speaker_id': 7, 'sha256': '0' * 64,
                                                     'sample_rate': True, 'frames': -1}).encode()),
        ('p/a.txt', b'what was said in this clip'), ('p/b.wav', audio), ('p/b.cls', b'1'), ('p/b.png', b'')])
    index = index_of(path, classes=('calm', 'joy'))
    first, second = index.rows
    assert (first.emotion, first.raw_label, first.speaker) == ('angry', 'Anger', '7')
    assert (first.sample_rate, first.frames) == (None, None)
    # A sha256 in JSON of another layout may mean anything: the member's own counts.
    assert first.audio_sha256 == second.audio_sha256 == hashlib.sha256(audio).hexdigest()
    assert (second.emotion, second.raw_label, second.speaker, second.metadata) == ('happy', 'joy', None, {})
    assert index.ignored == {'text members (.txt)': 1, 'image members (.png)': 1}
    refused("sample 'p/b': .cls is the integer 1. Name the integers", path)
    refused("sample 'p/b': no label at json:label", path, label='json.label')


@pytest.mark.parametrize('absurd', [10**400, 1 << 40, -3, 0, True, 2.5, '3'])
def test_an_absurd_length_in_json_is_no_length(tmp_path, absurd):
    path = write_tar(tmp_path / 'x.tar', [*sample('a', frames=absurd), *sample('b', sample_rate=absurd)])
    index = index_of(path)
    assert (index.rows[0].frames, index.rows[1].sample_rate) == (None, None)
    EvaluationBatches(index, DataConfig(max_seconds=1.0), ('happy',)).check_lengths([0, 1])


def test_the_longest_length_that_json_may_say(tmp_path):
    index = index_of(write_tar(tmp_path / 'x.tar', sample('a', frames=(1 << 40) - 1)))
    assert index.rows[0].frames == (1 << 40) - 1
    with pytest.raises(SerError, match=r'a\.flac lasts 68719476\.7 s, over data\.max_seconds 1'):
        EvaluationBatches(index, DataConfig(max_seconds=1.0), ('happy',)).check_lengths([0])


def test_odd_speakers_are_refused(tmp_path):
    refused("sample 'a': JSON 'speaker' is '[1]'", write_tar(tmp_path / 'y.tar', sample('a', speaker=[1])))
    refused("JSON 'speaker' is", write_tar(tmp_path / 'y.tar', sample('a', speaker='x\ny')))


def test_the_manifest_is_checked(tmp_path):
    paths = make_shards(tmp_path)
    listed = [{'name': p.name, 'sha256': hashlib.sha256(p.read_bytes()).hexdigest()} for p in paths]
    manifest = tmp_path / 'shards.json'
    manifest.write_text(json.dumps({'format': 1, 'shards': listed}))
    assert index_of(tmp_path).notes == ()
    assert index_of(paths[0]).notes == (f'{tmp_path}: 1 of the {len(paths)} shards in shards.json are used',)
    listed[1]['sha256'] = '0' * 64
    manifest.write_text(json.dumps({'format': 1, 'shards': listed}))
    refused(f'{paths[1]}: its sha256 is not the one in shards.json beside it', tmp_path)
    manifest.write_text('{')
    refused('shards.json: damaged', tmp_path)
    manifest.write_text('{"mine": 1}')
    assert index_of(tmp_path).notes == ()


def test_damaged_and_missing_shards(tmp_path):
    path = make_shards(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-20000])
    refused('truncated', path)
    refused('no such shards', tmp_path / 'none.tar')
    refused('no shards are named')


def test_every_cut_between_members_is_refused(tmp_path):
    path = make_shards(tmp_path)[0]
    whole = path.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        ends = [member.offset for member in tar.getmembers()[1:]]
    for end in ends:
        path.write_bytes(whole[:end])
        refused('truncated', path)


def written_digest(index, sets=()):
    """The digest by its definition, independent of the field order of Row."""
    lines = [[shard.name, shard.sha256, shard.part, *name] for shard, name in
             zip(index.shards, sets or [()] * len(index.shards), strict=True)]
    lines += [[row.key, row.shard, row.offset, row.size, row.suffix, row.emotion, row.raw_label, row.speaker, row.part,
               row.sample_rate, row.frames, row.audio_sha256, row.metadata] for row in index.rows]
    text = ''.join(json.dumps(line, sort_keys=True) + '\n' for line in lines)
    return hashlib.sha256(text.encode()).hexdigest()


def test_sets_name_corpora(tmp_path):
    for name in ('one', 'two'):
        members = [member for speaker in ('s1', 's2') for member in
                   sample(f'{name}-{speaker}', corpus=name, speaker=speaker)]
        write_tar(tmp_path / name / 'x.tar', members)
    plain = index_of(tmp_path / 'one', tmp_path / 'two')
    assert plain.digest == written_digest(plain)
    assert [row.corpus for row in plain.rows] == [row.origin for row in plain.rows]
    named = index_of(f'two={tmp_path}/two', f'mine={tmp_path}/one/x.tar')
    assert named.digest == written_digest(named, [(shard.set_name,) for shard in named.shards]) != plain.digest
    assert {(row.origin, row.corpus, row.set_name) for row in named.rows} == {('one', 'mine', 'mine'),
                                                                              ('two', 'two', 'two')}
    assert {named.speaker_name(row) for row in named.rows} == {'mine/s1', 'mine/s2', 'two/s1', 'two/s2'}
    assert index_of(f'mine={tmp_path}/one', f'two={tmp_path}/two').digest == named.digest and named.notes == ()
    assert index_of(f'a={tmp_path}/one').speaker_name(named.rows[0]) == 's1'


def test_sets_that_cut_across_corpora_are_noted(tmp_path):
    for name, corpus in (('a', 'one'), ('b', 'one'), ('c', 'two')):
        write_tar(tmp_path / name / 'x.tar', sample(name, corpus=corpus))
    assert index_of(f'p={tmp_path}/a', f'q={tmp_path}/b', f'q={tmp_path}/c').notes == (
        "set 'q' holds several corpora (one, two): its speakers are told apart by their names alone",
        "corpus 'one' is in several sets (p, q), perhaps with the same speakers")


def test_sets_that_clash(tmp_path):
    paths = make_shards(tmp_path / 'a')
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    refused("(sets 'one' and 'two'). Keys must be unique: a copy would be counted twice, or leak into another part. "
            'Name one of them only, or build one again with its files in a folder of another name',
            f'one={tmp_path}/a', f'two={tmp_path}/b')
    refused('some shards are in a named set and some are not', f'one={paths[0]}', valid_shards=(str(paths[1]),))
    parts = index_of(f'one={paths[0]}', valid_shards=(f'two={paths[1]}',), test_shards=(f'two={paths[2]}',))
    assert {(row.part, row.corpus) for row in parts.rows} == {('train', 'one'), ('valid', 'two'), ('test', 'two')}
