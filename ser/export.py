"""`ser export RUN --format transformers --out FOLDER`: a fine-tuned speech encoder as a transformers folder."""

import sys

from ser.command import DONE, Parser, log_to_terminal, run_command

EPILOG = """\
Writes config.json, model.safetensors and preprocessor_config.json, which transformers'
AutoModelForAudioClassification.from_pretrained(FOLDER) loads: the logits are the run's to 1e-5. Needs the extra [ssl]
and a run of model.kind ssl with head 'projector' and mean pooling, such as those of the presets hubert-large.
Exit code: 0 done, 2 refused."""


def parser():
    """The command line of ser export."""
    p = Parser(prog='ser export', description=__doc__, epilog=EPILOG)
    p.add_argument('run', metavar='RUN', help='run directory')
    p.add_argument('--format', required=True, choices=['transformers'], help='what to write')
    p.add_argument('--out', required=True, metavar='FOLDER', help='the folder to make; it must not exist')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    log_to_terminal()
    from ser.models.ssl_export import export_transformers
    from ser.training.rebuild import load_run

    for line in export_transformers(*load_run(args.run), args.out):
        print(f'note: {line}')
    print(f'{args.out}: written')
    return DONE


if __name__ == '__main__':
    sys.exit(main())
