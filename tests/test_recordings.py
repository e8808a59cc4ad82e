"""Audio files by name: folders, patterns, order, what cannot be used."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.errors import SerError
from ser.inference.recordings import BadRecording, Named, Span, find_recordings, named_by, read_bytes, read_recording
from ser.shards.decode import decode
from tests.shard_factory import audio_bytes, tone


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_order_is_as_given_and_folders_are_searched(tmp_path):
    touch(tmp_path, 'b/take10.wav', 'b/take2.FLAC', 'b/deep/er/x.mp3', 'b/notes.txt', 'b/.hidden.wav', 'a.wav',
          'odd.bin')
    (tmp_path / 'none').mkdir()
    given = [str(tmp_path / name) for name in ('odd.bin', 'b', 'gone.wav', 'none', 'a.wav', 'a.wav')]
    found = find_recordings([*given, ''])
    names = [named.path.relative_to(tmp_path).as_posix() for named in found[:-1]]
    assert names == ['odd.bin', 'b/deep/er/x.mp3', 'b/take2.FLAC', 'b/take10.wav', 'gone.wav', 'none', 'a.wav', 'a.wav']
    faults = {named.path.name: named.fault for named in found if named.fault}
    assert faults['gone.wav'] == 'no such file'
    assert faults['none'].startswith('no audio file in this folder')
    assert found[-1].fault == 'an empty name'
    assert named_by('https://somewhere/a.wav')[0].fault.startswith('an address, and local files are read: download it')


@pytest.mark.parametrize(('pattern', 'names'), [
    ('*.wav', ['take2.wav', 'take10.wav']),
    ('*', ['take2.wav', 'take10.wav', 'in/deep/x.flac', 'in/y.mp3']),
    ('**', ['in/deep/x.flac', 'in/y.mp3', 'take2.wav', 'take10.wav']),
    ('**/*.flac', ['in/deep/x.flac']),
    ('*.txt', ['notes.txt']),
    ('take{2,10}.wav', ['take2.wav', 'take10.wav']),
    ('take{1..3}.wav', ['take1.wav: no such file', 'take2.wav', 'take3.wav: no such file']),
    ('*.ogg', ['*.ogg: this pattern matches no audio file']),
    ('{in,.}/*.{mp3,wav}', ['in/y.mp3', 'in/*.wav: this pattern matches no audio file',
                            '*.mp3: this pattern matches no audio file', 'take2.wav', 'take10.wav']),
])
def test_patterns_that_no_shell_expanded(tmp_path, monkeypatch, pattern, names):
    touch(tmp_path, 'take10.wav', 'take2.wav', 'notes.txt', '.hidden.wav', 'in/deep/x.flac', 'in/y.mp3')
    monkeypatch.chdir(tmp_path)
    found = find_recordings([pattern, 'take2.wav'])[:-1]
    assert [str(named.path) + (f': {named.fault}' if named.fault else '') for named in found] == names


def test_links_that_go_round_are_searched_once(tmp_path, monkeypatch):
    touch(tmp_path, 'a.wav', 'in/b.wav', 'in/[c]/d.wav', '.hidden/e.wav', 'one.wav/f.txt')
    for name in ('in/up', 'in/up too', 'in/[c]/back'):
        (tmp_path / name).symlink_to(tmp_path)
    expected = ['a.wav', 'in/[c]/d.wav', 'in/b.wav']
    monkeypatch.chdir(tmp_path)
    for pattern in ('**/*.wav', f'{tmp_path}/**', '*/../**/*.wav'):
        assert sorted(os.path.relpath(named.path.resolve(), tmp_path) for named in find_recordings([pattern])
                      ) == expected, pattern
    assert [str(named.path) for named in find_recordings(['in/**/[[]c]/*.wav'])] == ['in/[c]/d.wav']


def test_a_name_is_taken_literally_before_it_is_a_pattern(tmp_path):
    touch(tmp_path, '[1].wav', '1.wav', '{a,b}.wav')
    for name in ('[1].wav', '{a,b}.wav'):
        named, = find_recordings([str(tmp_path / name)])
        assert named.path == tmp_path / name
    with pytest.raises(SerError, match='more than 100000 names'):
        find_recordings(['x{1..999999}.wav'])


def test_names_that_look_odd(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = audio_bytes(tone(1))
    for name in ('-x.flac', os.fsdecode(b'\xff.flac'), 'new\nline.flac'):
        Path(name).write_bytes(data)
        named, = find_recordings([name])
        assert len(named.samples(16000)) == len(tone(1))
    assert len(find_recordings(['*.flac'])) == 3


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
    expected = decode(data, f'.{suffix}', 16000).samples
    assert np.array_equal(read_recording(tmp_path / f'x.{suffix}', 16000), expected)
    assert np.array_equal(read_bytes(data, 16000), expected)


def test_opus_of_two_channels_is_read(tmp_path):
    both = np.stack([tone(1, 1, 48000), tone(2, 1, 48000)], axis=1)
    soundfile.write(tmp_path / 'x.opus', both, 48000, format='OGG', subtype='OPUS')
    assert abs(len(read_recording(tmp_path / 'x.opus', 16000)) - 16000) < 200


def test_what_a_file_is_its_bytes_say(tmp_path):
    samples = tone(1)
    (tmp_path / 'wrong.wav').write_bytes(audio_bytes(samples, 16000, 'flac'))
    assert np.array_equal(read_recording(tmp_path / 'wrong.wav', 16000), samples)


def test_channels_are_averaged_and_other_containers_are_read(tmp_path):
    left, right = tone(1), tone(2)
    both = np.stack([left, right], axis=1)
    mean = np.rint((left.astype(float) + right) / 2)
    for name, container in (('x.aiff', 'AIFF'), ('x.caf', 'CAF'), ('x.wav', 'WAV')):
        soundfile.write(tmp_path / name, both, 16000, format=container, subtype='PCM_16')
        assert np.array_equal(read_recording(tmp_path / name, 16000), mean), name
        assert np.array_equal(read_bytes((tmp_path / name).read_bytes(), 16000), mean), name


def test_a_name_promises_nothing(tmp_path):
    (tmp_path / 'x.raw').write_bytes(bytes(100))
    assert bad(tmp_path / 'x.raw').startswith('cannot be decoded')
    path = tmp_path / os.fsdecode(b'\xff.raw')
    soundfile.write(tmp_path / 'x.aiff', tone(1), 16000, format='AIFF', subtype='PCM_16')
    os.rename(tmp_path / 'x.aiff', path)
    assert np.array_equal(read_recording(path, 16000), tone(1))


def test_flac_weighs_what_its_header_claims(tmp_path):
    both = np.zeros((50000, 2), np.int16)
    for suffix, size in (('flac', 2 * both.size), ('wav', 44 + 2 * both.size)):
        path = tmp_path / f'x.{suffix}'
        path.write_bytes(audio_bytes(both, 16000, suffix))
        assert Named(path).weight() == size
    assert path.with_suffix('.flac').stat().st_size < both.size / 100
    assert Named(path, 'not a plain file').weight() == 0


@pytest.mark.parametrize('subtype', ['VORBIS', 'OPUS'])
def test_ogg_weighs_what_its_last_page_claims(tmp_path, subtype):
    # Long enough for several pages, and silent enough to take next to nothing.
    data = audio_bytes(np.zeros((48000 * 5, 2), np.int16), 48000, 'ogg', subtype)
    (tmp_path / 'x.opus').write_bytes(data)
    span = Span(tmp_path / 'x.tar', 100, len(data), '.ogg', '')
    span.shard.write_bytes(bytes(100) + data + bytes(512))
    for named in (Named(tmp_path / 'x.opus'), Named(Path('-'), data=data), Named(Path('x.tar/x'), span=span)):
        assert named.weight() == pytest.approx(48000 * 5 * 2 * 2, rel=0.01) and named.weight() > 100 * len(data)
    # Cut, or with a last page that claims nothing, as good a guess as of other lossy files.
    cut = data[:40]
    assert Named(Path('-'), data=cut).weight() == 8 * len(cut)
    place = data.rfind(b'OggS')
    silent = data[:place + 6] + b'\xff' * 8 + data[place + 14:]
    assert Named(Path('-'), data=silent).weight() == 8 * len(silent)


def test_where_the_bytes_are_makes_no_difference(tmp_path):
    data = audio_bytes(tone(1))
    (tmp_path / 'x.flac').write_bytes(data)
    (tmp_path / 'x.tar').write_bytes(b'before' + data + b'after')
    span = Span(tmp_path / 'x.tar', 6, len(data), '.flac', hashlib.sha256(data).hexdigest())
    for named in (Named(tmp_path / 'x.flac'), Named(Path('x.tar/x'), span=span), Named(Path('-'), data=data)):
        assert np.array_equal(named.samples(16000), tone(1))
        source = named.source()
        assert (source.read() if isinstance(source, io.BytesIO) else source.read_bytes()) == data
    size = 2 * len(tone(1))
    for weight, named in ((size, Named(Path('x.tar/x'), span=span)), (size, Named(Path('-'), data=data)),
                          (8 * 7, Named(Path('-'), data=b'unknown')), (0, Named(tmp_path / 'gone.wav'))):
        assert named.weight() == weight
    changed = Named(Path('x.tar/x'), span=span._replace(offset=5))
    for use in (lambda: changed.samples(16000), changed.source):
        with pytest.raises(BadRecording, match='damaged: its bytes are not those'):
            use()
    with pytest.raises(BadRecording, match='its shard cannot be read'):
        Named(Path('x'), span=span._replace(shard=tmp_path / 'gone')).source()
    for use in (Named(Path('x'), 'no such file').source, lambda: Named(Path('x'), 'no such file').samples(16000)):
        with pytest.raises(BadRecording, match='no such file'):
            use()


def bad(path):
    with pytest.raises(BadRecording) as caught:
        read_recording(path, 16000)
    return str(caught.value)


def test_every_kind_of_bad_file_says_why(tmp_path):
    path = tmp_path / 'x.wav'
    assert bad(path) == 'cannot be opened (No such file or directory)'
    os.mkfifo(tmp_path / 'pipe.wav')
    assert bad(tmp_path / 'pipe.wav') == 'not a plain file'
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
    path.write_bytes(audio_bytes(np.zeros(2000 * 3601, np.int16), 2000, 'wav'))
    assert bad(path).endswith('Cut it')


def test_a_file_beyond_the_bound_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr('ser.inference.recordings.MAX_BYTES', 100)
    (tmp_path / 'x.flac').write_bytes(audio_bytes(tone(1)))
    assert bad(tmp_path / 'x.flac').startswith('larger than')
