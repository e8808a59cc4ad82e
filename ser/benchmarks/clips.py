"""Made clips: voice-like sound of any length and rate, as arrays, as batches and as shards. The same every time."""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import soxr
import torch

from ser.corpora.demo import MANNERS, synthesise
from ser.corpora.voice import SAMPLE_RATE
from ser.shards.audio_encode import encode_audio
from ser.shards.batch import Row, collate
from ser.shards.tar import TarWriter

UTTERANCES = 12
"""Synthesised once; every clip is cut from them."""

STRIDE_SECONDS = 0.37
"""How much later each clip begins than the one before."""

SPEAKERS = 8


@functools.lru_cache(maxsize=4)
def reel(rate):
    """About 15 seconds of several voices, int16 (n,) at `rate` Hz."""
    emotions = list(MANNERS)
    parts = [synthesise(number, emotions[number % len(emotions)], 0)[0] for number in range(UTTERANCES)]
    samples = np.concatenate(parts)
    if rate != SAMPLE_RATE:
        samples = np.rint(np.clip(soxr.resample(samples.astype(np.float64), SAMPLE_RATE, rate), -32768, 32767))
    return samples.astype(np.int16)


def clip(number, seconds, rate):
    """int16 (seconds * rate,): the reel from a place of its own on, round and round."""
    samples = reel(rate)
    first = round(number * STRIDE_SECONDS * rate)
    return samples[(first + np.arange(max(1, round(seconds * rate)))) % len(samples)]


def made_batch(size, seconds, rate, classes=1):
    """A Batch on the host of `size` clips, each exactly `seconds` long, padded as the readers pad it."""
    rows = [Row(number, clip(number, seconds, rate), number % classes, 1.0, f'made-{number:05d}')
            for number in range(size)]
    return collate(rows, size, rate)


def waveforms(batch):
    """float32 (n,) in [-1, 1] of each clip of a host Batch: what a reader of files would have."""
    return [(samples[:length].to(torch.float32) / 32768).numpy()
            for samples, length in zip(batch.waveforms, batch.lengths.tolist(), strict=True)]


def make_shards(folder, count, seconds, rate, *, audio='flac', shard_size=100, distinct=64):
    """Write `count` clips of `seconds` at `rate` Hz into tars of `shard_size` in `folder`; returns the tars' paths.

    Audio and JSON as the builder writes them, without its index files. audio: 'flac', 'wav' or 'ogg'. distinct: so
    many clips are encoded and then take turns, since decoding costs the same whichever it is. SPEAKERS speakers say
    every emotion of the demo corpus.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    samples = [clip(number, seconds, rate) for number in range(min(count, distinct))]
    encoded = [encode_audio(one, rate, audio) for one in samples]
    digests = [hashlib.sha256(data).hexdigest() for data in encoded]
    emotions, paths = list(MANNERS), []
    for start in range(0, count, shard_size):
        tar = TarWriter(folder / f'made-{len(paths):05d}.tar')
        for number in range(start, min(start + shard_size, count)):
            which, emotion = number % len(encoded), emotions[number // SPEAKERS % len(emotions)]
            fields = {'corpus': 'made', 'speaker': f's{number % SPEAKERS}', 'emotion': emotion, 'raw_label': emotion,
                      'language': None, 'gender': None, 'session': None, 'text_id': None, 'intensity': None,
                      'sample_rate': rate, 'frames': len(samples[which]), 'sha256': digests[which]}
            tar.add(f'made-{number:06d}.{audio}', encoded[which])
            tar.add(f'made-{number:06d}.json', json.dumps(fields).encode())
        tar.finish()
        paths.append(tar.path)
    return paths
