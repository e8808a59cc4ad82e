"""Small shards for tests, written with plain tarfile and soundfile and nothing of the product."""

import gc
import hashlib
import io
import json
import tarfile
import warnings

import numpy as np
import soundfile
import webdataset

EMOTIONS = ('neutral', 'happy', 'sad', 'angry')
FORMATS = {'flac': ('FLAC', 'PCM_16'), 'wav': ('WAV', 'PCM_16'), 'ogg': ('OGG', 'VORBIS'),
           'mp3': ('MP3', 'MPEG_LAYER_III')}


def audio_bytes(samples, rate=16000, suffix='flac', subtype=None):
    """Samples, (n,) or (n, channels), as the bytes of an audio file."""
    container, default = FORMATS[suffix]
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype or default)
    return buffer.getvalue()


def tone(seed, seconds=0.4, rate=16000):
    """int16 (n,): a sine of a pitch of its own, with noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * (100 + 13 * seed % 800) * time) + 0.02 * generator.standard_normal(len(time))
    return np.round(wave * 32767).astype(np.int16)


def tar_bytes(members, folder=()):
    """A tar of (name, bytes) members, with directory entries for the names in `folder`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        for name in folder:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def write_tar(path, members, folder=()):
    """Write tar_bytes to a file; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_bytes(members, folder))
    return path


def metadata(audio, samples, rate, **fields):
    """The JSON object that the builder writes for a sample."""
    fixed = dict.fromkeys(('corpus', 'speaker', 'emotion', 'raw_label', 'language', 'gender', 'session', 'text_id',
                           'intensity'))
    return {**fixed, 'sample_rate': rate, 'frames': len(samples), 'sha256': hashlib.sha256(audio).hexdigest(),
            **fields}


def sample(key, seed=0, suffix='flac', rate=16000, seconds=0.4, **fields):
    """The two members of a sample: audio and JSON."""
    samples = tone(seed, seconds, rate)
    audio = audio_bytes(samples, rate, suffix)
    fields = {'corpus': 'test', 'speaker': 's1', 'emotion': 'happy', 'raw_label': 'happiness', **fields}
    return [(f'{key}.{suffix}', audio), (f'{key}.json', json.dumps(metadata(audio, samples, rate, **fields)).encode())]


def spoiled(members, audio=b'no audio'):
    """A sample's two members with other bytes for audio, which the JSON knows: decoding alone finds them out."""
    (name, _), (facts, text) = members
    said = json.loads(text) | {'sha256': hashlib.sha256(audio).hexdigest()}
    return [(name, audio), (facts, json.dumps(said).encode())]


def read_with_webdataset(paths):
    """Key -> sample as plain webdataset reads it, in its order; the files it leaves open are swept up quietly."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ResourceWarning)
        found = {s['__key__']: s for s in webdataset.WebDataset([str(path) for path in paths], shardshuffle=False)}
        gc.collect()
    return found


def make_shards(folder, n_speakers=6, emotions=EMOTIONS, clips_per=2, shard_sizes=(7, 1, 13), rate=16000,
                seconds=0.4, suffix='flac', first_speaker=1):
    """Tars of n_speakers * len(emotions) * clips_per clips, `clips_per` for each speaker and emotion; returns paths.

    shard_sizes: clips of the shards in turn, uneven by default; the last size repeats. Lengths vary by clip.
    Speakers are s01, s02, ... (from `first_speaker`) of alternating gender; keys are `test-<speaker>-<emotion>-<n>`.
    """
    clips = []
    for speaker in range(first_speaker, first_speaker + n_speakers):
        for emotion in emotions:
            for take in range(clips_per):
                number = len(clips)
                # Another first speaker, other recordings.
                seed = 1009 * abs(first_speaker - 1) + number
                clips.append(sample(f'test-s{speaker:02d}-{emotion}-{take}', seed, suffix, rate,
                                    seconds * (1 + number % 5 / 10), speaker=f's{speaker:02d}', emotion=emotion,
                                    raw_label=emotion, gender='female' if speaker % 2 else 'male'))
    paths, sizes = [], list(shard_sizes)
    while clips:
        size = sizes[min(len(paths), len(sizes) - 1)]
        members = [member for clip in clips[:size] for member in clip]
        paths.append(write_tar(folder / f'test-{len(paths):05d}.tar', members))
        clips = clips[size:]
    return paths
