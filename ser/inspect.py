"""`ser inspect FILE...`: what the model sees of audio files, as arrays (.npz) and as a picture (.png)."""

import sys

from ser.command import SOME_BAD, Parser, log_to_terminal, run_command

EPILOG = """\
Writes <stem>.npz (waveform, sample_rate, cqt_db, mel_db, cqt_image, mel_image; further features of the config's views
likewise) and <stem>.png for each FILE; a stem that comes twice is numbered. A FILE may be a folder: every audio file
inside, recursively. Of a clip longer than data.max_seconds the first window is shown.
Exit code: 0 done, 1 some files could not be used (each is reported), 2 refused."""


def parser():
    """The command line of ser inspect."""
    p = Parser(prog='ser inspect', description=__doc__, epilog=EPILOG)
    p.add_argument('files', nargs='+', metavar='FILE', help='audio files or folders')
    source = p.add_mutually_exclusive_group()
    source.add_argument('--config', metavar='FILE|NAME', help='whose features: a YAML file or preset (default: base)')
    source.add_argument('--model', metavar='RUN', help='whose features: the config of this run')
    p.add_argument('--out', metavar='DIR', default='.', help='where the files go (default: here)')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from pathlib import Path

    from ser.config.load import load_config
    from ser.errors import SerError
    from ser.inference.recordings import find_recordings
    from ser.training.run import open_run

    recordings = find_recordings(args.files)
    config = open_run(args.model)[0] if args.model else load_config((args.config or 'base',))
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SerError(f'--out {out}: no folder can be made there ({error.strerror}). Choose another') from None
    from ser.inference.inspection import Inspector, inspect_recording, output_stems

    log_to_terminal()
    inspector = Inspector(config)
    bad = 0
    for recording, stem in zip(recordings, output_stems(recordings), strict=True):
        line, fault = inspect_recording(inspector, recording, out / stem)
        bad += fault
        print(line, file=sys.stderr if fault else sys.stdout, flush=True)
    if bad:
        print(f'{bad} of {len(recordings)} files could not be used', file=sys.stderr)
        return SOME_BAD


if __name__ == '__main__':
    sys.exit(main())
