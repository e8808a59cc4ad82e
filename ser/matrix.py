"""`ser matrix`: train on each corpus, test on every one; UA with intervals as a table and a heat map."""

import sys

from ser.command import Parser, add_config_options, log_to_terminal, run_command

EPILOG = """\
ser matrix --shards ravdess=data/ravdess emodb=data/emodb --config maxmvit-tiny --out runs/matrix

cross (default): a row per corpus, trained on whole speakers of it. On the diagonal its own held-out speakers are
tested, elsewhere every clip of the other corpus. --combinations K: a row per K corpora. leave-one-corpus-out: a row per
corpus left out, trained on all others. All cells share their classes: the labels that every corpus has, or data.labels.
The same command with the same --out carries on. Exit code 1: a row or cell failed; matrix.md says why."""


def parser():
    """The command line of ser matrix."""
    p = Parser(prog='ser matrix', description=__doc__, epilog=EPILOG)
    p.add_argument('--shards', nargs='+', metavar='NAME=TAR', required=True,
                   help='the corpora: a name and tar files, a glob, a brace range or a folder; a name may be repeated')
    add_config_options(p)
    p.add_argument('--protocol', metavar='NAME', default='cross', help='cross (default) or leave-one-corpus-out')
    p.add_argument('--combinations', metavar='K', type=int, help='with cross: train each row on K corpora (default 1)')
    p.add_argument('--device', metavar='NAME', help='auto, cpu, cuda or mps')
    p.add_argument('--out', metavar='DIR', help='its folder (default: runs/<timestamp>-<name>-matrix)')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    log_to_terminal()
    from ser.config.load import load_config
    from ser.inference.matrix import run_matrix

    options = {'--device': ('run.device', args.device)} if args.device else {}
    config = load_config((args.config or 'base',), args.assignments, options)
    return run_matrix(config, args.shards, args.out, args.protocol, args.combinations)


if __name__ == '__main__':
    sys.exit(main())
