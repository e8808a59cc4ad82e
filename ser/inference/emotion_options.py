"""The formats of `ser predict`, and its options over time: `--timeline` and `--microphone`. Imports nothing heavy."""

import os
from dataclasses import dataclass

SUFFIXES = {'table': '.txt', 'jsonl': '.jsonl', 'csv': '.csv', 'json': '.json', 'audacity': '.txt', 'vtt': '.vtt'}
"""Format -> suffix of the files it is written to. A suffix of several stands for the first of them."""

OF_CLIPS, OVER_TIME = ('table', 'jsonl', 'csv'), tuple(SUFFIXES)
_LENGTHS = ('window', 'hop', 'min_segment')
_WHOLE_CLIPS = ('top', 'jobs')


@dataclass(frozen=True)
class Request:
    """What was asked for; None is the default."""

    files: tuple[str, ...]
    """Standing for recordings as in sources.find_sources."""
    format: str
    windows: bool = False
    """Windows instead of segments, as CSV."""
    out: str | None = None
    picture: str | None = None
    lengths: tuple = ()
    """Pairs of timeline_of's arguments: window_seconds, hop_seconds, min_segment_seconds, silence_db."""


def add_options(parser):
    """A group of options for a parser of `ser predict`."""
    group = parser.add_argument_group('over time')
    group.add_argument('--timeline', action='store_true',
                       help='long recordings (a day at most) window by window: which emotion when; --format table, '
                            'json, jsonl, csv, audacity or vtt; --out FOLDER for a file for each of several, --out '
                            'FILE.jsonl or FILE.csv for all of them in one')
    group.add_argument('--microphone', action='store_true', help='listen, and show what is heard until Ctrl-C')
    group.add_argument('--window', type=float, metavar='S', help='seconds that the model hears at a time (default: 3)')
    group.add_argument('--hop', type=float, metavar='S', help='seconds from one window to the next (default: 1)')
    group.add_argument('--min-segment', type=float, metavar='S',
                       help='merge segments shorter than this into a neighbour (default: 1)')
    group.add_argument('--silence-db', type=float, metavar='DB',
                       help='softer than this is silence, in dBFS (default: -60), of whole clips too; -200: nothing is')
    group.add_argument('--windows', action='store_true', help='with --format csv: the windows, not the segments')
    group.add_argument('--picture', metavar='FILE.png',
                       help='draw waveform, segments and probabilities; of several recordings into this folder')


def check_options(parser, args):
    """Refuse (parser.error) combinations that make no sense; `files` may be empty for --microphone alone."""
    over_time = args.timeline or args.microphone
    if args.timeline and args.microphone:
        parser.error('--timeline is of recordings and --microphone is live. Give one of the two')
    if not args.files and not args.microphone:
        parser.error('the following arguments are required: FILE')
    if args.files and args.microphone:
        parser.error(f'--microphone takes no FILE, but {args.files[0]!r} was given. Leave one of the two out')
    for name in (*_LENGTHS, 'windows', 'picture'):
        if not over_time and _given(args, name):
            parser.error(f'{_option(name)} goes with --timeline. Add it, or leave {_option(name)} out')
    for name in _WHOLE_CLIPS:
        if over_time and _given(args, name):
            parser.error(f'{_option(name)} does not go with --{"timeline" if args.timeline else "microphone"}')
    for name in ('format', 'out', 'windows', 'picture', 'min_segment'):
        if args.microphone and _given(args, name):
            parser.error(f'{_option(name)} does not go with --microphone')
    _check_format(parser, args)


def _check_format(parser, args):
    if args.format and args.format not in _formats(args):
        near = ' (the nearest: jsonl)' if args.format == 'json' else ''
        parser.error(f'--format {args.format} goes with --timeline. Without it: {", ".join(OF_CLIPS)}{near}')
    suffix = _suffix(args)
    if suffix and not args.format and _of_suffix(args) is None and not _is_folder(args):
        allowed = ', '.join(dict.fromkeys(SUFFIXES[name] for name in _formats(args)))
        why = f'{suffix} goes with --timeline' if suffix in SUFFIXES.values() else f'no format ends in {suffix}'
        parser.error(f'--out {args.out}: {why}. Let the name end in one of {allowed}, or add --format')
    if args.windows and format_of(args, False) != 'csv':
        parser.error('--windows goes with --format csv (of json they are a part)')


def format_of(args, terminal):
    """The format asked for, else by the suffix of --out, else a table on a terminal and JSON elsewhere."""
    usual = 'table' if terminal and not args.out else 'json' if args.timeline else 'jsonl'
    return args.format or _of_suffix(args) or usual


def _formats(args):
    return OVER_TIME if args.timeline else OF_CLIPS


def _suffix(args):
    return os.path.splitext(args.out or '')[1].lower()


def _of_suffix(args):
    return next((name for name in _formats(args) if SUFFIXES[name] == _suffix(args)), None)


def _is_folder(args):
    """Whether --out may name a folder with a dot in its name."""
    return args.timeline and (len(args.files) > 1 or os.path.isdir(args.out))


def request_of(args, terminal):
    """The Request of parsed options. terminal: whether standard output is one."""
    named = {'window_seconds': args.window, 'hop_seconds': args.hop, 'min_segment_seconds': args.min_segment,
             'silence_db': args.silence_db}
    return Request(tuple(args.files), format_of(args, terminal), args.windows, args.out, args.picture,
                   tuple((name, value) for name, value in named.items() if value is not None))


def _given(args, name):
    value = getattr(args, name)
    # Not `in (None, False)`: 0 is a value.
    return value is not None and value is not False


def _option(name):
    return f'--{name.replace("_", "-")}'
