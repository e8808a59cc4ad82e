"""What `ser predict` can be given: audio files, folders and patterns, shards, standard input."""

import sys
from pathlib import Path

from ser.errors import SerError
from ser.files import natural
from ser.inference.recordings import MAX_BYTES, Named, Span, named_by, usable
from ser.shards.index_cache import cached_scan
from ser.shards.sample_label import LabelSource

STANDARD_INPUT = '-'


def find_sources(arguments):
    """Named recordings of the arguments, in the order given.

    As `find_recordings`, and: `-` is one audio file's bytes on standard input; a tar, or a folder that holds tars and
    no audio file, stands for the audio members of these shards, each called `shard.tar/key`; labels are not needed.
    Shards are read whole here, strictly; a damaged one is a Named with its fault.
    Raises SerError when nothing named can be used.
    """
    return usable(named_sources(arguments))


def named_sources(arguments):
    """As `find_sources`, also where nothing named can be used."""
    found = []
    for argument in arguments:
        if argument == STANDARD_INPUT:
            found.append(_standard_input(any(named.data is not None for named in found)))
        else:
            found += [source for named in named_by(argument) for source in _opened(named)] if argument else named_by('')
    return found


def _opened(named):
    """A Named itself, or the members of the shards that it stands for."""
    if named.fault and named.path.is_dir():
        tars = sorted((path for path in named.path.iterdir() if path.suffix == '.tar' and path.is_file()),
                      key=lambda path: natural(path.name))
        return [member for tar in tars for member in _members(tar)] or [named]
    return _members(named.path) if not named.fault and named.path.suffix == '.tar' else [named]


def _members(path):
    try:
        # The scan that training on this shard makes, and perhaps has made already.
        scan = cached_scan(path, LabelSource().wanted)
    except SerError as error:
        return [Named(path, f'not a usable shard: {str(error).removeprefix(f"{path}: ")}')]
    return [Named(path / sample.key, span=Span(path, sample.offset, sample.size, sample.suffix, sample.recorded_sha256))
            for sample in scan.samples]


def _standard_input(again):
    path = Path(STANDARD_INPUT)
    if again:
        return Named(path, 'standard input can be read once')
    if sys.stdin is None or sys.stdin.isatty():
        return Named(path, 'nothing is piped into standard input')
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    return Named(path, data=data) if data else Named(path, 'nothing came through standard input')
