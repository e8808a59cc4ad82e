"""`ser doctor`: what it holds shards against beyond their structure, and what it prints and repairs."""

import csv
import json
import shutil

import pytest
import soundfile

from ser.config.data import DataConfig
from ser.doctor import main
from ser.shards.index import build_index
from ser.shards.write import write_shards
from tests.shard_factory import audio_bytes, make_shards, sample, tone, write_tar


@pytest.fixture(scope='module')
def corpus(tmp_path_factory):
    """A folder with two shards of the builder's, `csv-00000.tar` and `csv-00001.tar`, of three clips each."""
    folder = tmp_path_factory.mktemp('corpus')
    (folder / 'source').mkdir()
    rows = ['path,emotion,speaker']
    for number in range(6):
        soundfile.write(folder / 'source' / f'c{number}.wav', tone(number, 0.1), 16000)
        rows.append(f'c{number}.wav,{("happy", "sad")[number % 2]},s{number}')
    (folder / 'source' / 'metadata.csv').write_text('\n'.join(rows) + '\n')
    write_shards('csv', folder / 'source', folder / 'out', sample_rate=16000, shard_size=3, jobs=1)
    return folder / 'out'


@pytest.fixture
def shards(corpus, tmp_path):
    """A copy to damage."""
    return shutil.copytree(corpus, tmp_path / 'shards')


def examined(capsys, *arguments):
    """(exit code, stdout) of the command in one process."""
    code = main([*map(str, arguments), '--jobs', '1'])
    return code, capsys.readouterr().out


def change(path, old, new):
    data = path.read_bytes()
    assert data.count(old) >= 1 and len(old) == len(new)
    path.write_bytes(data.replace(old, new, 1))


def lines_of(folder):
    return [json.loads(line) for line in (folder / 'index.jsonl').read_text().splitlines()]


def test_good_shards_of_every_kind_and_in_several_processes(corpus, tmp_path, capsys):
    for suffix in ('wav', 'ogg', 'mp3'):
        write_tar(tmp_path / f'{suffix}.tar', [(f'{suffix}.{suffix}', audio_bytes(tone(1, 0.3), 22050, suffix)),
                                               (f'{suffix}.cls', b'happy'), (f'{suffix}.png', b'x')])
    assert main([str(corpus), str(tmp_path), '--jobs', '2']) == 0
    out = capsys.readouterr().out
    assert '9 good samples in 5 shards; none of the shards are damaged' in out
    assert 'note: of 3 samples nothing was recorded, and the format has no checksum' in out


def test_a_changed_label_is_noticed_by_the_index_and_costs_its_sample_alone(shards, tmp_path, capsys):
    change(shards / 'csv-00000.tar', b'"s1"', b'"s7"')
    code, out = examined(capsys, shards, '--repair', tmp_path / 'fixed')
    assert code == 2 and 'its JSON is not the one that index.jsonl recorded' in out and 'manifest 1' in out
    assert [line['key'] for line in lines_of(tmp_path / 'fixed')] == ['csv-c0', 'csv-c2']
    assert 'lost: something of 1 sample;' in out


def test_damage_outside_of_the_samples_is_repaired_without_loss(shards, tmp_path, capsys):
    path = shards / 'csv-00000.tar'
    whole = path.read_bytes()
    change(path, b'}' + bytes(20), b'}' + bytes(19) + b'\1')
    code, out = examined(capsys, path, '--repair', tmp_path / 'fixed')
    assert code == 0 and 'lost: nothing' in out and not (tmp_path / 'fixed' / 'skipped.csv').exists()
    assert (tmp_path / 'fixed' / 'csv-00000.tar').read_bytes() == whole


