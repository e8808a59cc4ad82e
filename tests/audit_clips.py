"""Speech-like clips and what happens to copies of a recording, for the tests of the audit."""

import io
import json

import numpy as np
import soundfile
import soxr

from ser.config.data import DataConfig
from ser.config.protocol import GivenProtocol
from ser.shards.copies import find_copies
from ser.shards.index import build_index
from ser.shards.protocols import make_split
from tests.shard_factory import audio_bytes, metadata, write_tar

RATE = 16000


def babble(seed, seconds=1.2, rate=RATE, level=0.3):
    """int16 (n,): syllables of a gliding voice with formants of their own and breath between, silence around."""
    draw = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    pitch = draw.uniform(90, 250) * (1 + 0.2 * np.sin(2 * np.pi * draw.uniform(0.5, 2) * time + draw.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / rate + draw.uniform(0, 6)
    formants = [np.interp(time, np.linspace(0, seconds, 6), draw.uniform(*span, 6))
                for span in ((300, 900), (900, 2800))]
    wave = sum(np.sin(k * phase) / k * sum(np.exp(-((k * pitch - f) / 200) ** 2) for f in formants)
               for k in range(1, 16))
    edges = np.linspace(0, seconds, 9)
    syllables = np.interp(time, edges, np.concatenate([[0], draw.uniform(0.1, 1, 7), [0]]))
    wave = (wave * syllables + 0.01 * syllables * draw.standard_normal(len(time)))
    quiet = 0.0003 * draw.standard_normal(int(0.2 * rate))
    wave = np.concatenate([quiet, wave / np.abs(wave).max(), quiet])
    return np.rint(wave * level * 32767).astype(np.int16)


def louder(samples, gain):
    """Scaled and rounded again."""
    return np.clip(np.rint(samples * gain), -32768, 32767).astype(np.int16)


def resampled(samples, rate, to):
    """At another rate, int16."""
    return np.clip(np.rint(soxr.resample(samples.astype(float), rate, to)), -32768, 32767).astype(np.int16)


def coded(samples, rate=RATE, container='OGG', subtype='VORBIS', level=0.6):
    """Through a lossy codec and back, int16."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype, compression_level=level)
    buffer.seek(0)
    return soundfile.read(buffer, dtype='int16')[0]


def clip(key, samples, part='train', rate=RATE, suffix='flac', **fields):
    """The members of a sample whose JSON says its part."""
    fields = {'corpus': 'test', 'speaker': part, 'emotion': 'happy', 'raw_label': 'happy', 'part': part, **fields}
    audio = audio_bytes(samples, rate, suffix)
    return [(f'{key}.{suffix}', audio), (f'{key}.json', json.dumps(metadata(audio, samples, rate, **fields)).encode())]


def parts(first=100):
    """A clip of each part and class, for a set that is otherwise in order."""
    return [clip(f'{part}-{emotion}', babble(first + 2 * i + j), part, emotion=emotion, raw_label=emotion)
            for i, part in enumerate(('train', 'valid', 'test')) for j, emotion in enumerate(('happy', 'sad'))]


def indexed(folder, clips):
    """The Index of a tar of clips."""
    write_tar(folder / 'clips.tar', [member for one in clips for member in one])
    return build_index(DataConfig(shards=(str(folder / 'clips.tar'),)))


def given(index, names=('happy', 'sad')):
    """The Split by the clips' own parts."""
    return make_split(index, GivenProtocol(column='part'), names)


def heard(index):
    """Fingerprints, made in this process."""
    return find_copies(index, jobs=1)
