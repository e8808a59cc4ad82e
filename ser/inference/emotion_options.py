"""The options of `ser predict` over time: `--timeline` and `--microphone`. Imports nothing heavy."""

from dataclasses import dataclass

FORMATS = ('table', 'json', 'csv', 'audacity', 'vtt')
_SUFFIXES = {'.json': 'json', '.csv': 'csv', '.vtt': 'vtt', '.txt': 'table'}
_LENGTHS = ('window', 'hop', 'min_segment', 'silence_db')
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
                            'json, csv, audacity or vtt; --out FOLDER for a file for each of several')
    group.add_argument('--microphone', action='store_true', help='listen, and show what is heard until Ctrl-C')
    group.add_argument('--window', type=float, metavar='S', help='seconds that the model hears at a time (default: 3)')
    group.add_argument('--hop', type=float, metavar='S', help='seconds from one window to the next (default: 1)')
    group.add_argument('--min-segment', type=float, metavar='S',
                       help='merge segments shorter than this into a neighbour (default: 1)')
    group.add_argument('--silence-db', type=float, metavar='DB',
                       help='softer than this is silence, in dBFS (default: -60)')
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
    if args.timeline and args.format == 'jsonl':
        parser.error("--format jsonl is of whole clips. With --timeline it is json, one object a recording")
    if not args.timeline and args.format in ('json', 'audacity', 'vtt'):
        near = ' (the nearest: jsonl)' if args.format == 'json' else ''
        parser.error(f'--format {args.format} goes with --timeline. Without it: table, jsonl, csv{near}')
    if not args.timeline and not args.format and (args.out or '').lower().endswith('.vtt'):
        parser.error(f'--out {args.out}: WebVTT goes with --timeline. Add it, or let the name end in .jsonl, .csv or '
                     '.txt')
    if args.windows and timeline_format(args, False) != 'csv':
        parser.error('--windows goes with --format csv (of json they are a part)')


def timeline_format(args, terminal):
    """The format asked for, else by the suffix of --out, else a table on a terminal and json elsewhere."""
    suffix = '.' + args.out.rpartition('.')[2].lower() if args.out and '.' in args.out else ''
    return args.format or _SUFFIXES.get(suffix) or ('table' if terminal and not args.out else 'json')


def request_of(args, terminal):
    """The Request of parsed options. terminal: whether standard output is one."""
    named = {'window_seconds': args.window, 'hop_seconds': args.hop, 'min_segment_seconds': args.min_segment,
             'silence_db': args.silence_db}
    return Request(tuple(args.files), timeline_format(args, terminal), args.windows, args.out, args.picture,
                   tuple((name, value) for name, value in named.items() if value is not None))


def _given(args, name):
    value = getattr(args, name)
    # Not `in (None, False)`: 0 is a value.
    return value is not None and value is not False


def _option(name):
    return f'--{name.replace("_", "-")}'
