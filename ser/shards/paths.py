"""From what the user names to tar files: sets, globs, brace ranges and folders, expanded by ourselves.

All are local, but for object storage and web servers where `data.remote` allows them.
"""

import functools
import glob
import logging
import re
from pathlib import Path

from ser.errors import SerError
from ser.files import natural
from ser.shards.globs import globbed
from ser.shards.publish import INDEX, MANIFEST, SKIPPED
from ser.shards.remote import is_remote
from ser.shards.remote_manifest import expand_remote

MAX_NAMES = 100_000
"""Most names that one pattern's braces may stand for."""

MAX_BRACES = 32
"""Most pairs of braces in one pattern."""

MAX_CHARACTERS = 10_000
"""Longest pattern."""

BUILDER_FILES = (INDEX, MANIFEST, SKIPPED)
"""What the builder writes beside its tars; a glob such as `folder/*` passes over them."""

_PACKED = ('.tar.gz', '.tgz', '.tar.bz2', '.tar.xz', '.tar.zst')
_SCHEME = re.compile(r'^[A-Za-z][A-Za-z0-9+.-]+:')
_RANGE = re.compile(r'^(\d+)\.\.(\d+)$')
_NAMED = re.compile(r'^([A-Za-z0-9][A-Za-z0-9_.+-]*)=(.*)$', re.DOTALL)

log = logging.getLogger(__name__)


def set_of(entry):
    """(name, pattern) of an entry: `ravdess=data/ravdess` names a set, the name None where it names none.

    A path that exists as it stands is a path, whatever it contains; so is whatever has a slash before its '='.
    """
    match = _NAMED.match(str(entry))
    return (None, str(entry)) if not match or _exists(_local(str(entry))) else match.groups()


def shard_files(data, parts):
    """[(path, part, set name)] of a DataConfig's shards, each file once, each a Path or a Remote.

    parts: what shards, valid_shards and test_shards are called, where one of the last two is given.
    Raises SerError as expand_sets, for no shards, a shard in two parts, and sets named in some parts only.
    """
    if not data.shards:
        raise SerError('no shards are named. Name tar files, globs, brace ranges or a folder with --shards')
    if not (data.valid_shards or data.test_shards):
        return [(path, None, set_name) for set_name, path in expand_sets(data.shards, remote=data.remote)]
    named, owners = [], {}
    for part, patterns, option in zip(parts, (data.shards, data.valid_shards, data.test_shards),
                                      ('--shards', '--valid-shards', '--test-shards'), strict=True):
        for set_name, path in expand_sets(patterns, option, data.remote):
            other = owners.setdefault(path.resolve(), option)
            if other != option:
                raise SerError(f'{path} is named by both {other} and {option}: a shard belongs to one part')
            named.append((path, part, set_name))
    if len({set_name is None for _, _, set_name in named}) > 1:
        raise SerError('some shards are in a named set and some are not. Name the set of every entry of --shards, '
                       '--valid-shards and --test-shards (NAME=PATH), or of none')
    return named


def expand_sets(entries, option='--shards', remote=False):
    """[(set name, path)] of entries, the sets in natural order of their names; [(None, path), ...] where none is named.

    A name may come several times. Raises SerError for named and unnamed entries side by side, a set without a pattern,
    a file in two sets, and whatever `expand` refuses.
    """
    sets, owners = {}, {}
    for entry in entries:
        name, pattern = set_of(entry)
        if name is not None and not pattern:
            raise SerError(f'{option}: {str(entry)!r} names no shards for the set; write {name}=FOLDER')
        sets.setdefault(name, []).append(pattern)
    if None in sets and len(sets) > 1:
        example = next(name for name in sets if name is not None)
        raise SerError(f"{option}: {sets[None][0]} is in no set, but others are in '{example}'. Name every entry "
                       '(NAME=PATH), or none; a path with a = in it is taken as one when it begins with ./')
    found = [(name, path) for name in sorted(sets, key=lambda name: natural(name or ''))
             for path in expand(sets[name], option, remote)]
    for name, path in found:
        other = owners.setdefault(path.resolve(), name)
        if other != name:
            raise SerError(f"{option}: {path} is in both sets '{other}' and '{name}': a shard belongs to one set")
    return found


def expand(patterns, option='--shards', remote=False):
    """The tar files that `patterns` name, in natural order, each once.

    patterns: paths, globs, brace ranges (`part-{000..011}.tar`, `{a,b}.tar`) or folders (their *.tar).
    option: the option that named them, for messages. remote: whether addresses of object storage and web servers stand
    for Remotes. No local file is opened and no shell is run.
    Raises SerError for a URL where that is not so, a pipe, a pattern that matches nothing and a folder without tars.
    """
    found = {}
    for pattern in patterns:
        for path in _expand_one(str(pattern), option, remote):
            found.setdefault(path.resolve(), path)
    return tuple(sorted(found.values(), key=lambda path: (natural(path.name), natural(str(path)))))


def _expand_one(pattern, option, remote):
    if len(pattern) > MAX_CHARACTERS:
        raise SerError(f'{option}: a pattern of {len(pattern)} characters (allowed: {MAX_CHARACTERS}). Name the folder '
                       'or use a glob')
    if not pattern or _control(pattern):
        raise SerError(f'{option}: {pattern!r} is not a path')
    if remote and is_remote(pattern) and '::' not in pattern:
        return [found for name in expand_braces(pattern) for found in expand_remote(name, option)]
    _refuse_remote(pattern, option)
    literal = _local(pattern)
    if _exists(literal):
        return _existing(literal, pattern)
    paths = []
    for name in expand_braces(pattern):
        _refuse_remote(name, option)
        paths += _one_name(name, pattern)
    return paths


