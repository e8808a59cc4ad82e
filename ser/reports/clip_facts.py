"""What the shards say about the clips of a test part: who speaks which language, how long, how loud."""

import logging
from dataclasses import dataclass, field

import numpy as np

from ser.config.load import load_resolved
from ser.errors import SerError
from ser.shards.decode import BadSample, decode
from ser.shards.index import build_index
from ser.shards.reader import SpanReader

log = logging.getLogger(__name__)

MOST_MEASURED = 20000
"""Clips beyond which levels are not measured: every one is decoded for it."""

_ROUNDING = 1e-10


@dataclass(frozen=True)
class ClipFacts:
    """Facts by key of the clips that were found; one that is unknown of a clip is missing for it.

    words: text of `gender`, `language`, `corpus` -> key -> value. seconds; level_db: RMS of the whole clip, dB below
    full scale. found: how many of the clips asked for are in the shards. problem: why there is nothing, or less.
    """

    words: dict = field(default_factory=dict)
    seconds: dict = field(default_factory=dict)
    level_db: dict = field(default_factory=dict)
    found: int = 0
    problem: str | None = None
    rows: tuple = ()
    """Index rows of the clips that were found."""


def clip_facts(contents, patterns=None):
    """The ClipFacts of the test clips of some Contents.

    patterns: shards to look in; default: those that config.yaml names. Shards that are gone, or hold none of the
    clips, are said in `problem`; named by `patterns` they raise SerError.
    """
    if contents.predictions is None:
        return ClipFacts(problem='predictions.csv is missing, so nobody knows which clips were tested')
    try:
        index = build_index(_data(contents, patterns))
    except SerError as error:
        if patterns:
            raise
        return ClipFacts(problem=f'the shards of this run cannot be read ({error}); --shards says where they are now')
    wanted = set(contents.predictions.keys)
    rows = tuple(row for row in index.rows if row.key in wanted)
    if not rows:
        where = f"the shards {', '.join(map(str, patterns or _data(contents, None).shards))}"
        if patterns:
            raise SerError(f'{where} hold none of the {len(wanted)} test clips of {contents.path}. Name the shards '
                           'that it was tested on')
        return ClipFacts(problem=f'{where} hold none of the {len(wanted)} test clips; --shards names others')
    lacking = len(wanted) - len(rows)
    problem = f'{lacking} of {len(wanted)} test clips are not in these shards and left out here' if lacking else None
    levels, unheard = _levels(index, rows)
    return ClipFacts(_words(index, rows), _seconds(rows), levels, len(rows), problem or unheard, rows)


def _data(contents, patterns):
    runs = contents.runs
    if not runs and not patterns:
        raise SerError('no config.yaml here says which shards they are')
    data = load_resolved(runs[0] / 'config.yaml').data if runs else None
    if not patterns:
        return data
    from ser.config.data import DataConfig

    given = {'shards': tuple(patterns), 'valid_shards': (), 'test_shards': ()}
    return data.model_copy(update=given) if data else DataConfig(**given)


def _words(index, rows):
    found = {'gender': {}, 'language': {}, 'corpus': {}}
    for row in rows:
        for name in ('gender', 'language'):
            value = row.metadata.get(name)
            if isinstance(value, str) and value.strip():
                found[name][row.key] = value.strip()
        if row.corpus:
            found['corpus'][row.key] = row.corpus
    return found


def _seconds(rows):
    return {row.key: row.frames / row.sample_rate for row in rows if row.frames and row.sample_rate}


def _levels(index, rows):
    """(key -> dB, why there is none or None)."""
    if len(rows) > MOST_MEASURED:
        return {}, f'levels are not measured of more than {MOST_MEASURED} clips'
    if len(rows) > 1000:
        log.info('measuring the level of %d clips', len(rows))
    reader, levels, bad = SpanReader(index.shards), {}, 0
    try:
        for row in rows:
            try:
                data = reader.read(row.shard, row.offset, row.size)
                levels[row.key] = level_db(decode(data, row.suffix, row.sample_rate or 16000).samples)
            except BadSample:
                bad += 1
    except SerError as error:
        return {}, f'levels could not be measured: {error}'
    finally:
        reader.close()
    return levels, f'{bad} clips cannot be decoded' if bad else None


def level_db(samples):
    """RMS of int16 samples (n,) in dB below full scale, a float; -100 for silence."""
    power = float(np.mean((samples.astype(np.float64) / 32768) ** 2))
    return 10 * np.log10(max(power, _ROUNDING)).item()