def test_the_index_tells_which_samples_a_hole_held(shards, tmp_path, capsys):
    path = shards / 'csv-00001.tar'
    data = path.read_bytes()
    first, second = lines_of(shards)[4]['audio']['offset'] - 512, lines_of(shards)[5]['audio']['offset'] - 512
    path.write_bytes(data[:first] + bytes(second - first) + data[second:])
    code, out = examined(capsys, shards, '--repair', tmp_path / 'fixed')
    assert code == 2 and f'at byte {first}: a hole of zeros' in out
    with open(tmp_path / 'fixed' / 'skipped.csv', newline='') as file:
        assert [(row['key'], row['reason']) for row in csv.DictReader(file)] == [('csv-c4', 'not found')]
    manifest, before = (json.loads((folder / 'shards.json').read_text()) for folder in (tmp_path / 'fixed', shards))
    assert manifest['corpus'] == before['corpus'] == 'csv' and manifest['skipped'] == {'not found': 1}
    assert manifest['utterances'] == 2 and [shard['name'] for shard in manifest['shards']] == ['csv-00001.tar']


def test_what_is_recorded_must_be_so(tmp_path, capsys):
    good, short = sample('good', 1, seconds=0.1), sample('short', 2, seconds=0.1)
    other = json.loads(short[1][1]) | {'frames': 1601}
    stranger = json.loads(good[1][1]) | {'sha256': '0' * 64}
    path = write_tar(tmp_path / 'x.tar', [*good, short[0], ('short.json', json.dumps(other).encode()),
                                          ('odd.flac', good[0][1]), ('odd.json', json.dumps(stranger).encode())])
    code, out = examined(capsys, path)
    assert code == 2 and '1 good sample, 2 faults' in out
    assert 'holds 1600 frames at 16000 Hz, but its JSON says 1601 frames at 16000 Hz (length)' in out
    assert 'odd.flac: its bytes are not those that its JSON recorded (sha256 differs) (sha256)' in out


def test_the_checksum_of_flac_is_held_against_its_samples(tmp_path, capsys):
    audio = bytearray(audio_bytes(tone(1, 0.1)))
    path = write_tar(tmp_path / 'x.tar', [('a.flac', bytes(audio)), ('a.cls', b'sad')])
    code, out = examined(capsys, path)
    assert code == 0 and 'note' not in out
    audio[30] ^= 1
    write_tar(path, [('a.flac', bytes(audio)), ('a.cls', b'sad')])
    code, out = examined(capsys, path)
    assert code == 2 and 'decodes to other samples than the MD5 in its header says: damaged (checksum)' in out


def test_pickles_are_left_out_and_told(tmp_path, capsys):
    path = write_tar(tmp_path / 'x.tar', [*sample('a', seconds=0.1), ('a.pkl', b'cos\nsystem\n'), ('README', b'')])
    code, out = examined(capsys, path, '--repair', tmp_path / 'fixed')
    assert code == 2 and "member 'a.pkl' may hold a pickle" in out and "member 'README' has no suffix" in out
    assert 'lost: something of 1 sample, and whatever lay at 1 place that cannot be read' in out
    index = build_index(DataConfig(shards=(str(tmp_path / 'fixed'),)))
    assert [row.key for row in index.rows] == ['a']


def test_labels_are_read_as_training_reads_them(tmp_path, capsys):
    path = write_tar(tmp_path / 'x.tar', [('a.flac', audio_bytes(tone(1, 0.1))), ('a.json', b'{"mood": "sad"}')])
    assert examined(capsys, path)[0] == 2
    assert examined(capsys, path, '--set', 'data.label=json.mood')[0] == 0


def test_records_that_cannot_be_used_are_noted(corpus, shards, capsys):
    (shards / 'index.jsonl').write_text('{"key": "a"}\n')
    code, out = examined(capsys, shards)
    assert code == 0 and 'index.jsonl: line 1 is damaged. Nothing is compared with it' in out
    line = lines_of(corpus)[0] | {'key': 'a\x1b[2Jb'}
    (shards / 'index.jsonl').write_text(json.dumps(line) + '\n')
    code, out = examined(capsys, shards)
    assert code == 0 and 'index.jsonl: line 1 is damaged' in out and '\x1b' not in out
    (shards / 'csv-00001.tar').unlink()
    code, out = examined(capsys, shards)
    assert code == 0 and '1 of the 2 shards in shards.json are not there (csv-00001.tar)' in out
    (shards / 'shards.json').write_text('{')
    code, out = examined(capsys, shards)
    assert code == 0 and 'shards.json: damaged' in out


def test_only_local_tars_are_read(capsys):
    assert main(['s3://bucket/set/', '--set', 'data.remote=true']) == 2
    said = capsys.readouterr().err
    assert 'is not a local path' in said and 'copy the shards' in said and 'data.remote' not in said


