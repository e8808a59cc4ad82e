"""Globs whose `**` searches each real folder once, however links go round."""

import glob
import os
from pathlib import Path


def globbed(pattern):
    """Names that a glob finds, in no order. Under `**` links are followed and each real folder is searched once.

    The standard library's goes round a loop of links until the system stops it, and two loops take for ever. Hidden
    folders are passed over there, as it does.
    """
    parts = Path(pattern).parts
    if '**' not in parts:
        return glob.glob(str(pattern))
    place = parts.index('**')
    rest = parts[place + 1:] or ('*',)
    return [name for folder in _folders(sorted(glob.glob(str(Path(*parts[:place])))))
            for name in globbed(str(Path(glob.escape(folder), *rest)))]


def _folders(tops):
    """`tops` and every folder below them, each real one once; hidden ones are passed over."""
    visited = set()
    for top in tops:
        for folder, inside, _ in os.walk(top, followlinks=True):
            real = os.path.realpath(folder)
            if real in visited:
                inside.clear()
                continue
            visited.add(real)
            inside[:] = sorted(name for name in inside if not name.startswith('.'))
            yield folder
