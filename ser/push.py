"""`ser push RUN OWNER/NAME`: a trained model and its card to the Hugging Face hub (extra [hub])."""

import sys

from ser.command import DONE, Parser, log_to_terminal, run_command

EPILOG = """\
Sends config.yaml, labels.json, the weights with their sha256, calibration, scores, pictures, and the model card as
README.md; never audio. What names clips or speakers goes along with --with-predictions only (auxiliary classes that are
speakers are numbers without it); folders of this machine are left out of every file. A README.md that is there already
is not touched: the card then goes to MODEL_CARD.md, and scores that the two state differently are said.
Everything is listed with its size before anything is sent. Log in once with 'hf auth login', or set HF_TOKEN."""


def parser():
    """The command line of ser push."""
    p = Parser(prog='ser push', description=__doc__, epilog=EPILOG)
    p.add_argument('run', metavar='RUN', help='run directory')
    p.add_argument('repository', metavar='OWNER/NAME', help='where to; made where it is not there')
    p.add_argument('--private', action='store_true', help='make it private (default: everybody can see it)')
    p.add_argument('--revision', metavar='BRANCH', help='a branch other than the main one; made where it is not there')
    p.add_argument('--licence', metavar='ID', default='other',
                   help="the model's licence, as the hub calls it, such as mit or cc-by-nc-sa-4.0 (default: other)")
    p.add_argument('--with-predictions', action='store_true',
                   help='also predictions.csv, split.csv and classes of auxiliary heads, which name clips and speakers')
    p.add_argument('--yes', action='store_true', help='send without asking')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.errors import SerError
    from ser.inference.hub import prepare, send

    log_to_terminal()
    upload = prepare(args.run, args.repository, args.private, args.revision, args.with_predictions, args.licence)
    print('\n'.join(upload.lines()), flush=True)
    if not args.yes:
        if not sys.stdin.isatty():
            raise SerError('nobody is there to be asked whether to send this; add --yes')
        if not _agreed():
            print('nothing was sent')
            return DONE
    print(f'sent: {send(upload)}')
    return DONE


def _agreed():
    try:
        return input('Send? [y/N] ').strip().lower() in ('y', 'yes')
    except EOFError:
        # Ctrl-D.
        print()
        return False


if __name__ == '__main__':
    sys.exit(main())
