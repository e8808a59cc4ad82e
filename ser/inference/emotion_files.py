"""Timelines of the recordings that people name: where each is read from, as what and where it is written."""

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from ser.errors import SerError
from ser.files import write_whole
from ser.inference.emotion_formats import FORMATS, as_windows_csv
from ser.inference.emotion_options import SUFFIXES
from ser.inference.emotion_timeline import timeline_of
from ser.inference.places import check_places
from ser.inference.recordings import BadRecording, Named, usable
from ser.inference.sources import STANDARD_INPUT, named_sources

_ALONE, _TOGETHER = ('audacity', 'vtt'), ('jsonl', 'csv')


@dataclass(frozen=True)
class _Piped(Named):
    """Standard input, read as it comes."""

    def source(self):
        # Raises for a fault: at a terminal nobody would type audio.
        super().source()
        return sys.stdin.buffer


@dataclass(frozen=True)
class Plan:
    """Recordings (recordings.Named) of an emotion_options.Request, and the files that each is written to, or None."""

    request: object
    recordings: list
    texts: list
    pictures: list
    together: Path | None
    """The one file that the lines of `timelines` go to, instead of to standard output."""


def plan_of(request):
    """The Plan of a Request. Raises SerError for what cannot be read or written, before anything is computed.

    Standard input is not held in memory, and comes after the files.
    """
    files = [name for name in request.files if name != STANDARD_INPUT]
    recordings = named_sources(files)
    if len(files) < len(request.files):
        silent = sys.stdin is None or sys.stdin.isatty()
        recordings.append(_Piped(Path(STANDARD_INPUT), 'nothing is piped into standard input' if silent else None))
    usable(recordings)
    several = len(recordings) > 1
    if several and request.out is None and request.format in _ALONE:
        raise SerError(f'--format {request.format} describes one recording, and {len(recordings)} were given. Add '
                       '--out FOLDER, or give them one by one')
    together = Path(request.out) if several and _is_one_file(request) else None
    texts = _places(None if together else request.out, '--out', recordings, SUFFIXES[request.format])
    pictures = _places(request.picture, '--picture', recordings, '.png')
    _check_names(request, recordings, [*texts, together], pictures)
    return Plan(request, recordings, texts, pictures, together)


def _is_one_file(request):
    """Whether --out names a file that holds the lines of several recordings."""
    out = request.out or ''
    return (request.format in _TOGETHER and out.lower().endswith(SUFFIXES[request.format]) and not os.path.isdir(out))


def _places(target, option, recordings, suffix):
    """Where each recording is written: `target` itself for a single one, else a name of its own in that folder."""
    if target is None:
        return [None] * len(recordings)
    path = Path(target)
    file = path.suffix.lower() == suffix or path.exists()
    if not target or (file and not path.is_dir() and len(recordings) > 1):
        raise SerError(f'{option} {target}: {len(recordings)} recordings are given; a folder is wanted')
    if len(recordings) == 1 and not path.is_dir() and not target.endswith(('/', os.sep)):
        return [path]
    places, taken = [], set()
    for named in recordings:
        stem = 'stdin' if str(named.path) == STANDARD_INPUT else named.path.stem if named.span is None else \
            named.path.name
        name, number = f'{stem}{suffix}', 2
        while name.lower() in taken:
            name, number = f'{stem}-{number}{suffix}', number + 1
        taken.add(name.lower())
        places.append(path / name)
    return places


def _check_names(request, recordings, texts, pictures):
    picture = request.picture and Path(request.picture)
    if picture and pictures == [picture] and picture.suffix.lower() != '.png':
        raise SerError(f'--picture {request.picture}: a name that ends in .png is wanted')
    check_places('--out', texts, recordings)
    check_places('--picture', pictures, recordings)
    if set(filter(None, texts)) & set(filter(None, pictures)):
        raise SerError(f'--out and --picture are both {request.out}. Choose another name for one of them')


def timelines(predictor, plan, errors, progress=None):
    """Write the Timeline of each recording of a Plan, and yield the lines that go to standard output or `together`.

    errors: a list that gains (file, why) for each recording that cannot be used; in JSON such a one is a line too.
    progress: called with the file's name and the seconds that are done, at its end with None. Raises SerError as
    timeline_of does.
    """
    request, first = plan.request, True
    for named, text, picture in zip(plan.recordings, plan.texts, plan.pictures, strict=True):
        file = str(named.path)
        try:
            timeline = timeline_of(predictor, named.source(), name=file, **dict(request.lengths),
                                   progress=progress and (lambda seconds, file=file: progress(file, seconds)))
        except BadRecording as bad:
            errors.append((file, str(bad)))
            if request.format in ('json', 'jsonl') and text is None:
                yield json.dumps({'file': file, 'error': str(bad)})
            continue
        finally:
            if progress:
                progress(file, None)
        lines = as_windows_csv(timeline) if request.windows else FORMATS[request.format](timeline)
        if picture:
            from ser.inference.emotion_picture import draw_timeline

            write_whole(picture, draw_timeline(replace(timeline, file=Path(file).name)))
        if text:
            write_whole(text, ''.join(f'{line}\n' for line in lines))
        else:
            yield from _among_others(lines, request.format, file, first, len(plan.recordings))
        first = False


def _among_others(lines, shape, file, first, count):
    """Lines of one of several recordings on one stream: one header for CSV, a heading for each table."""
    if count > 1 and shape == 'table':
        yield from ([file] if first else ['', file])
    lines = iter(lines)
    if shape == 'csv' and not first:
        next(lines)
    yield from lines
