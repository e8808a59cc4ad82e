"""Audio files by name: folders, order, what cannot be used."""

import numpy as np
import pytest
import soundfile

from ser.errors import SerError
from ser.inference.recordings import BadRecording, find_recordings, read_recording
from ser.shards.decode import decode
from tests.shard_factory import audio_bytes, tone


def test_order_is_as_given_and_folders_are_searched(tmp_path):
    for name in ('b/take10.wav', 'b/take2.FLAC', 'b/deep/er/x.mp3', 'b/notes.txt', 'b/.hidden.wav', 'a.wav', 'odd.bin'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'none').mkdir()
    given = [str(tmp_path / name) for name in ('odd.bin', 'b', 'gone.wav', 'none', 'a.wav', 'a.wav')]
    found = find_recordings([*given, ''])
    names = [named.path.relative_to(tmp_path).as_posix() for named in found[:-1]]
    assert names == ['odd.bin', 'b/deep/er/x.mp3', 'b/take2.FLAC', 'b/take10.wav', 'gone.wav', 'none', 'a.wav', 'a.wav']
    faults = {named.path.name: named.fault for named in found if named.fault}
    assert faults['gone.wav'] == 'no such file'
    assert faults['none'].startswith('no audio file in this folder')
    assert found[-1].fault == 'an empty name'


def test_nothing_to_work_on_is_refused(tmp_path):
    with pytest.raises(SerError, match=r'gone.wav: no such file. Give audio files'):
        find_recordings([str(tmp_path / 'gone.wav')])
    with pytest.raises(SerError, match=r'no such file \(1 more cannot be used either\)'):
        find_recordings([str(tmp_path / 'gone.wav'), str(tmp_path)])
    with pytest.raises(SerError, match='not a plain file'):
        find_recordings(['/dev/null'])


@pytest.mark.parametrize('suffix', ['flac', 'wav', 'ogg', 'mp3'])
def test_samples_are_those_of_a_shard(tmp_path, suffix):
    data = audio_bytes(tone(3, 0.5, 48000), 48000, suffix)
    (tmp_path / f'x.{suffix}').write_bytes(data)
    assert np.array_equal(read_recording(tmp_path / f'x.{suffix}', 16000), decode(data, f'.{suffix}', 16000).samples)


def test_what_a_file_is_its_bytes_say(tmp_path):
    samples = tone(1)
    (tmp_path / 'wrong.wav').write_bytes(audio_bytes(samples, 16000, 'flac'))
    assert np.array_equal(read_recording(tmp_path / 'wrong.wav', 16000), samples)


def test_channels_are_averaged_and_other_containers_are_read(tmp_path):
    left, right = tone(1), tone(2)
    both = np.stack([left, right], axis=1)
    for name, container in (('x.aiff', 'AIFF'), ('x.caf', 'CAF'), ('x.wav', 'WAV')):
        soundfile.write(tmp_path / name, both, 16000, format=container, subtype='PCM_16')
        mean = np.rint((left.astype(float) + right) / 2)
        assert np.array_equal(read_recording(tmp_path / name, 16000), mean), name


def bad(path):
    with pytest.raises(BadRecording) as caught:
        read_recording(path, 16000)
    return str(caught.value)


def test_every_kind_of_bad_file_says_why(tmp_path):
    path = tmp_path / 'x.wav'
    assert bad(path) == 'cannot be opened (No such file or directory)'
    path.write_bytes(b'')
    assert bad(path) == 'empty file'
    path.write_text('this is no audio at all')
    assert bad(path).startswith('cannot be decoded')
    whole = audio_bytes(tone(1), 16000, 'wav')
    path.write_bytes(whole[:len(whole) // 2])
    assert 'cut short' in bad(path)
    flac = bytearray(audio_bytes(tone(1)))
    path.write_bytes(flac[:len(flac) // 2])
    assert bad(path)
    flac[len(flac) // 2] ^= 255
    path.write_bytes(flac)
    assert bad(path)
    path.write_bytes(audio_bytes(np.zeros(0, np.int16), 16000, 'wav'))
    assert bad(path) == 'empty: it holds no samples'
    path.write_bytes(audio_bytes(np.full(9, np.nan, np.float32), 16000, 'wav', 'FLOAT'))
    assert 'NaN' in bad(path)


def test_a_file_beyond_the_bound_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr('ser.inference.recordings.MAX_BYTES', 100)
    (tmp_path / 'x.flac').write_bytes(audio_bytes(tone(1)))
    assert bad(tmp_path / 'x.flac').startswith('larger than')
