"""`ser config show [NAME]`: a resolved config, every key with its meaning. `ser config schema`: for editors."""

import sys

from ser.command import Parser, run_command


def parser():
    """The command line of ser config."""
    p = Parser(prog='ser config', description=__doc__)
    p.add_argument('action', choices=['show', 'schema'])
    p.add_argument('name', nargs='?', help='YAML file or preset (default: base)')
    p.add_argument('--set', metavar='a.b=value', nargs='+', action='extend', default=[], dest='assignments')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.config.describe import commented_yaml, json_schema
    from ser.config.load import load_config
    from ser.config.presets import preset_names

    if args.action == 'schema':
        print(json_schema())
        return
    if args.name is None:
        print(f'# presets: {", ".join(preset_names())}')
    print(commented_yaml(load_config((args.name or 'base',), args.assignments)), end='')


if __name__ == '__main__':
    sys.exit(main())
