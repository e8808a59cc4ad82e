"""Trees of files that are called as those of real corpora are and hold next to no audio, and shards built from them."""

import io
import json
import os
import tarfile
import wave

from ser.corpora import read_corpus
from ser.shards.write import write_shards

RATE = 16000


def tiny_wav(frames=160):
    """The bytes of a valid mono 16-bit WAV file: a quiet square wave."""
    file = io.BytesIO()
    with wave.open(file, 'wb') as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes((b'\x00\x10' * 8 + b'\x00\xf0' * 8) * (frames // 16))
    return file.getvalue()


def plant(folder, names):
    """Write a tiny WAV file under every name (forward slashes make folders); returns the folder."""
    audio, made = tiny_wav(), set()
    for name in names:
        path = os.path.join(folder, name)
        if os.path.dirname(path) not in made:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            made.add(os.path.dirname(path))
        with open(path, 'wb') as file:
            file.write(audio)
    return folder


def counts(corpus, folder, options=None):
    """(clips by emotion, clips by speaker, skips by reason) of a planted corpus."""
    utterances, skips = read_corpus(corpus, folder, options)
    return (tally(found.emotion for found in utterances), tally(found.speaker for found in utterances),
            tally(skip.reason for skip in skips))


def tally(values):
    """Value -> how often, as a plain dict."""
    found = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return found


def built(corpus, folder, out, options=None):
    """(summary of the build, key -> metadata in the shards) of a planted corpus."""
    summary = write_shards(corpus, folder, out, options=options, audio='wav', sample_rate=RATE, jobs=1)
    metadata = {}
    for shard in sorted(out.glob('*.tar')):
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith('.json'):
                    metadata[member.name.removesuffix('.json')] = json.load(tar.extractfile(member))
    return summary, metadata
