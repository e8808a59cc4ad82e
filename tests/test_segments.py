import io

import numpy as np
import pytest
import soundfile

from ser.corpora.segments import cut, segment_name


@pytest.fixture
def recording(tmp_path):
    samples = np.arange(2000, dtype='int16').reshape(1000, 2)
    soundfile.write(tmp_path / 'a.wav', samples, 1000)
    return tmp_path / 'a.wav', samples


@pytest.mark.parametrize(('start', 'end', 'first', 'last'), [
    (0, None, 0, 1000), (0.25, 0.5, 250, 500), (0.9, 5, 900, 1000), (2, 3, 1000, 1000), (0.5, 0.25, 0, 0)])
def test_a_stretch_holds_its_samples_exactly(recording, start, end, first, last):
    path, samples = recording
    back, rate = soundfile.read(io.BytesIO(cut(path, start, end)), always_2d=True)
    assert rate == 1000
    np.testing.assert_array_equal(back * 2**15, samples[first:last])


def test_24_bits_survive(tmp_path):
    samples = np.arange(-500, 500, dtype='int32') * 8000 * 256
    soundfile.write(tmp_path / 'a.flac', samples, 1000, subtype='PCM_24')
    back, _ = soundfile.read(io.BytesIO(cut(tmp_path / 'a.flac', 0.1, 0.2)), dtype='float64')
    np.testing.assert_array_equal(back * 2**31, samples[100:200])


def test_what_cannot_be_decoded_is_left_to_its_decoder(tmp_path):
    (tmp_path / 'a.wav').write_bytes(b'noise')
    assert cut(tmp_path / 'a.wav', 1, 2) == b'noise'


@pytest.mark.parametrize(('start', 'end', 'name'), [
    (0, None, 'a/b.c.wav'), (1.5, 2.25, 'a/b.c-1500-2250.wav'), (1, None, 'a/b.c-1000-end.wav'),
    (0, 2, 'a/b.c-0-2000.wav')])
def test_names_of_stretches(start, end, name):
    assert segment_name('a/b.c.wav', start, end) == name


def test_a_name_without_suffix():
    assert segment_name('v1.0/b', 1, 2) == 'v1.0/b-1000-2000'
