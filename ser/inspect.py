"""`ser inspect FILE...`: what a model sees of audio files, how it comes there, what a trained model used of it."""

import sys

from ser.command import SOME_BAD, Parser, log_to_terminal, run_command

MOST_PREVIEWS = 32
EPILOG = """\
For each FILE, named after its stem (one that comes twice is numbered):
  <stem>-features.npz, .png  waveform, CQT and Mel (where the sample rate allows them) and what else the model sees
with --stages:
  <stem>-stages.npz, .json   the waveform raw, trimmed, resampled, fixed, prepared; spectra; levels, lengths, trimming
  <stem>-stages.png, -spectra.png, -augmented.png (--augment), -layers.png (models with an encoder)
with --model:
  <stem>-explained.npz, .json, .png    probabilities, attention in seconds of the file, gates, the contribution of each
                             view (the logit, less what it is with that view held at its mean), saliency, Grad-CAM

A FILE may be a folder: every audio file inside, recursively. Of a clip longer than data.max_seconds the first window is
shown. Saliency says where the answer would move, not why the clip is what it is.
Exit code: 0 done, 1 some files could not be used (each is reported), 2 refused."""


def parser():
    """The command line of ser inspect."""
    p = Parser(prog='ser inspect', description=__doc__, epilog=EPILOG)
    p.add_argument('files', nargs='+', metavar='FILE', help='audio files or folders')
    source = p.add_mutually_exclusive_group()
    source.add_argument('--config', metavar='FILE|NAME', help='whose features: a YAML file or preset (default: base)')
    source.add_argument('--model', metavar='RUN', help='whose features and whose answer: this trained run')
    p.add_argument('--stages', action='store_true', help='also how the clip comes to the network, step by step')
    p.add_argument('--augment', metavar='N', type=int,
                   help='with --stages: N augmented previews, as epochs 0 to N - 1 of training draw them')
    p.add_argument('--out', metavar='DIR', default='.', help='where the files go (default: here)')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from pathlib import Path

    from ser.errors import SerError
    from ser.inference.recordings import find_recordings

    _check_previews(args)
    recordings = find_recordings(args.files)
    open_inspector = _opened(args)
    out = Path(args.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SerError(f'--out {out}: no folder can be made there ({error.strerror}). Choose another') from None
    from ser.inference.inspection import Inspection, output_stems

    log_to_terminal()
    inspector, head = open_inspector()
    inspection = Inspection(inspector, out, args.stages, args.augment or 0, head, args.model)
    bad = 0
    for recording, stem in zip(recordings, output_stems(recordings), strict=True):
        line, fault = inspection.write(recording, stem)
        bad += fault
        print(line, file=sys.stderr if fault else sys.stdout, flush=True)
    if bad:
        print(f'{bad} of {len(recordings)} files could not be used', file=sys.stderr)
        return SOME_BAD


def _check_previews(args):
    from ser.errors import SerError

    if args.augment is None:
        return
    if not 1 <= args.augment <= MOST_PREVIEWS:
        raise SerError(f'--augment {args.augment}: how many previews to draw; 1 to {MOST_PREVIEWS} are allowed')
    if not args.stages:
        raise SerError(f'--augment {args.augment}: previews are part of the stages; add --stages')


def _opened(args):
    """What is read at once, so that mistakes come early; a function that makes (Inspector, Head or None) of it."""
    if args.model:
        from ser.training.run import open_run

        open_run(args.model)
    else:
        from ser.config.load import load_config

        config = load_config((args.config or 'base',))

    def inspector():
        from ser.inference.inspection import Inspector, trained_inspector, untrained_inspector

        if args.model:
            return trained_inspector(args.model)
        return (untrained_inspector if args.stages else Inspector)(config), None

    return inspector


if __name__ == '__main__':
    sys.exit(main())
