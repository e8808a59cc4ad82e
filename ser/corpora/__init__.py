"""Corpora: from a source folder to labelled utterances."""

from pathlib import Path

from ser.corpora.demo import DEMO
from ser.corpora.emodb import EMODB
from ser.corpora.ravdess import RAVDESS
from ser.corpora.table import TABLE
from ser.corpora.utterance import Skip, Utterance
from ser.errors import SerError, did_you_mean

CORPORA = {'ravdess': RAVDESS, 'emodb': EMODB, 'csv': TABLE, 'demo': DEMO}


def read_corpus(name, source=None, options=None):
    """All of a corpus: (utterances, skips), both in natural order.

    name: a key of CORPORA. source: the folder (for csv also the table itself); not needed for demo. options: name ->
    text, of the corpus's own options. Raises SerError for an unknown corpus or option, a missing source, an unknown
    code, and when no file matches.
    """
    if name not in CORPORA:
        raise SerError(f"unknown corpus '{name}'. Known: {', '.join(CORPORA)}.{did_you_mean(name, CORPORA)}")
    corpus = CORPORA[name]
    if corpus.needs_source and not source:
        raise SerError(f"corpus '{name}' needs a source: {corpus.facts.layout}")
    options = dict(options or {})
    for option in options:
        if option not in corpus.options:
            known = ', '.join(corpus.options) or 'none'
            raise SerError(f"corpus '{name}' has no option '{option}'. Its options: {known}."
                           f'{did_you_mean(option, corpus.options)}')
    utterances, skips = [], []
    for found in corpus.parse(Path(source) if corpus.needs_source else None, **options):
        (skips if isinstance(found, Skip) else utterances).append(found)
    if not utterances:
        near = next((skip for skip in skips if skip.reason != 'not an audio file'), skips[0] if skips else None)
        seen = f"found '{near.relative}' ({near.reason})" if near else 'found nothing at all'
        raise SerError(f"no {name} recording in '{source}': expected names like '{corpus.facts.example}', {seen}. "
                       f'Layout: {corpus.facts.layout}')
    return utterances, skips


__all__ = ['CORPORA', 'Skip', 'Utterance', 'read_corpus']
