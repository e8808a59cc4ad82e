"""`python -m ser.train`: train, select on validation, score the test part once, write the run directory."""

import os
import sys

from ser.command import Parser, add_config_options, log_to_terminal, run_command
from ser.errors import SerError
from ser.shards.parent import end_with_parent

EPILOG = """\
With neither --config nor --shards it makes a small synthetic corpus (data/demo) and trains a small model on it: two
minutes on two cores, to try the software. Then: build shards of your own corpus with tools/build_shards.py and name
them in --shards.
--folds, --seeds and --leak-premium train several runs into --out; the same command carries on where it was stopped.
Several GPUs or processes: torchrun --nproc-per-node N -m ser.train ..."""


def parser():
    """The command line of ser train."""
    p = Parser(prog='ser train', description=__doc__, epilog=EPILOG)
    p.add_argument('--shards', nargs='+', metavar='TAR',
                   help='tar files, globs, brace ranges or folders; NAME=TAR where several corpora meet')
    p.add_argument('--valid-shards', nargs='+', metavar='TAR', help='validation tars, where each part has its own')
    p.add_argument('--test-shards', nargs='+', metavar='TAR', help='test tars, where each part has its own')
    p.add_argument('--remote', action='store_true', default=None,
                   help='shards may be addresses: s3://, gs:// or https:// (data.remote)')
    add_config_options(p)
    p.add_argument('--protocol', metavar='NAME',
                   help='speaker (default), speaker-kfold, leave-one-speaker-out, leave-one-session-out, emobox, text, '
                        'speaker+text, official, cross, leave-one-corpus-out, given or utterance')
    p.add_argument('--device', metavar='NAME', help='auto, cpu, cuda or mps')
    p.add_argument('--out', metavar='RUN', help='the run directory (default: runs/<timestamp>-<name>)')
    p.add_argument('--resume', metavar='RUN', help='continue this run from its newest checkpoint')
    p.add_argument('--folds', choices=['all'], help='every fold of the protocol, one run each, then the pooled scores')
    p.add_argument('--seeds', type=int, metavar='N',
                   help='N runs with run.seed, run.seed + 1, ... on one split, then mean and spread; with --folds all: '
                        'every fold of each')
    p.add_argument('--leak-premium', action='store_true',
                   help='train on unseen speakers and on random clips: what hearing the test speakers is worth')
    p.add_argument('--dry-run', action='store_true',
                   help='print config, data, model and shapes (of several runs: the parts of each); then stop')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    args = parser().parse_args(argv)

    def body(args):
        _check(args)
        log_to_terminal(quiet=int(os.environ.get('RANK', 0)) > 0)
        launched = 'TORCHELASTIC_RUN_ID' in os.environ
        if launched:
            end_with_parent('error: torchrun has ended: this rank ends too\n')
        # torch and friends take seconds to import: --help, a mistyped option and a wrong path need none of them.
        from ser.config.load import load_config
        from ser.shards.index import named_shards
        from ser.training.run import new_run_path, open_run

        options = _options(args)
        if args.resume is not None:
            open_run(args.resume)
            from ser.training.session import resume_session

            return resume_session(args.resume, args.assignments, options)
        name = args.config or ('base' if args.shards else 'demo')
        config = load_config((name,), args.assignments, options)
        if not config.data.shards:
            from ser.corpora.config_corpus import refuse_without_shards

            refuse_without_shards(name)
        elif not (launched or config.data.remote):
            named_shards(config.data)
        # Whether torchrun has restarted ranks, they find out together.
        if not launched:
            new_run_path(config.run, args.out)
        from ser.training.session import new_session

        if args.folds or args.seeds is not None or args.leak_premium:
            return _several(args, config)
        return new_session(config, args.out, args.dry_run, offer_small=args.config is None)

    return run_command(body, args)


def _several(args, config):
    from ser.training.folds import all_folds
    from ser.training.premium import train_premium
    from ser.training.repeats import all_seeds

    if args.leak_premium:
        return train_premium(config, args.out, args.dry_run)
    if args.seeds is not None:
        return all_seeds(config, args.seeds, args.out, folds=args.folds is not None, dry_run=args.dry_run)
    return all_folds(config, args.out, args.dry_run)


def _check(args):
    """Raises SerError for options that do not go together."""
    if args.resume is not None and (args.out or args.config or args.folds or args.seeds is not None
                                    or args.leak_premium or args.dry_run):
        raise SerError('--resume takes its config and place from the run: it goes with --shards, --device and --set '
                       'of data.workers and the like, not with --out, --config, --folds, --seeds, --leak-premium or '
                       '--dry-run. Of a series, the same command with the same --out carries on')
    if args.leak_premium:
        for option, given in (('--folds', args.folds), ('--seeds', args.seeds is not None),
                              ('--protocol', args.protocol)):
            if given:
                raise SerError(f'--leak-premium trains protocol speaker and protocol utterance, one run each: leave '
                               f'out {option}')
    if args.seeds is not None and args.seeds < 2:
        raise SerError(f'--seeds {args.seeds}: at least 2, or there is nothing to repeat')


def _options(args):
    """The sugar that was given: {option: (dotted key, value)}."""
    sugar = {'--shards': ('data.shards', args.shards), '--valid-shards': ('data.valid_shards', args.valid_shards),
             '--test-shards': ('data.test_shards', args.test_shards), '--protocol': ('protocol.kind', args.protocol),
             '--device': ('run.device', args.device), '--remote': ('data.remote', args.remote)}
    return {option: pair for option, pair in sugar.items() if pair[1] is not None}


if __name__ == '__main__':
    sys.exit(main())
