"""`ser evaluate RUN...`: recompute a run's scores from its files, score it on other shards, or average several."""

import sys

from ser.command import Parser, log_to_terminal, run_command

EPILOG = """\
RUN alone: everything is recomputed from predictions.csv and the other files of the run, and written anew. A folder of
folds (as --folds all leaves it) is pooled again. With --shards, all clips of those shards are one test part of the
run's model; predictions.csv, test_metrics.json and the rest go to --out. Clips whose label the run does not know are
left out and counted; clips that the run was trained on are noted loudly.
Several RUNs are an ensemble: the mean of their probabilities, all alike, over the test part that they share (each seed
of a folder of seeds is a run; folds are pooled), or with --shards over those shards (each fold of a folder, too). Its
scores go to a folder of their own and are called a mean wherever they are said; a run that has heard a clip that it is
to score is refused."""


def parser():
    """The command line of ser evaluate."""
    p = Parser(prog='ser evaluate', description=__doc__, epilog=EPILOG)
    p.add_argument('runs', nargs='+', metavar='RUN', help='a run directory, or a folder of folds or of seeds')
    p.add_argument('--shards', nargs='+', metavar='TAR', help='other tar files, globs, brace ranges or folders')
    p.add_argument('--out', metavar='DIR', help='with --shards or several runs: where the files go (default: '
                   'RUN/evaluation-<shards>, or ensemble-<runs> beside the first)')
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

    for option, given, goes in (('--out', args.out, len(args.runs) > 1), ('--device', args.device, False),
                                ('--set', args.assignments, False)):
        if given and not (args.shards or goes):
            raise SerError(f'{option} goes with --shards: a run alone is scored in place, from its own predictions')
    log_to_terminal()
    metrics, folder = _scored(args)
    lines = seed_lines(metrics) if metrics.get('seeds') else summary_lines(metrics)
    print('\n'.join([*lines, '', *per_class_lines(metrics), '', f'written to {folder}']))


def _scored(args):
    """(scores, folder) by the way that the arguments ask for."""
    from ser.evaluation.ensemble import evaluate_ensemble
    from ser.inference.ensemble_shards import evaluate_ensemble_shards, is_series
    from ser.inference.evaluator import evaluate_folder, evaluate_shards

    device, first = args.device or 'auto', args.runs[0]
    if args.shards and (len(args.runs) > 1 or is_series(first)):
        return evaluate_ensemble_shards(args.runs, args.shards, args.out, device, args.assignments)
    if args.shards:
        return evaluate_shards(first, args.shards, args.out, device, args.assignments)
    if len(args.runs) > 1:
        return evaluate_ensemble(args.runs, args.out)
    return evaluate_folder(first), first


if __name__ == '__main__':
    sys.exit(main())
