"""`python -m ser.train`: train, select on validation, score the test part once, write the run directory."""

import sys

from ser.command import Parser, add_config_options, run_command

EPILOG = """\
With no option at all it makes a small synthetic corpus (data/demo) and trains a small model on it: two minutes on two
cores, to try the software. Then: build shards of your own corpus with tools/build_shards.py and name them in --shards.
Several GPUs or processes: torchrun --nproc-per-node N -m ser.train ..."""


def parser():
    """The command line of ser.train."""
    p = Parser(prog='ser.train', description=__doc__, epilog=EPILOG)
    p.add_argument('--shards', nargs='+', metavar='TAR', help='tar files, globs, brace ranges or folders')
    p.add_argument('--valid-shards', nargs='+', metavar='TAR', help='validation tars, where each part has its own')
    p.add_argument('--test-shards', nargs='+', metavar='TAR', help='test tars, where each part has its own')
    add_config_options(p)
    p.add_argument('--protocol', metavar='NAME',
                   help='speaker, speaker-kfold, leave-one-speaker-out, given or utterance')
    p.add_argument('--device', metavar='NAME', help='auto, cpu, cuda or mps')
    p.add_argument('--out', metavar='RUN', help='the run directory (default: runs/<timestamp>-<name>)')
    p.add_argument('--resume', metavar='RUN', help='continue this run from its newest checkpoint')
    p.add_argument('--folds', choices=['all'], help='every fold of the protocol, one run each, then the pooled scores')
    p.add_argument('--dry-run', action='store_true', help='print config, data, model and shapes; then stop')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    args = parser().parse_args(argv)

    def body(args):
        # torch and friends take seconds to import: --help and a mistyped option need none of them.
        from ser.training.session import train

        return train(args.assignments, _options(args), config=args.config, out=args.out, resume=args.resume,
                     all_folds=args.folds == 'all', dry_run=args.dry_run)

    return run_command(body, args)


def _options(args):
    """The sugar that was given: {option: (dotted key, value)}."""
    sugar = {'--shards': ('data.shards', args.shards), '--valid-shards': ('data.valid_shards', args.valid_shards),
             '--test-shards': ('data.test_shards', args.test_shards), '--protocol': ('protocol.kind', args.protocol),
             '--device': ('run.device', args.device)}
    return {option: pair for option, pair in sugar.items() if pair[1] is not None}


if __name__ == '__main__':
    sys.exit(main())
