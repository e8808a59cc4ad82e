"""Utterances to WebDataset shards: plain tars, an index beside them, and the same bytes for the same input.

OUT/
  <corpus>-00000.tar ...  members `<key>.flac` (or .wav, .ogg) and `<key>.json`, in natural order of the source paths
  index.jsonl             a line per sample: key, shard, audio and json spans, sha256 of the audio, metadata
  shards.json             format, corpus facts, counts, seconds, skips by reason, sha256 per shard and of the index
  skipped.csv             file, reason, detail of whatever was passed over, when there is any
"""

import contextlib
import functools
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ser.corpora import CORPORA, read_corpus
from ser.corpora.utterance import Skip, distinct_key, key_of
from ser.errors import SerError, did_you_mean
from ser.files import csv_text, natural
from ser.labels import ordered
from ser.shards.audio_encode import FORMATS, RATES_HZ, encode
from ser.shards.pool import cores, ordered_map
from ser.shards.publish import INDEX, MANIFEST, SKIPPED, staging, write_file
from ser.shards.tar import TarWriter

FORMAT_VERSION = 1
SHARD_SIZE = 500


@dataclass(frozen=True)
class Summary:
    """What a build made."""

    corpus: str
    out: Path
    shards: tuple[str, ...]
    utterances: int
    seconds: float
    speakers: Counter
    """Speaker -> utterances, natural order; empty where speakers are unknown."""
    emotions: Counter
    """Emotion -> utterances, in the order of labels.ordered."""
    skips: tuple[Skip, ...]
    clipped_samples: int
    clipped_files: int
    official: int | None
    """Published number of utterances."""
    renamed: tuple[tuple[str, str], ...]
    """(label in the corpus's words, emotion) where the two differ in more than case."""
    doubtful: dict[str, list[str]] = field(default_factory=dict)
    """Why a clip may say nothing -> the files, which are in the shards all the same."""

    @property
    def skipped(self):
        """Reason -> files, commonest first."""
        return count_skips(self.skips)

    @property
    def bad(self):
        """Skips of files that should have been usable."""
        return tuple(skip for skip in self.skips if skip.bad)


def count_skips(skips):
    """Reason -> files, commonest first."""
    return dict(sorted(Counter(skip.reason for skip in skips).items(), key=lambda item: (-item[1], item[0])))


def write_shards(corpus, source, out, *, options=None, audio='flac', sample_rate=44100, shard_size=SHARD_SIZE,
                 jobs=None, spread=None, progress=None):
    """Build a corpus into `out`; returns a Summary.

    corpus: a key of CORPORA. source: its folder (None for demo). options: the corpus's own, name -> text. audio:
    'flac', 'wav' or 'ogg'. sample_rate: Hz or 'keep'. shard_size: utterances per shard. jobs: processes (None: all
    cores). spread: where the work is done instead, such as on a cluster: (function, items) to an iterator of the
    results in the items' order. progress: called with (done, total).
    The bytes depend on corpus, source and the settings before `jobs` only. Unusable files are left out and listed, as
    are those that differ in nothing but their suffix: nobody knows which is meant.
    Raises SerError for wrong arguments, whatever read_corpus refuses, when no file is usable, and when `out` holds
    shards or cannot be written; then nothing is left in `out`.
    """
    check_settings(audio, sample_rate, shard_size, jobs)
    found, skips = read_corpus(corpus, source, options)
    utterances, keys, alike = _keys(corpus, found)
    skips += alike
    out = Path(out)
    try:
        with staging(out) as folder:
            work = functools.partial(encode, audio=audio, sample_rate=sample_rate)
            spread = spread or functools.partial(ordered_map, jobs=max(min(jobs or cores(), len(utterances)), 1))
            with (contextlib.closing(spread(work, utterances)) as results,
                  ShardSet(folder, corpus, audio, shard_size) as shards):
                for done, (utterance, key, result) in enumerate(zip(utterances, keys, results, strict=True), start=1):
                    if isinstance(result, Skip):
                        skips.append(result)
                    else:
                        shards.add(utterance, key, result)
                    if progress:
                        progress(done, len(utterances))
            if not shards.lines:
                reasons = ', '.join(f'{reason}: {n}' for reason, n in count_skips(skips[-len(found):]).items())
                raise SerError(f"none of the {len(found)} recordings in '{source}' can be used ({reasons})")
            summary = _summary(corpus, out, shards, skips)
            settings = {'audio': audio, 'sample_rate': sample_rate, 'options': dict(options or {})}
            _write_index(folder, shards, summary, settings)
    except OSError as error:
        raise SerError(f"cannot write to '{out}': {error.strerror or error}") from error
    return summary


