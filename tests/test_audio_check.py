"""Audio that decodes, and decodes to what its encoder saw."""

import numpy as np
import pytest

from ser.shards.audio_check import check_audio
from ser.shards.decode import BadSample
from tests.shard_factory import audio_bytes, tone

WAVE = tone(1, 0.1)


@pytest.mark.parametrize('subtype', ['PCM_S8', 'PCM_16', 'PCM_24'])
@pytest.mark.parametrize('channels', [1, 2, 3])
def test_the_md5_inside_flac(subtype, channels):
    wave = np.stack([WAVE // (channel + 1) // 256 * 256 for channel in range(channels)], axis=1)
    data = bytearray(audio_bytes(wave.astype(np.int16), 22050, 'flac', subtype))
    assert check_audio(bytes(data), '.flac') == (22050, len(WAVE), True)
    data[26] ^= 1
    with pytest.raises(BadSample, match='decodes to other samples than the MD5 in its header says'):
        check_audio(bytes(data), '.flac')
    data[26:42] = bytes(16)
    assert check_audio(bytes(data), '.flac') == (22050, len(WAVE), False)


@pytest.mark.parametrize('rate', [16000, 44100, 11025])
def test_a_rate_that_header_and_frames_disagree_on(rate):
    data = bytearray(audio_bytes(WAVE, rate))
    data[18] ^= 1
    if rate == 11025:
        # No code of its own: nothing tells.
        assert check_audio(bytes(data), '.flac')[0] != rate
        return
    with pytest.raises(BadSample, match=rf'has \d+ Hz in its header and {rate} Hz in its frames'):
        check_audio(bytes(data), '.flac')


@pytest.mark.parametrize('suffix', ['wav', 'ogg', 'mp3'])
def test_other_formats_have_none(suffix):
    rate, frames, signed = check_audio(audio_bytes(WAVE, 16000, suffix), suffix)
    assert (rate, signed) == (16000, False) and abs(frames - len(WAVE)) <= (2400 if suffix == 'mp3' else 0)


def test_what_cannot_be_decoded():
    with pytest.raises(BadSample, match='is no flac'):
        check_audio(b'junk', 'flac')