def _one_name(name, pattern):
    path = _local(name)
    if _exists(path):
        return _existing(path, pattern)
    matches = [Path(match) for match in globbed(str(path))] if glob.has_magic(name) else []
    files = [match for match in matches if match.is_file() and match.name not in BUILDER_FILES]
    if not files:
        which = pattern if name == pattern else f'{name} (from {pattern})'
        raise SerError(f'{which}: no such shards. {build_hint(path.parent)}')
    return files


def _local(name):
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~ and no such user
        return Path(name)


def _exists(path):
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be entered
        return False


def _existing(path, pattern):
    if path.is_dir():
        tars = [tar for tar in path.iterdir() if tar.suffix == '.tar' and tar.is_file()]
        packed = sorted(file.name for file in path.iterdir() if file.name.endswith(_PACKED) and file.is_file())
        if not tars and packed:
            raise SerError(f'{pattern}: no *.tar in this folder, but {packed[0]}: shards are tar files that are not '
                           'compressed. Unpack it (gunzip, unxz, unzstd), or build shards from what it holds')
        if not tars:
            raise SerError(f'{pattern}: no *.tar in this folder. {build_hint(path)}')
        if packed:
            _warn_of_packed(pattern, *packed)
        return tars
    if not path.is_file():
        raise SerError(f'{pattern}: not a plain file. A shard is a tar file on a local disk')
    return [path]


@functools.cache  # said once, however often the shards are listed
def _warn_of_packed(pattern, first, *others):
    more = f' and {len(others)} more' if others else ''
    log.warning('%s: not read: %s%s: shards are tar files that are not compressed', pattern, first, more)


def build_hint(folder):
    """The command that would build the shards looked for in `folder`, for messages."""
    if _exists(folder) and folder.is_dir() and any(folder.iterdir()):
        # Something else lies there, perhaps the corpus itself: shards belong in a folder of their own.
        return 'Build them: python tools/build_shards.py CORPUS SOURCE OUT, then name OUT (ser corpora lists CORPUS)'
    out = 'OUT' if glob.has_magic(str(folder)) else folder
    return f'Build them: python tools/build_shards.py ravdess SOURCE {out}'


def _refuse_remote(pattern, option):
    if '::' in pattern or '://' in pattern or _SCHEME.match(pattern):
        # Of commands that read local tars alone the option is an argument without dashes.
        may = is_remote(pattern) and option.startswith('--')
        allow = 'allow addresses with --set data.remote=true, or ' if may else ''
        raise SerError(f'{option}: {pattern!r} is not a local path. URLs, pipe: and :: are refused; '
                       f'{allow}copy the shards to a local or mounted folder and name that')


def _control(text):
    return any(ord(character) < 32 or ord(character) == 127 for character in text)


def expand_braces(pattern):
    """Every name that the braces of `pattern` stand for, in order; at most MAX_NAMES.

    `{a,b}` is a choice, `{08..11}` a range with leading zeros kept; they nest. Other braces stay as they are.
    Raises SerError when there are more than MAX_NAMES.
    """
    if pattern.count('{') > MAX_BRACES:
        raise SerError(f'a pattern with more than {MAX_BRACES} pairs of braces. Name the folder or use a glob')
    names = _expand_tail(pattern, pattern)
    if len(names) > MAX_NAMES:
        raise _too_many(pattern)
    return names


def _expand_tail(text, pattern):
    start = text.find('{')
    while start >= 0:
        end = _closing(text, start)
        choices = _choices(text[start + 1:end], pattern) if end else None
        if choices:
            tails = _expand_tail(text[end + 1:], pattern)
            if len(choices) * len(tails) > MAX_NAMES:
                raise _too_many(pattern)
            return [text[:start] + choice + tail for choice in choices for tail in tails]
        start = text.find('{', start + 1)
    return [text]


def _closing(text, start):
    depth = 0
    for position in range(start, len(text)):
        depth += {'{': 1, '}': -1}.get(text[position], 0)
        if depth == 0:
            return position
    return None


def _choices(body, pattern):
    """What one pair of braces stands for, or None when it is no choice and no range."""
    match = _RANGE.match(body)
    if match:
        first, last = match.groups()
        if len(first) > 18 or len(last) > 18 or abs(int(last) - int(first)) >= MAX_NAMES:
            raise _too_many(pattern)
        padded = (first.startswith('0') and len(first) > 1) or (last.startswith('0') and len(last) > 1)
        width = max(len(first), len(last)) if padded else 0
        step = 1 if int(first) <= int(last) else -1
        return [str(number).zfill(width) for number in range(int(first), int(last) + step, step)]
    parts, depth, begin = [], 0, 0
    for position, character in enumerate(body):
        depth += {'{': 1, '}': -1}.get(character, 0)
        if character == ',' and depth == 0:
            parts.append(body[begin:position])
            begin = position + 1
    if not parts:
        return None
    parts.append(body[begin:])
    return [name for part in parts for name in _expand_tail(part, pattern)]


def _too_many(pattern):
    return SerError(f'{pattern}: the braces stand for more than {MAX_NAMES} names. Name the folder or use a glob')
