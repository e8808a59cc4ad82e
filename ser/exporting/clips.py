"""Clips to compare an exported file with its run on: the run's own test part, those that were named, or synthetic."""

import math
from pathlib import Path

import numpy as np

from ser.corpora.demo import FACTS, SPEAKERS, synthesise
from ser.errors import SerError
from ser.evaluation.reading import read_json
from ser.evaluation.run_files import read_split
from ser.inference.loaded import as_samples
from ser.inference.recordings import BadRecording, Named, Span
from ser.inference.sources import find_sources
from ser.shards.index import build_index
from ser.shards.targets import STRATA

MOST = 20


def parity_clips(run, config, names, given=()):
    """(int16 (n,) clips at the run's data rate, up to MOST; where they come from, in words).

    given: audio files, folders or shards; else the run's test part where its shards are at hand unchanged, else the
    synthetic demo voice. A clip over data.max_seconds is cut to that. Raises SerError for given ones that cannot be
    read.
    """
    rate, longest = config.data.sample_rate, int(config.data.max_seconds * config.data.sample_rate)
    if given:
        clips, source = _read(_spread(find_sources(given)), rate), 'the clips that were named'
    else:
        tested = _tested(run, config, names)
        clips = _read(_spread(tested), rate) if tested else _synthetic(rate)
        source = "the run's test part" if tested else "the synthetic demo voice (the run's own shards are not at hand)"
    return [clip[:longest] for clip in clips], source


def _tested(run, config, names):
    """Named of the clips of the run's test part, or [] where its shards are not there as they were."""
    try:
        index = build_index(config.data)
        members = read_split(run, STRATA if config.task.kind == 'dimensions' else names)
        if index.digest != read_json(Path(run) / 'data.json', dict).get('digest'):
            return []
    except SerError:
        return []
    keys = {member.key for member in members if member.part == 'test'}
    return [Named(row.key, span=Span(index.shards[row.shard].local_path(), row.offset, row.size, row.suffix,
                                     row.audio_sha256))
            for row in index.rows if row.key in keys]


def _spread(found):
    """At most MOST of a list, evenly spread over it."""
    step = max(1, len(found) / MOST)
    return [found[math.floor(step * number)] for number in range(min(MOST, len(found)))]


def _read(recordings, rate):
    clips = []
    for recording in recordings:
        try:
            clips.append(recording.samples(rate))
        except BadRecording as bad:
            raise SerError(f'--clips: {recording.path}: {bad}. Name audio files, folders or shards that can be '
                           'read') from None
    return clips


def _synthetic(rate):
    emotions = FACTS.emotions
    made = (synthesise(number % SPEAKERS, emotions[number % len(emotions)], 0) for number in range(MOST))
    return [np.asarray(as_samples(samples, own_rate, rate)) for samples, own_rate in made]
