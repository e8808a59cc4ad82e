"""`ser report RUN`: one HTML page with everything a run says of itself, that needs no network and no other file."""

import sys

from ser.command import Parser, log_to_terminal, run_command
from ser.reports import CLIPS

EPILOG = """\
RUN may be a run directory, a folder of folds or of seeds, an ensemble, or what ser evaluate wrote elsewhere. The page
is made from its files; where the shards are at hand it also tells groups apart and holds clips to listen to. A file
that is missing is said in its section. Speakers and clips are named in it: think of that before passing it on; folders
of this machine are left out. --robustness scores the test part again under noise, codecs, filters and cuts
(some twenty times the time of a test), writes robustness.json and shows it; without it a sheet that is there is shown.
Exit code: 0 done, 2 refused."""


def parser():
    """The command line of ser report."""
    p = Parser(prog='ser report', description=__doc__, epilog=EPILOG)
    p.add_argument('run', metavar='RUN', help='run directory, or a folder with scores')
    p.add_argument('--out', metavar='FILE.html', help='the page (default: RUN/report.html)')
    p.add_argument('--shards', nargs='+', metavar='TAR', help='where the test clips are now, when they have moved')
    p.add_argument('--clips', type=int, metavar='N', help=f'so many clips to listen to of each kind (default: {CLIPS}; '
                   '0: none, for a page that may go where the recordings may not)')
    p.add_argument('--robustness', action='store_true', help='score the test part under noise and more, too')
    p.add_argument('--limit', type=int, metavar='N', help='with --robustness: only so many test clips')
    p.add_argument('--device', metavar='NAME', choices=['auto', 'cpu', 'cuda', 'mps'], default='auto',
                   help='of the model: auto (default), cpu, cuda or mps')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.errors import SerError
    from ser.files import size_text
    from ser.training.run import check_folder

    if args.clips is not None and args.clips < 0:
        raise SerError(f'--clips {args.clips}: 0 or more is wanted')
    if args.limit is not None and not args.robustness:
        raise SerError('--limit goes with --robustness: it says how many test clips are scored under noise')
    check_folder(args.run)
    log_to_terminal()
    # After the checks: what draws takes seconds to import.
    from ser.reports.page import page_path, run_page, write_page

    path = page_path(args.run, args.out)
    if args.robustness:
        from ser.reports.robustness import robustness_sheet

        robustness_sheet(args.run, args.shards, args.device, args.limit)
    text, missing = run_page(args.run, args.shards, args.clips, args.device)
    write_page(path, text)
    print('\n'.join([f'{path}: written, {size_text(len(text.encode()))}', *missing]))


if __name__ == '__main__':
    sys.exit(main())