def check_settings(audio, sample_rate, shard_size, jobs):
    """Raises SerError for a setting of write_shards that is not allowed."""
    if audio not in FORMATS:
        raise SerError(f"unknown audio format '{audio}'. Allowed: {', '.join(FORMATS)}.{did_you_mean(audio, FORMATS)}")
    low, high = RATES_HZ
    if sample_rate != 'keep' and not (isinstance(sample_rate, int) and low <= sample_rate <= high):
        raise SerError(f"--sample-rate must be 'keep' or a whole number of Hz from {low} to {high}, not {sample_rate}")
    if shard_size < 1:
        raise SerError(f'--shard-size must be at least 1, not {shard_size}')
    if jobs is not None and jobs < 1:
        raise SerError(f'--jobs must be at least 1, not {jobs}')


def _keys(corpus, found):
    """(utterances, the key of each, bad skips): of files that differ in nothing but their suffix none is taken.

    Raises SerError for a file that is listed twice.
    """
    plain = [key_of(corpus, utterance.relative) for utterance in found]
    shared, owners = Counter(plain), {}
    for utterance, key in zip(found, plain, strict=True):
        key = distinct_key(corpus, utterance.relative) if shared[key] > 1 else key
        if any(other.relative == utterance.relative for other in owners.setdefault(key, [])):
            raise SerError(f"'{utterance.relative}' is listed twice: keep one")
        owners[key].append(utterance)
    skips = [_ambiguous(utterance, alike) for alike in owners.values() if len(alike) > 1 for utterance in alike]
    taken = {alike[0].relative: key for key, alike in owners.items() if len(alike) == 1}
    utterances = [utterance for utterance in found if utterance.relative in taken]
    return utterances, [taken[utterance.relative] for utterance in utterances], skips


def _ambiguous(utterance, alike):
    others = ', '.join(other.relative for other in alike if other is not utterance)
    return Skip(utterance.relative, 'same name but for the suffix', f'as {others}: rename or remove one', bad=True)


def json_bytes(value, indent=None):
    """A value as JSON in UTF-8, in the order it has."""
    # A file name that is not UTF-8 holds lone surrogates: backslashreplace makes them JSON escapes.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent).encode('utf-8', 'backslashreplace')


def index_facts(data):
    """What the manifest says of the index, whose bytes are `data`, so that a remote reader can trust it."""
    return {'name': INDEX, 'size': len(data), 'sha256': hashlib.sha256(data).hexdigest()}


def sample_metadata(utterance, encoded):
    """The sample's JSON object, in its fixed key order, extra keys sorted after."""
    fixed = {name: getattr(utterance, name) for name in (
        'corpus', 'speaker', 'emotion', 'raw_label', 'language', 'gender', 'session', 'text_id', 'intensity')}
    fixed.update({name: fixed[name] or None for name in ('emotion', 'raw_label')})
    fixed.update(sample_rate=encoded.sample_rate, frames=encoded.frames, sha256=encoded.sha256)
    # Keys are plain ASCII; of a name that is not UTF-8 the odd bytes are escaped.
    fixed['source_file'] = utterance.relative.encode('utf-8', 'backslashreplace').decode()
    return {**fixed, **dict(sorted(utterance.extra.items()))}


