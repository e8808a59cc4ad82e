"""Where answers are to be written, checked before anything is computed."""

import os

from ser.errors import SerError


def check_places(option, places, recordings):
    """Raises SerError for a place that is a folder or one of the recordings, and for one that cannot be written.

    option: that named them. places: Paths of files to be, their folders made where they are missing; None is passed
    over. recordings: recordings.Named.
    """
    sources = {named.span.shard if named.span else named.path for named in recordings if not named.fault}
    read = {_identity(path) for path in sources if path.is_file()}
    for place in filter(None, places):
        if place.is_dir():
            raise SerError(f'{option} {place}: a file is wanted, and this is a folder. Name a file in it')
        if place.exists() and _identity(place) in read:
            raise SerError(f'{option} {place}: is one of the recordings. Choose another name')
        folder = next(parent for parent in place.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise SerError(f'{option} {place}: nothing can be written in {folder}. Choose another place')


def _identity(path):
    """What two names of one file have in common."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino
