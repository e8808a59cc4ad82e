"""Finding audio files in a folder tree."""

import os
import unicodedata
from pathlib import Path, PurePosixPath

from ser.corpora.utterance import Skip, Utterance
from ser.errors import SerError
from ser.files import natural

# Containers that libsndfile identifies by their header; raw, header-less formats are left out.
AUDIO_SUFFIXES = frozenset((
    '.wav', '.wave', '.w64', '.rf64', '.bwf', '.flac', '.ogg', '.oga', '.opus', '.mp3', '.aif', '.aiff', '.aifc', '.au',
    '.snd', '.caf', '.sph', '.nist', '.voc'))
LOSSY_SUFFIXES = frozenset(('.mp3', '.ogg', '.oga', '.opus'))


def find_audio(source):
    """Audio files below a folder, and everything that was passed over.

    source: Path of a folder; links are followed, each real folder once.
    Returns (relative paths with forward slashes in natural order, list of Skip).
    Raises SerError when the folder does not exist.
    """
    if not source.is_dir():
        raise SerError(f"no such folder: '{source}'" if not source.exists() else
                       f"'{source}' is not a folder: give the folder that holds the corpus")
    found, skips, visited = [], [], {os.path.realpath(source)}

    def unreadable(error):
        skips.append(Skip(os.path.relpath(error.filename, source).replace(os.sep, '/'), 'folder cannot be read',
                          error.strerror or '', bad=True))

    for folder, folders, files in os.walk(source, onerror=unreadable, followlinks=True):
        inside = Path(folder).relative_to(source)
        folders[:] = [name for name in folders if _enter(inside / name, source, visited, skips)]
        for name in files:
            relative = (inside / name).as_posix()
            if name.startswith('.'):
                skips.append(Skip(relative, 'hidden file'))
            elif os.path.splitext(name)[1].lower() not in AUDIO_SUFFIXES:
                skips.append(Skip(relative, 'not an audio file'))
            else:
                found.append(relative)
    return sorted(found, key=natural), sorted(skips, key=lambda skip: natural(skip.relative))


def spelt(folder, given):
    """`folder / given`, its accents as the disk has them: one of table and disk may compose them and the other not."""
    path = folder / given
    if str(given).isascii() or path.exists():
        return path
    spellings = (folder / unicodedata.normalize(form, str(given)) for form in ('NFC', 'NFD'))
    return next((spelling for spelling in spellings if spelling.exists()), path)


def _enter(inside, source, visited, skips):
    if inside.name.startswith('.') or inside.name == '__MACOSX':
        skips.append(Skip(inside.as_posix(), 'hidden folder'))
        return False
    real = os.path.realpath(source / inside)
    if real in visited:
        skips.append(Skip(inside.as_posix(), 'link to a folder already seen'))
        return False
    visited.add(real)
    return True


def parse_names(source, describe, same=None):
    """Utterances and skips of a corpus whose file names say everything.

    source: Path of the folder. describe: (path, relative) -> Utterance or Skip, a pure function of the two.
    same: Utterance -> what tells recordings apart (hashable); by default the file's name without its suffix.
    Some downloads hold a recording several times: of those one is taken, the first that is not lossy.
    """
    relatives, skips = find_audio(source)
    found = {relative: describe(source / relative, relative) for relative in relatives}
    recording = {relative: same(utterance) if same else _stem(relative)
                 for relative, utterance in found.items() if isinstance(utterance, Utterance)}
    taken = {}
    for relative in recording:
        first = taken.setdefault(recording[relative], relative)
        if _lossy(first) and not _lossy(relative):
            taken[recording[relative]] = relative
    for relative, utterance in found.items():
        first = taken[recording[relative]] if relative in recording else relative
        yield utterance if relative == first else Skip(relative, _why(relative, first), f'as {first}')
    yield from skips


def _stem(relative):
    """A name is the same however its accents are put into code points."""
    return unicodedata.normalize('NFC', PurePosixPath(relative).stem)


def _lossy(relative):
    return PurePosixPath(relative).suffix.lower() in LOSSY_SUFFIXES


def _why(relative, first):
    again, first = PurePosixPath(relative), PurePosixPath(first)
    if again.parent == first.parent or _stem(relative) != _stem(first):
        return 'the same recording under another name'
    return 'the same name in another folder'
