"""ViSEC, a Vietnamese speech emotion corpus: an export of the Hugging Face hub, or train.csv and val.csv.

Of each clip it tells the emotion, the speaker and the speaker's accent: northern, southern or of the middle.
"""

from dataclasses import replace
from pathlib import Path

from ser.corpora.columns import clean
from ser.corpora.parquet import is_export
from ser.corpora.parquet import parse as parse_export
from ser.corpora.table import parse as parse_table
from ser.corpora.utterance import Corpus, CorpusFacts, Skip
from ser.errors import SerError
from ser.labels import ordered

EMOTIONS = ('happy', 'neutral', 'sad', 'angry')
"""In the order of the corpus's numbers, emotion_id."""
ACCENTS = ('north', 'south', 'mid')
"""In the order of their numbers."""
_ACCENT_WORDS = {**{str(number): accent for number, accent in enumerate(ACCENTS)},
                 **{accent: accent for accent in ACCENTS}, 'central': 'mid'}
_TABLES = ('train', 'val')

FACTS = CorpusFacts(
    name='visec', title='Vietnamese Speech Emotion Corpus', licence='not stated where it is published', language='vi',
    homepage='https://huggingface.co/datasets/hustep-lab/ViSEC', speakers=None, emotions=ordered(EMOTIONS),
    utterances=None, example='train-00000-of-00001.parquet',
    layout='hub:hustep-lab/ViSEC, a folder with its parquet files, or with train.csv and val.csv (file_path, emotion, '
           'accent)',
    obtain='free from the Hugging Face hub: give hub:hustep-lab/ViSEC as the SOURCE')


def parse(source):
    """Utterances and skips, files in natural order; extra values: `split`, and `accent` (north, south, mid or None).

    Raises SerError for a folder with neither kind of file, and for an emotion or accent that the corpus does not have.
    """
    source = Path(source)
    if is_export(source):
        found = ((item, None) for item in parse_export(source, corpus=FACTS.name))
    else:
        found = ((_below(item, table, source), table.stem) for table in _tables(source)
                 for item in parse_table(table, corpus=FACTS.name))
    for item, split in found:
        yield item if isinstance(item, Skip) else _complete(item, split)


def _tables(source):
    if source.is_file() and source.suffix.lower() == '.csv':
        return [source]
    tables = [path for name in _TABLES for path in sorted(source.rglob(f'{name}.csv'))] if source.is_dir() else []
    if not tables:
        raise SerError(f"'{source}': neither parquet files nor train.csv or val.csv. Expected {FACTS.layout}")
    return tables


def _below(found, table, source):
    """The found thing with its path relative to the source; a table's own are relative to the table."""
    folder = table.parent.relative_to(source if source.is_dir() else source.parent).as_posix()
    return found if folder == '.' else replace(found, relative=f'{folder}/{found.relative}')


def _complete(found, split):
    if found.emotion not in EMOTIONS:
        raise SerError(f"{found.relative}: unknown emotion '{found.raw_label}'. ViSEC has {', '.join(EMOTIONS)}")
    extra = dict(found.extra)
    given = clean(extra.get('accent'))
    accent = None if given is None else str(given).lower()
    if accent not in (None, '-1', 'unknown', *_ACCENT_WORDS):
        raise SerError(f"{found.relative}: unknown accent '{given}'. ViSEC has {', '.join(ACCENTS)}, or their numbers "
                       '0, 1, 2')
    extra['accent'] = _ACCENT_WORDS.get(accent)
    if split:
        extra['split'] = split
    return replace(found, language=FACTS.language, extra=extra)


VISEC = Corpus(FACTS, parse)