class ShardSet:
    """The tars of one build, filled one after the other, and a line of the index for each sample."""

    def __init__(self, folder, corpus, audio, shard_size):
        self.folder, self.corpus, self.suffix, self.shard_size = folder, corpus, f'.{audio}', shard_size
        self.lines = []
        self.shards = []
        self.clipped = Counter()
        self.doubtful = {}
        self._tar, self._held = None, 0

    def add(self, utterance, key, encoded):
        """Append one sample."""
        if self._tar is None:
            self._tar = TarWriter(self.folder / f'{self.corpus}-{len(self.shards):05d}.tar')
        metadata = sample_metadata(utterance, encoded)
        spans = {}
        for part, name, data in (('audio', key + self.suffix, encoded.data),
                                 ('json', f'{key}.json', json_bytes(metadata))):
            offset, size = self._tar.add(name, data)
            spans[part] = {'name': name, 'offset': offset, 'size': size}
        self.lines.append({'key': key, 'shard': self._tar.path.name, **spans, 'sha256': encoded.sha256,
                           'metadata': metadata})
        if encoded.clipped:
            self.clipped[utterance.relative] = encoded.clipped
        if encoded.doubt:
            self.doubtful.setdefault(encoded.doubt, []).append(utterance.relative)
        self._held += 1
        if self._held == self.shard_size:
            self._close()

    def _close(self):
        size, digest = self._tar.finish()
        self.shards.append({'name': self._tar.path.name, 'size': size, 'utterances': self._held, 'sha256': digest})
        self._tar, self._held = None, 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self._tar and kind is None:
            self._close()
        elif self._tar:
            self._tar.abandon()


def _summary(corpus, out, shards, skips):
    metadata = [line['metadata'] for line in shards.lines]
    speakers = Counter(item['speaker'] for item in metadata if item['speaker'] is not None)
    emotions = Counter(item['emotion'] for item in metadata if item['emotion'])
    return Summary(
        corpus=corpus, out=out, shards=tuple(shard['name'] for shard in shards.shards), utterances=len(metadata),
        seconds=round(sum(item['frames'] / item['sample_rate'] for item in metadata), 3),
        speakers=Counter({name: speakers[name] for name in sorted(speakers, key=natural)}),
        emotions=Counter({name: emotions[name] for name in ordered(emotions)}),
        skips=tuple(sorted(skips, key=lambda skip: natural(skip.relative))),
        clipped_samples=shards.clipped.total(), clipped_files=len(shards.clipped),
        official=CORPORA[corpus].facts.utterances, doubtful=dict(sorted(shards.doubtful.items())),
        renamed=tuple(sorted({(item['raw_label'].strip(), item['emotion']) for item in metadata
                              if item['emotion'] and item['raw_label'].strip().lower() != item['emotion']})))


def _write_index(folder, shards, summary, settings):
    facts = CORPORA[summary.corpus].facts
    index = b''.join(json_bytes(line) + b'\n' for line in shards.lines)
    write_file(folder / INDEX, index)
    if summary.skips:
        rows = [('file', 'reason', 'detail'), *((skip.relative, skip.reason, skip.detail) for skip in summary.skips)]
        write_file(folder / SKIPPED, csv_text(rows).encode('utf-8', 'backslashreplace'))
    manifest = {
        'format': FORMAT_VERSION, 'corpus': facts.name, 'title': facts.title, 'licence': facts.licence,
        'language': facts.language, 'homepage': facts.homepage, **settings,
        'utterances': summary.utterances, 'seconds': summary.seconds, 'emotions': dict(summary.emotions),
        'speakers': dict(summary.speakers), 'skipped': dict(summary.skipped),
        'clipped': {'samples': summary.clipped_samples, 'files': summary.clipped_files},
        'doubtful': summary.doubtful,
        'index': index_facts(index),
        'shards': shards.shards}
    write_file(folder / MANIFEST, json_bytes(manifest, indent=1) + b'\n')
