"""Corpora: from a source folder to labelled utterances."""

from pathlib import Path

from ser.corpora.audformat import AUDFORMAT
from ser.corpora.cafe import CAFE
from ser.corpora.cremad import CREMAD
from ser.corpora.demo import DEMO
from ser.corpora.emobox import EMOBOX
from ser.corpora.emodb import EMODB
from ser.corpora.emofilm import EMOFILM
from ser.corpora.emovo import EMOVO
from ser.corpora.iemocap import IEMOCAP
from ser.corpora.msp_podcast import MSP_PODCAST
from ser.corpora.names import MISNAMED
from ser.corpora.nemo import NEMO
from ser.corpora.parquet import PARQUET
from ser.corpora.ravdess import RAVDESS
from ser.corpora.savee import SAVEE
from ser.corpora.table import JSON_LINES, TABLE
from ser.corpora.tess import TESS
from ser.corpora.utterance import Skip, Utterance
from ser.corpora.visec import VISEC
from ser.errors import SerError, did_you_mean

CORPORA = {
    'ravdess': RAVDESS, 'emodb': EMODB, 'crema-d': CREMAD, 'savee': SAVEE, 'tess': TESS, 'cafe': CAFE,
    'emofilm': EMOFILM, 'emovo': EMOVO, 'nemo': NEMO,
    'iemocap': IEMOCAP, 'msp-podcast': MSP_PODCAST, 'visec': VISEC,
    'csv': TABLE, 'jsonl': JSON_LINES, 'parquet': PARQUET, 'emobox': EMOBOX, 'audformat': AUDFORMAT, 'demo': DEMO}


def find_corpus(name):
    """The Corpus of this name. Raises SerError that names the nearest."""
    if name not in CORPORA:
        raise SerError(f"unknown corpus '{name}'. Known: {', '.join(CORPORA)}.{did_you_mean(name, CORPORA)}")
    return CORPORA[name]


def read_corpus(name, source=None, options=None):
    """All of a corpus: (utterances, skips), both in natural order.

    name: a key of CORPORA. source: the folder (for csv also the table itself); not needed for demo. options: name ->
    text, of the corpus's own options. Raises SerError for an unknown corpus or option, a missing source, an unknown
    code, and when no file matches.
    """
    corpus = find_corpus(name)
    if corpus.needs_source and not source:
        raise SerError(f"corpus '{name}' needs a source: {corpus.facts.layout}")
    options = dict(options or {})
    for option in options:
        if option not in corpus.options:
            known = ', '.join(corpus.options) or 'none'
            raise SerError(f"corpus '{name}' has no option '{option}'. Its options: {known}."
                           f'{did_you_mean(option, corpus.options)}')
    utterances, skips = [], []
    try:
        for found in corpus.parse(Path(source) if corpus.needs_source else None, **options):
            (skips if isinstance(found, Skip) else utterances).append(found)
    except OSError as error:
        raise SerError(f"cannot read '{error.filename or source}': {error.strerror or error}") from error
    if not utterances:
        raise SerError(f"no {name} recording in '{source}': {_instead(corpus.facts, skips)}. "
                       f'Layout: {corpus.facts.layout}')
    return utterances, skips


def _instead(facts, skips):
    """What a source without a single usable recording holds."""
    bad = [skip for skip in skips if skip.bad and not skip.reason.startswith(MISNAMED)]
    if bad:
        first = bad[0]
        return f"{len(bad)} x {first.reason}, first '{first.relative}'{f' ({first.detail})' if first.detail else ''}"
    near = next((skip for skip in skips if skip.reason != 'not an audio file'), skips[0] if skips else None)
    seen = f"found '{near.relative}' ({near.reason})" if near else 'found nothing at all'
    return f"expected names like '{facts.example}', {seen}"


__all__ = ['CORPORA', 'Skip', 'Utterance', 'find_corpus', 'read_corpus']
