"""What headers may claim, whoever reads the file."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from ser.shards.header_claims import fault_of, fewest_frames


def header(**changes):
    return SimpleNamespace(**{'format': 'WAV', 'samplerate': 16000, 'channels': 1, 'frames': 100, **changes})


@pytest.mark.parametrize(('changes', 'said'), [
    ({'samplerate': 1999}, 'has an absurd sample rate, 1999 Hz (allowed: 2000 to 768000)'),
    ({'samplerate': 768001}, 'has an absurd sample rate, 768001 Hz (allowed: 2000 to 768000)'),
    ({'channels': 65}, 'has 65 channels (allowed: 1 to 64)'), ({'channels': 0}, 'has 0 channels (allowed: 1 to 64)'),
    ({'frames': (1 << 63) - 1}, 'does not say how many frames it has (it was written to a pipe). Encode it again, to a '
                                'file'),
    ({'frames': -1}, 'does not say how many frames it has (it was written to a pipe). Encode it again, to a file'),
    ({'frames': (1 << 23) + 1, 'channels': 2}, 'would grow 3355443 times when it is decoded, to 16777218 samples: no '
                                               'recording does (allowed: 3000 times)'),
    ({'format': 'FLAC', 'frames': 60001}, 'claims 60001 frames, more than its 10 bytes can hold')])
def test_faults(changes, said):
    assert fault_of(header(**changes), 10) == said


def test_what_is_let_through():
    for changes in ({}, {'frames': 0}, {'format': 'FLAC', 'frames': 60000}, {'samplerate': 2000, 'channels': 64},
                    {'frames': 60001}, {'frames': 1 << 24}):
        assert fault_of(header(**changes), 10) is None


@pytest.mark.parametrize(('container', 'channels'), [('FLAC', 1), ('FLAC', 2), ('FLAC', 6), ('OGG', 2)])
def test_a_recording_of_nothing_but_silence_is_let_through(container, channels):
    data, seconds = io.BytesIO(), 500 // channels
    with soundfile.SoundFile(data, 'w', 44100, channels, format=container) as file:
        for _ in range(seconds):
            file.write(np.zeros((44100, channels), np.int16))
    data.seek(0)
    with soundfile.SoundFile(data) as file:
        assert file.frames * channels > 1 << 24 and fault_of(file, len(data.getvalue())) is None


def test_only_an_mp3_may_hold_fewer_frames_than_it_claims():
    assert fewest_frames(header(frames=100000)) == 100000
    for container in ('MP3', 'MPEG'):
        assert fewest_frames(header(format=container, frames=100000)) == 100000 - 2000 - 2304
