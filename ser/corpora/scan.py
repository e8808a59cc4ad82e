"""Finding audio files in a folder tree."""

import os
from pathlib import Path, PurePosixPath

from ser.corpora.utterance import Skip
from ser.errors import SerError
from ser.files import natural

# Containers that libsndfile identifies by their header; raw, header-less formats are left out.
AUDIO_SUFFIXES = frozenset((
    '.wav', '.wave', '.w64', '.rf64', '.bwf', '.flac', '.ogg', '.oga', '.opus', '.mp3', '.aif', '.aiff', '.aifc', '.au',
    '.snd', '.caf', '.sph', '.nist', '.voc'))


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
    for folder, folders, files in os.walk(source, followlinks=True):
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


def parse_names(source, describe):
    """Utterances and skips of a corpus whose file names say everything.

    source: Path of the folder. describe: (path, relative) -> Utterance or Skip, a pure function of the two.
    A name that turns up again in another folder is the same recording (some downloads hold the corpus twice):
    the first is taken.
    """
    relatives, skips = find_audio(source)
    first = {}
    for relative in relatives:
        found = describe(source / relative, relative)
        path = PurePosixPath(relative)
        if not isinstance(found, Skip) and first.setdefault(path.stem, path).parent != path.parent:
            found = Skip(relative, 'the same name in another folder', f'as {first[path.stem]}')
        yield found
    yield from skips
