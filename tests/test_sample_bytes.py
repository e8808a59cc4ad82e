"""What a header claims, against what soundfile wrote and what is left of it."""

import io

import numpy as np
import pytest
import soundfile

from ser.shards.sample_bytes import SampleBytes, sample_bytes

FRAMES = 1001
KINDS = [('WAV', 'PCM_16', 2), ('WAV', 'PCM_24', 3), ('WAV', 'ULAW', 1), ('WAVEX', 'PCM_16', 2), ('RF64', 'PCM_16', 2),
         ('AIFF', 'PCM_16', 2), ('AIFF', 'ALAW', 1), ('AU', 'FLOAT', 4), ('W64', 'DOUBLE', 8), ('NIST', 'PCM_16', 2),
         ('VOC', 'PCM_16', 2)]


def made(container, subtype, channels=2, endian=None):
    file = io.BytesIO()
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (FRAMES, channels))
    soundfile.write(file, samples, 16000, subtype, endian, container)
    return file.getvalue()


def of(data):
    return sample_bytes(io.BytesIO(data), len(data))


@pytest.mark.parametrize(('container', 'subtype', 'width'), KINDS)
def test_a_whole_file_holds_what_it_claims_and_a_cut_one_does_not(container, subtype, width):
    data = made(container, subtype)
    whole = of(data)
    assert whole.claimed == FRAMES * 2 * width and not whole.cut
    # What follows the samples is a pad byte, or a chunk (of a float file: its peak).
    first = len(data) - whole.there
    for kept in (first + whole.claimed - 1, first + whole.claimed // 2, first + 1, first):
        cut = of(data[:kept])
        assert cut == SampleBytes(whole.claimed, kept - first) and cut.cut


def test_big_endian_wav_and_chunks_around_the_samples():
    assert of(made('WAV', 'PCM_16', endian='BIG')).claimed == FRAMES * 4
    data = made('WAV', 'PCM_16')
    odd = data[:12] + b'note\x03\0\0\0abc\0' + data[12:] + b'tail\x04\0\0\0abcd'
    assert of(odd) == SampleBytes(FRAMES * 4, FRAMES * 4 + 12)


@pytest.mark.parametrize('data', [
    b'', b'RIFF', b'RIFF\0\0\0\0WAVE', b'RIFF\0\0\0\0AVI ' + bytes(40), b'fLaC' + bytes(60), b'OggS' + bytes(60),
    b'FORM\0\0\0\0AIFFCOMM\0\0\0\0', b'riff' + bytes(60), b'NIST_1A\n   1024\nchannel_count -i 1\n',
    b'.snd' + bytes(4) + b'\xff' * 4 + bytes(40), b'RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff' + bytes(40)])
def test_of_what_does_not_say_nothing_is_known(data):
    assert of(data) is None


@pytest.mark.parametrize('claimed', [1 << 62, (1 << 64) - 1])
def test_a_chunk_that_claims_more_than_any_file_has_is_the_last(claimed, tmp_path):
    data = b'riff' + bytes(36) + b'junk' + bytes(12) + claimed.to_bytes(8, 'little') + b'data' + bytes(60)
    (tmp_path / 'a.w64').write_bytes(data)
    with open(tmp_path / 'a.w64', 'rb') as file:
        assert sample_bytes(file, len(data)) is of(data) is None


def test_a_file_of_empty_chunks_ends():
    assert of(b'RIFF\0\0\0\0WAVE' + b'junk\0\0\0\0' * 100_000) is None
