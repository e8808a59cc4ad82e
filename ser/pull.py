"""`ser pull OWNER/NAME OUT`: a model that ser push sent, from the Hugging Face hub (extra [hub])."""

import sys

from ser.command import DONE, Parser, log_to_terminal, run_command

EPILOG = """\
Fetches the files of a run and no others, checks the weights against their sha256, and makes the folder OUT whole or not
at all. Nothing in it is executed. Then: ser predict CLIP.wav --model OUT"""


def parser():
    """The command line of ser pull."""
    p = Parser(prog='ser pull', description=__doc__, epilog=EPILOG)
    p.add_argument('repository', metavar='OWNER/NAME', help='the model on the hub')
    p.add_argument('out', metavar='OUT', help='the folder to make; it must not exist')
    p.add_argument('--revision', metavar='NAME', help='a branch, tag or commit (default: the main branch)')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.inference.hub import pull

    log_to_terminal()
    for line in pull(args.repository, args.out, args.revision):
        print(f'note: {line}')
    print(f'{args.out}: fetched; next: ser predict CLIP.wav --model {args.out}')
    return DONE


if __name__ == '__main__':
    sys.exit(main())
