"""Block by block the same samples as a whole file gives, of any container, and what is refused."""

import io
import tracemalloc

import numpy as np
import pytest
import soundfile

from ser.inference import emotion_stream
from ser.inference.emotion_stream import blocks
from ser.inference.recordings import BadRecording, read_recording
from tests.shard_factory import audio_bytes, tone


def joined(source, rate=16000, **options):
    return np.concatenate(list(blocks(source, rate, **options)))


@pytest.mark.parametrize('suffix', ['wav', 'flac', 'ogg', 'mp3'])
@pytest.mark.parametrize('rate', [16000, 44100, 8000])
def test_blocks_joined_are_the_whole_file(tmp_path, monkeypatch, suffix, rate):
    monkeypatch.setattr(emotion_stream, 'BLOCK_SAMPLES', 1999)
    both = np.stack([tone(1, 1.3, rate), tone(2, 1.3, rate)], axis=1)
    path = tmp_path / f'x.{suffix}'
    path.write_bytes(audio_bytes(both, rate, suffix))
    assert len(list(blocks(path, 16000))) > 10
    assert np.array_equal(joined(path), read_recording(path, 16000))


@pytest.mark.parametrize('subtype', ['PCM_U8', 'PCM_24', 'PCM_32', 'FLOAT', 'DOUBLE', 'ULAW'])
def test_any_width_gives_the_same_16_bits(tmp_path, subtype):
    loud = tone(3, 0.5, 22050) / 32768 * 2.2
    path = tmp_path / 'x.wav'
    soundfile.write(path, loud, 22050, subtype=subtype)
    assert np.array_equal(joined(path), read_recording(path, 16000))


def test_other_containers_odd_names_and_file_objects(tmp_path):
    samples = tone(1)
    for name, container in (('x.aiff', 'AIFF'), ('x.caf', 'CAF'), ('x.raw', 'WAV'), ('x', 'FLAC')):
        soundfile.write(tmp_path / name, samples, 16000, format=container, subtype='PCM_16')
        assert np.array_equal(joined(tmp_path / name), samples), name
    data = audio_bytes(samples)
    held = io.BytesIO(data)
    held.seek(7)
    assert np.array_equal(joined(held), samples) and not held.closed

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.left = data

        def readable(self):
            return True

        def readinto(self, room):
            part, self.left = self.left[:min(len(room), 1000)], self.left[min(len(room), 1000):]
            room[:len(part)] = part
            return len(part)

    assert not Pipe().seekable() and np.array_equal(joined(Pipe()), samples)


@pytest.mark.parametrize('claimed', [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF])
def test_a_wav_that_comes_through_a_pipe_is_read_to_its_end(claimed):
    data = bytearray(audio_bytes(tone(1), 16000, 'wav'))
    data[40:44] = claimed.to_bytes(4, 'little')
    pipe = io.BytesIO(bytes(data))
    pipe.seekable = lambda: False
    assert np.array_equal(joined(pipe), tone(1))


def bad(source, **options):
    with pytest.raises(BadRecording) as caught:
        joined(source, **options)
    return str(caught.value)


def test_every_kind_of_bad_file_says_why(tmp_path, monkeypatch):
    path = tmp_path / 'x.wav'
    assert bad(path) == 'cannot be opened (No such file or directory)'
    path.write_bytes(b'')
    assert bad(path) == 'empty file'
    path.write_text('this is no audio at all')
    assert bad(path).startswith('cannot be decoded: ')
    whole = audio_bytes(tone(1), 16000, 'wav')
    path.write_bytes(whole[:len(whole) // 2])
    assert bad(path) == f'cut short: its header claims 12800 bytes of samples, {len(whole) // 2 - 44} are there'
    path.write_bytes(whole[:36])
    assert bad(path) == "cannot be decoded: Error in WAV file. No 'data' chunk marker"
    path.write_bytes(audio_bytes(np.zeros(0, np.int16), 16000, 'wav'))
    assert bad(path) == 'empty: it holds no samples, or too few for one at 16000 Hz'
    path.write_bytes(audio_bytes(np.ones(5, np.int16), 384000, 'wav'))
    assert bad(path) == 'empty: it holds no samples, or too few for one at 16000 Hz'
    path.write_bytes(audio_bytes(np.full(9, np.nan, np.float32), 16000, 'wav', 'FLOAT'))
    assert bad(path) == 'holds NaN or infinite samples'
    monkeypatch.setattr(emotion_stream, 'MAX_BYTES', 100)
    pipe = io.BytesIO(whole)
    pipe.seekable = lambda: False
    assert bad(pipe).startswith('larger than')


def lying(frames, rate=16000):
    """A FLAC of a second whose header claims so many frames at a rate."""
    data = bytearray(audio_bytes(tone(1, 1.0)))
    bits = int.from_bytes(data[18:26], 'big')
    # 20 bits of rate, 3 of channels, 5 of width, 36 of frames.
    bits = rate << 44 | bits & (0xFF << 36) | frames
    data[18:26] = bits.to_bytes(8, 'big')
    return io.BytesIO(bytes(data))


def test_a_header_that_lies_costs_no_memory_and_is_found_out():
    tracemalloc.start()
    longer = bad(lying(16_000_000))
    assert longer.startswith(('cut short: its header claims 16000000 frames', 'cannot be decoded'))
    assert bad(lying(16000 * 3600 * 20)).startswith('claims 1152000000 frames, more than its ')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert bad(lying(100_000_000)).startswith('would grow ')
    assert bad(lying(0)).startswith(('does not say how many frames', 'empty'))
    assert bad(lying(16000, rate=7)) == 'has an absurd sample rate, 7 Hz (allowed: 2000 to 768000)'
    assert bad(lying(16000 * 61), max_seconds=60).startswith('claims 61 s of 1 channels (allowed: 60 s')
    # More audio than the header says: what it says is taken.
    assert len(joined(lying(4000))) == 4000


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(emotion_stream, 'BLOCK_SAMPLES', 1 << 15)
    peaks = []
    for seconds in (10, 60):
        path = tmp_path / f'{seconds}.wav'
        soundfile.write(path, np.ones((seconds * 32000, 2), np.int16), 32000)
        tracemalloc.start()
        assert sum(map(len, blocks(path, 16000))) == seconds * 16000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 3e6
