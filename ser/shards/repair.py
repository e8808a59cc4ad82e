"""The good samples of damaged shards in new ones, with index and manifest as the builder's, and a list of the lost.

OUT/
  <name>.tar ...   every damaged shard that holds a good sample, under its own name: those samples, in their order
  index.jsonl      a line per sample: key, shard, spans, sha256 of the audio, metadata
  shards.json      format, corpus facts, counts, seconds, sha256 per shard and, where every sample is audio and JSON, of
                   the index
  skipped.csv      what is lost: key, shard, offset, member, reason, detail
"""

import hashlib
import json
from collections import Counter
from pathlib import Path

from ser.errors import SerError
from ser.files import csv_text, natural
from ser.labels import ordered
from ser.shards.publish import INDEX, MANIFEST, PARTIAL, SKIPPED, staging, write_file
from ser.shards.reader import SpanReader
from ser.shards.tar import TarWriter
from ser.shards.write import FORMAT_VERSION, index_facts, json_bytes

FACTS = ('corpus', 'title', 'licence', 'language', 'homepage')
COLUMNS = ('key', 'shard', 'offset', 'member', 'reason', 'detail')


def check_empty(out):
    """Raises SerError for a folder that holds anything; what a killed repair left hidden there does not count."""
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise SerError(f"--repair '{out}': a file is there. Name a folder that is empty, or not there yet")
    held = sorted(path.name for path in out.iterdir() if path.name != PARTIAL) if out.exists() else []
    if held:
        raise SerError(f"--repair '{out}': the folder holds something ({held[0]}{' ...' if len(held) > 1 else ''}). "
                       'Name one that is empty, or not there yet')


def repair(examinations, out):
    """Write the good samples of Examinations with faults to `out`; returns the names of the new shards.

    The bytes depend on the shards alone. Members keep their names and bytes. Where no sample is good nothing is
    written, and `out` is not made. Raises SerError where `out` holds anything or cannot be written, and for a shard
    that has changed since it was examined; then nothing is left in `out`.
    """
    check_empty(out)
    damaged = [examination for examination in examinations if examination.faults]
    if not any(examination.samples for examination in damaged):
        return ()
    out = Path(out)
    try:
        with staging(out) as folder:
            names = _names(damaged)
            lines, shards = [], []
            for examination in damaged:
                if examination.samples:
                    path = folder / names[examination.path]
                    shards.append(_write_shard(path, examination, lines))
            index = b''.join(json_bytes(line) + b'\n' for line in lines)
            write_file(folder / INDEX, index)
            lost = [fault for examination in damaged for fault in examination.lost]
            if lost:
                write_file(folder / SKIPPED, _table(lost))
            write_file(folder / MANIFEST, json_bytes(_manifest(damaged, shards, index), indent=1) + b'\n')
    except OSError as error:
        raise SerError(f"cannot write to '{out}': {error.strerror or error}") from error
    return tuple(shard['name'] for shard in shards)


def _names(damaged):
    """Path -> the name of its new shard: its own, numbered where several have the same."""
    plain = {found.path: f'{Path(found.path).name.removesuffix(".tar")}.tar' for found in damaged}
    shared = Counter(plain.values())
    return {path: name if shared[name] == 1 else f'{number:05d}-{name}'
            for number, (path, name) in enumerate(plain.items())}


def _write_shard(path, examination, lines):
    """Write one shard and append its lines of the index; returns its entry of the manifest."""
    tar, spans = TarWriter(path), SpanReader([examination.shard])
    try:
        for sample in examination.samples:
            placed = {}
            for member in sample.members:
                data = spans.read(0, member.offset, member.size)
                if hashlib.sha256(data).hexdigest() != member.sha256:
                    raise SerError(f'{examination.path}: changed while it was repaired. Start again')
                offset, size = tar.add(member.name, data)
                part = 'audio' if member.kind == 'audio' else member.suffix
                placed[part] = {'name': member.name, 'offset': offset, 'size': size}
            placed = {part: placed[part] for part in ('audio', 'json') if part in placed}
            lines.append({'key': sample.row.key, 'shard': path.name, **placed, 'sha256': sample.row.audio_sha256,
                          'metadata': sample.row.metadata})
        size, digest = tar.finish()
    except BaseException:
        tar.abandon()
        raise
    finally:
        spans.close()
    return {'name': path.name, 'size': size, 'utterances': len(examination.samples), 'sha256': digest}


def _manifest(damaged, shards, index):
    samples = [sample for examination in damaged for sample in examination.samples]
    emotions = Counter(sample.row.emotion for sample in samples if sample.row.emotion)
    speakers = Counter(sample.row.speaker for sample in samples if sample.row.speaker is not None)
    skipped = Counter(fault.reason for examination in damaged for fault in examination.lost)
    return {'format': FORMAT_VERSION, **_facts(damaged), 'utterances': len(samples),
            'seconds': round(sum(sample.seconds for sample in samples), 3),
            'emotions': {name: emotions[name] for name in ordered(emotions)},
            'speakers': {name: speakers[name] for name in sorted(speakers, key=natural)},
            'skipped': dict(sorted(skipped.items())),
            **({'index': index_facts(index)} if all(map(_of_builder, samples)) else {}), 'shards': shards}


def _of_builder(sample):
    """Whether a line of the index says all there is of a sample; of one with other members a reader must scan."""
    parts = ['audio' if member.kind == 'audio' else member.suffix for member in sample.members]
    return sorted(parts) == ['audio', 'json']


def _facts(damaged):
    """What the manifests beside the damaged shards say of their corpus, where they agree; None where they do not."""
    said = []
    for folder in {Path(examination.path).parent for examination in damaged}:
        try:
            value = json.loads((folder / MANIFEST).read_bytes())
            said.append({name: value.get(name) for name in FACTS})
        except (OSError, ValueError, AttributeError, RecursionError):
            said.append({})
    return {name: said[0].get(name) if all(one.get(name) == said[0].get(name) for one in said) else None
            for name in FACTS}


def _table(lost):
    rows = [['' if getattr(fault, name) is None else getattr(fault, name) for name in COLUMNS] for fault in lost]
    return csv_text([COLUMNS, *rows]).encode('utf-8', 'backslashreplace')
