"""`ser predict FILE...`: the probability of each class (or the dimensions) of audio files, from a trained run."""

import sys

from ser.command import SOME_BAD, Parser, log_to_terminal, run_command

EPILOG = """\
A FILE may be a folder: every audio file inside is taken, recursively. Any sample rate and number of channels will do.
A clip longer than the run's data.max_seconds is cut into windows of that length, and the probabilities are their mean.
Probabilities are uncalibrated. Exit code: 0 done, 1 some files could not be used (each is reported), 2 refused."""


def parser():
    """The command line of ser predict."""
    p = Parser(prog='ser predict', description=__doc__, epilog=EPILOG)
    p.add_argument('files', nargs='+', metavar='FILE', help='audio files or folders')
    p.add_argument('--model', required=True, metavar='RUN', help='the run directory of a trained model')
    p.add_argument('--format', choices=['table', 'jsonl', 'csv'],
                   help='default: table on a terminal, else jsonl (one JSON object a line)')
    p.add_argument('--device', metavar='NAME', choices=['auto', 'cpu', 'cuda', 'mps'], default='auto',
                   help='auto (default), cpu, cuda or mps')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.inference.recordings import find_recordings

    recordings = find_recordings(args.files)
    from ser.inference.predictor import Predictor, trained_on_synthetic_speech

    log_to_terminal(quiet=True)
    predictor = Predictor(args.model, args.device)
    bad = []
    shape = args.format or ('table' if sys.stdout.isatty() else 'jsonl')
    results = _watched(predictor.predict(recordings), len(recordings), shape, bad)
    for line in predictor.formats[shape](results, predictor.names):
        print(line, flush=True)
    if trained_on_synthetic_speech(args.model):
        print('note: this model was trained on synthetic speech; what it says of real voices means nothing',
              file=sys.stderr)
    if bad:
        print(f'{len(bad)} of {len(recordings)} files could not be used', file=sys.stderr)
        return SOME_BAD


def _watched(results, total, shape, bad):
    """Pass results on, remember the bad ones, and show a bar where a table keeps a terminal waiting."""
    from tqdm import tqdm

    show = shape == 'table' and sys.stderr.isatty() and total > 1
    for result in tqdm(results, total=total, unit='file', leave=False, disable=not show):
        if result.error:
            bad.append(result.file)
        yield result


if __name__ == '__main__':
    sys.exit(main())
