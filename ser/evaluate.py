"""`ser evaluate RUN`: recompute the scores of a run from its files, or score its model on other shards."""

import sys

from ser.command import Parser, log_to_terminal, run_command

EPILOG = """\
RUN alone: everything is recomputed from predictions.csv and the other files of the run, and written anew. A folder of
folds (as --folds all leaves it) is pooled again. With --shards, all clips of those shards are one test part of the
run's model; predictions.csv, test_metrics.json and the rest go to --out. Clips whose label the run does not know are
left out and counted; clips that the run was trained on are noted loudly."""


def parser():
    """The command line of ser evaluate."""
    p = Parser(prog='ser evaluate', description=__doc__, epilog=EPILOG)
    p.add_argument('run', metavar='RUN', help='a run directory, or a folder of folds or of seeds')
    p.add_argument('--shards', nargs='+', metavar='TAR', help='other tar files, globs, brace ranges or folders')
    p.add_argument('--out', metavar='DIR', help='with --shards: where the files go (default: RUN/evaluation-<shards>)')
    p.add_argument('--device', metavar='NAME', choices=['auto', 'cpu', 'cuda', 'mps'],
                   help='with --shards: auto (default), cpu, cuda or mps')
    p.add_argument('--set', metavar='a.b=value', nargs='+', action='extend', default=[], dest='assignments',
                   help='with --shards: how they are read and scored, such as data.label=cls')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.errors import SerError
    from ser.evaluation.repeats import seed_lines
    from ser.evaluation.summary import per_class_lines, summary_lines
    from ser.inference.evaluator import evaluate_folder, evaluate_shards

    for option, given in (('--out', args.out), ('--device', args.device), ('--set', args.assignments)):
        if given and not args.shards:
            raise SerError(f'{option} goes with --shards: a run alone is scored in place, from its own predictions')
    log_to_terminal()
    if args.shards:
        metrics, folder = evaluate_shards(args.run, args.shards, args.out, args.device or 'auto', args.assignments)
    else:
        metrics, folder = evaluate_folder(args.run), args.run
    lines = seed_lines(metrics) if metrics.get('seeds') else summary_lines(metrics)
    print('\n'.join([*lines, '', *per_class_lines(metrics), '', f'written to {folder}']))


if __name__ == '__main__':
    sys.exit(main())
