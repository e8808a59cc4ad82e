"""What a corpus parser yields: utterances, skips, and the corpus's own facts."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Utterance:
    """One labelled recording of a corpus; nothing of its audio has been read yet."""

    path: Path
    """The audio file (for a synthesised clip: its name)."""
    relative: str
    """Path relative to the source folder, with forward slashes; the key is made from it."""
    corpus: str
    emotion: str
    """Canonical where an alias is known (ser.labels); '' for a recording that only has dimensions."""
    raw_label: str
    """The label in the corpus's own words."""
    speaker: str | None = None
    """As the corpus numbers them: unique within the corpus."""
    language: str | None = None
    gender: str | None = None
    """'female', 'male', or the corpus's own word."""
    session: str | None = None
    text_id: str | None = None
    """Which sentence is spoken."""
    intensity: str | None = None
    extra: dict = field(default_factory=dict)
    """Further JSON values: `votes` (canonical emotion -> count), `arousal`, `valence`, `dominance`, `accent`, columns
    of a table."""
    read: Callable | None = None
    """For synthesised clips: () -> (int16 (n,), rate in Hz) instead of decoding `path`; must pickle."""
    data: Callable | None = None
    """For recordings inside a table: () -> the bytes of the audio file instead of reading `path`; must pickle."""


@dataclass(frozen=True)
class Skip:
    """A file that does not become a sample, and why."""

    relative: str
    reason: str
    """A few words; skips are counted by it."""
    detail: str = ''
    """What is particular to this file."""
    bad: bool = False
    """The file should have been usable (missing, undecodable, audio of another name), unlike a README or a song."""


@dataclass(frozen=True)
class Download:
    """One file that a corpus's owner offers to everybody."""

    url: str
    file: str
    """Name to store it under."""
    bytes: int | None = None
    """Published size; None where none is published."""
    checksum: str | None = None
    """'md5:...' or 'sha256:...' as published; None where none is."""
    checksum_source: str | None = None
    """Where that checksum is published."""


@dataclass(frozen=True)
class CorpusFacts:
    """What is published about a corpus."""

    name: str
    title: str
    licence: str
    language: str | None
    """ISO 639-1, None where there is no one language."""
    homepage: str | None
    speakers: int | None
    emotions: tuple[str, ...]
    """Canonical order; empty where any label is a class."""
    utterances: int | None
    """Official count."""
    example: str
    """A file name that parses."""
    layout: str
    """What the source is to look like, in one line."""
    obtain: str = ''
    """How to get it, in one line: a free download, a form to sign, a fee."""
    downloads: tuple[Download, ...] = ()
    """What `--download` fetches; empty where the licence or the owner does not allow it."""


@dataclass(frozen=True)
class Corpus:
    """An entry of ser.corpora.CORPORA."""

    facts: CorpusFacts
    parse: Callable[..., Iterator[Utterance | Skip]]
    """(source folder, **options) to utterances and skips, in natural order of their paths."""
    needs_source: bool = True
    options: dict[str, str] = field(default_factory=dict)
    """Option name -> what it does, its values and its default; values come as text."""


def name_of(relative):
    """A relative path without its suffix, accents composed: file systems store them in two ways."""
    return str(PurePosixPath(unicodedata.normalize('NFC', relative)).with_suffix(''))


def key_of(corpus, relative):
    """`<corpus>-<relative path without suffix>`, every character outside [A-Za-z0-9_-] turned into '_'."""
    return re.sub(r'[^A-Za-z0-9_-]', '_', f'{corpus}-{name_of(relative)}')


def distinct_key(corpus, relative):
    """key_of and 8 hexadecimal digits of the path: for names that differ only in characters that no key has."""
    # A name that is not UTF-8 holds lone surrogates.
    digest = hashlib.sha256(name_of(relative).encode('utf-8', 'backslashreplace')).hexdigest()
    return f'{key_of(corpus, relative)}-{digest[:8]}'