def test_long_lists_are_cut_in_print_and_whole_in_json(tmp_path, capsys):
    path = write_tar(tmp_path / 'x.tar', [(f'{n}.txt', b'x') for n in range(30)])
    code, out = examined(capsys, path, '--json', tmp_path / 'found.json')
    found = json.loads((tmp_path / 'found.json').read_text())
    assert code == 2 and 'and 20 more (--json FILE lists all)' in out and 'no one audio member 30' in out
    assert found['good'] is False and len(found['shards'][0]['faults']) == 30
    assert found['shards'][0]['faults'][1] == {
        'reason': 'no one audio member', 'detail': "sample '1' has no audio member (it has 1.txt)", 'offset': 1536,
        'member': '1.txt', 'key': '1'}


def test_copies_lose_nothing_and_other_recordings_of_a_key_do(tmp_path, capsys):
    one, other = sample('a', 1), sample('a', 2)
    path = write_tar(tmp_path / 'copies' / 'x.tar', one)
    write_tar(tmp_path / 'copies' / 'y.tar', [*sample('b', 3), *one])
    code, out = examined(capsys, path.parent, '--repair', tmp_path / 'one')
    assert code == 0 and 'this is the same sample as the one in' in out and 'copy 1' in out and 'lost: nothing' in out
    # The same audio under another label is no copy.
    path = write_tar(tmp_path / 'labels' / 'x.tar', [one[0], ('a.cls', b'happy')])
    write_tar(tmp_path / 'labels' / 'y.tar', [one[0], ('a.cls', b'sad')])
    code, out = examined(capsys, path.parent)
    assert code == 2 and 'key again 1' in out
    path = write_tar(tmp_path / 'others' / 'x.tar', one)
    write_tar(tmp_path / 'others' / 'y.tar', [*sample('b', 3), *other])
    code, out = examined(capsys, path.parent, '--repair', tmp_path / 'two')
    assert code == 2 and 'this is another sample than the one in' in out and 'key again 1' in out
    assert 'lost: something of 1 sample;' in out


def test_repair_refuses_a_folder_that_holds_anything_and_makes_none_in_vain(shards, tmp_path, capsys):
    assert main([str(shards), '--repair', str(shards)]) == 2
    assert 'the folder holds something (csv-00000.tar ...)' in capsys.readouterr().err
    (tmp_path / 'file').write_text('x')
    assert main([str(shards), '--repair', str(tmp_path / 'file')]) == 2
    assert 'a file is there' in capsys.readouterr().err
    assert examined(capsys, shards, '--repair', tmp_path / 'new')[0] == 0
    (shards / 'csv-00000.tar').write_bytes(b'')
    code, out = examined(capsys, shards / 'csv-00000.tar', '--repair', tmp_path / 'new')
    assert code == 2 and 'no sample of the damaged shards is good' in out and not (tmp_path / 'new').exists()
    assert main([str(shards), '--jobs', '0']) == 2
    assert '--jobs 0: a number of processes' in capsys.readouterr().err


def test_repair_is_the_same_to_the_byte_and_tells_equal_names_apart(tmp_path, capsys):
    for name in ('a', 'b'):
        path, = make_shards(tmp_path / name, 1, ('happy', 'sad'), 1, (2,), first_speaker=1 if name == 'a' else 2)
        path.write_bytes(path.read_bytes()[:-10000])
    for out in ('one', 'two'):
        assert examined(capsys, tmp_path / 'a', tmp_path / 'b', '--repair', tmp_path / out)[0] == 2
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in ('one', 'two'))
    assert one == two
    assert sorted(one) == ['00000-test-00000.tar', '00001-test-00000.tar', 'index.jsonl', 'shards.json', 'skipped.csv']
    assert examined(capsys, tmp_path / 'one')[0] == 0


def test_it_does_not_send_to_itself(shards, capsys):
    shard = shards / 'csv-00000.tar'
    shard.write_bytes(shard.read_bytes()[:shard.stat().st_size // 2])
    code, out = examined(capsys, shards)
    assert code == 2 and 'it is truncated' in out and 'ser doctor' not in out
