"""`ser corpora`: the corpora that can be built into shards, with licence, counts and expected layout."""

import sys

from ser.command import Parser, run_command


def parser():
    """The command line of ser corpora."""
    return Parser(prog='ser corpora', description=__doc__)


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.corpora import CORPORA

    for name, corpus in CORPORA.items():
        facts = corpus.facts
        print(f'{name}: {facts.title}')
        for label, value in (('licence', facts.licence), ('language', facts.language), ('speakers', facts.speakers),
                             ('utterances', facts.utterances), ('emotions', ', '.join(facts.emotions)),
                             ('layout', facts.layout), ('example', facts.example), ('homepage', facts.homepage)):
            if value:
                print(f'  {label}: {value}')


if __name__ == '__main__':
    sys.exit(main())
