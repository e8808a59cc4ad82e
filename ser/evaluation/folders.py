"""Texts without the folders of this machine: where somebody's files lie is nobody else's business."""

import re
import shlex
from pathlib import PurePosixPath, PureWindowsPath

_FOLDERS = re.compile(r'''(?<![\w:/.~-])(?:[A-Za-z]:|~)?[\\/](?:[^\s\\/:;,'"()=`]+[\\/])*([^\s\\/:;,'"()=`]+)''')


def without_folders(value):
    """JSON or YAML values whose texts name no folder of this machine: of absolute paths the last name is kept.

    Paths are looked for inside of texts, so one with spaces in its folders keeps what follows the first of them; where
    a whole text is a path, `paths_named` says it better.
    """
    if isinstance(value, dict):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_folders(inner) for inner in value]
    return _FOLDERS.sub(r'\1', value) if isinstance(value, str) else value


def paths_named(value):
    """JSON or YAML values where each text that is a path outside of this folder is its last name alone."""
    if isinstance(value, dict):
        return {key: paths_named(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [paths_named(inner) for inner in value]
    if not isinstance(value, str):
        return value
    # A whole path, whatever characters it has; a set's name may stand before it.
    head, equals, tail = value.rpartition('=')
    path = PureWindowsPath(tail)
    if not (PurePosixPath(tail).is_absolute() or path.is_absolute() or tail.startswith('~') or '..' in path.parts):
        return value
    return f'{head}{equals}{path.name or "folder"}'


def command_named(line):
    """A command as a shell would take it, its paths by name alone."""
    try:
        words = shlex.split(line)
    except ValueError:
        # No command of a shell; nothing is known of its words.
        return without_folders(line)
    return shlex.join(without_folders(paths_named(words)))
