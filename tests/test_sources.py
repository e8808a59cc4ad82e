"""What a command line names: shards and standard input beside files."""

import io
import json
import types

import numpy as np
import pytest

from ser.errors import SerError
from ser.inference.recordings import BadRecording
from ser.inference.sources import find_sources
from tests.shard_factory import audio_bytes, make_shards, sample, tone, write_tar


def shown(found, folder):
    return [named.path.relative_to(folder).as_posix() for named in found]


def test_a_shard_is_its_clips(tmp_path):
    paths = make_shards(tmp_path / 'shards', n_speakers=1, shard_sizes=(3, 1), suffix='wav')
    assert len(paths) > 2
    one = find_sources([str(paths[0])])
    assert shown(one, tmp_path) == [f'shards/test-00000.tar/test-s01-{name}' for name in (
        'neutral-0', 'neutral-1', 'happy-0')]
    assert np.array_equal(one[1].samples(16000), tone(1, 0.4 * 1.1))
    everything = find_sources([str(path) for path in paths])
    assert len(everything) == 8
    for way in ('shards', 'shards/*.tar', 'shards/test-{00000..00005}.tar'):
        assert [named for named in find_sources([str(tmp_path / way)]) if not named.fault] == everything, way


def test_a_pattern_finds_folders_of_shards_beside_files(tmp_path):
    make_shards(tmp_path / 'shards', n_speakers=1, emotions=('happy',))
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'z.flac').write_bytes(audio_bytes(tone(1)))
    assert shown(find_sources([str(tmp_path / '*')]), tmp_path) == [
        'z.flac', *(f'shards/test-00000.tar/test-s01-happy-{number}' for number in range(2))]


def test_labels_are_not_needed_and_files_may_stand_beside(tmp_path):
    data = audio_bytes(tone(1))
    write_tar(tmp_path / 'plain.tar', [('a/x.flac', data), ('a/y.FLAC', data)])
    (tmp_path / 'z.flac').write_bytes(data)
    found = find_sources([str(tmp_path / 'z.flac'), str(tmp_path / 'plain.tar')])
    assert shown(found, tmp_path) == ['z.flac', 'plain.tar/a/x', 'plain.tar/a/y']
    assert all(np.array_equal(named.samples(16000), tone(1)) for named in found)
    # Audio files come first: a folder that holds some is no folder of shards.
    assert shown(find_sources([str(tmp_path)]), tmp_path) == ['z.flac']


def test_a_damaged_shard_is_an_error_that_names_it(tmp_path):
    good, = make_shards(tmp_path, n_speakers=1, emotions=('happy',))
    (tmp_path / 'cut.tar').write_bytes(good.read_bytes()[:5000])
    found = find_sources([str(tmp_path / 'cut.tar'), str(good)])
    assert [named.path.name for named in found] == ['cut.tar', 'test-s01-happy-0', 'test-s01-happy-1']
    assert found[0].fault.startswith('not a usable shard: at byte')
    with pytest.raises(SerError, match=r'cut\.tar: not a usable shard: at byte'):
        find_sources([str(tmp_path / 'cut.tar')])
    with pytest.raises(SerError, match=r'cut\.tar.*\(1 more cannot'):
        find_sources([str(tmp_path / 'cut.tar'), str(tmp_path / 'gone.tar')])


def test_a_flipped_bit_is_noticed_by_the_builders_record(tmp_path):
    (name, audio), (other, text) = sample('x', suffix='wav')
    flipped = bytearray(audio)
    flipped[-1] ^= 1
    named, = find_sources([str(write_tar(tmp_path / 'x.tar', [(name, bytes(flipped)), (other, text)]))])
    with pytest.raises(BadRecording, match='sha256 differs'):
        named.samples(16000)
    # What other builders call sha256 may be of something else.
    strange = json.dumps({'sha256': 'of something else'}).encode()
    named, = find_sources([str(write_tar(tmp_path / 'y.tar', [(name, audio), (other, strange)]))])
    assert len(named.samples(16000)) == len(tone(0))




def standard_input(monkeypatch, data, terminal=False):
    monkeypatch.setattr('sys.stdin', types.SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: terminal))


def test_standard_input_is_one_audio_file(monkeypatch):
    standard_input(monkeypatch, audio_bytes(tone(1)))
    first, second = find_sources(['-', '-'])
    assert str(first.path) == '-' and np.array_equal(first.samples(16000), tone(1))
    assert second.fault == 'standard input can be read once'


def test_standard_input_without_a_file_is_refused(monkeypatch, tmp_path):
    standard_input(monkeypatch, b'')
    with pytest.raises(SerError, match='-: nothing came through standard input'):
        find_sources(['-'])
    standard_input(monkeypatch, b'x', terminal=True)
    with pytest.raises(SerError, match='-: nothing is piped into standard input'):
        find_sources(['-'])
    monkeypatch.setattr('sys.stdin', None)
    with pytest.raises(SerError, match='nothing is piped'):
        find_sources(['-', ''])


def test_standard_input_is_bounded(monkeypatch):
    for module in ('recordings', 'sources'):
        monkeypatch.setattr(f'ser.inference.{module}.MAX_BYTES', 100)
    standard_input(monkeypatch, audio_bytes(tone(1)))
    named, = find_sources(['-'])
    assert len(named.data) == 101
    with pytest.raises(BadRecording, match='larger than'):
        named.samples(16000)
