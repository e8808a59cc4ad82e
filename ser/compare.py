"""`ser compare RUN RUN`: which run is better, by how much, and how sure that is."""

import sys
from pathlib import Path

from ser.command import Parser, run_command

EPILOG = """\
A RUN may be a run directory, a folder of folds (--folds all) or of seeds (--seeds N), or what ser evaluate wrote
elsewhere. The first is compared with each of the others. Runs that test the same clips under the same protocol are
scored on the same resampled speakers and clips; others that share test clips are shown each under its own protocol, and
their difference is unpaired; a run that tests none of the first one's clips is refused. A difference whose interval
holds zero is not shown. --cost puts a table before it: what each system is, its parameters, multiplications for a clip,
clips a second in training, UA and protocol."""


def parser():
    """The command line of ser compare."""
    p = Parser(prog='ser compare', description=__doc__, epilog=EPILOG)
    p.add_argument('runs', nargs='+', metavar='RUN', help='two or more runs, folders of folds or folders of seeds')
    p.add_argument('--cost', action='store_true', help='what each system costs, too (loads every model)')
    p.add_argument('--json', metavar='FILE', help='write everything as JSON too')
    p.add_argument('--markdown', metavar='FILE', help='write the tables as Markdown too')
    p.add_argument('--page', metavar='FILE.html', help='write one self-contained HTML page too')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.errors import SerError
    from ser.evaluation.compare import compare
    from ser.evaluation.compare_words import comparison_lines
    from ser.files import write_json, write_whole

    for option, file in (('--json', args.json), ('--markdown', args.markdown), ('--page', args.page)):
        if file is not None and Path(file).is_dir():
            raise SerError(f'{option} {file}: is a folder. Name a file')
    cost_of = None
    if args.cost:
        from ser.training.cost import system_cost as cost_of
    facts = compare(args.runs, cost_of)
    if args.json is not None:
        write_json(args.json, facts)
    if args.markdown is not None:
        write_whole(args.markdown, '\n'.join(comparison_lines(facts, markdown=True)) + '\n')
    if args.page is not None:
        from ser.reports.compare_page import comparison_page

        write_whole(args.page, comparison_page(args.runs, facts))
    print('\n'.join(comparison_lines(facts)))
    for file in filter(None, (args.json, args.markdown, args.page)):
        print(f'{file}: written')


if __name__ == '__main__':
    sys.exit(main())
