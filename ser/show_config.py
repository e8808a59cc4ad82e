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
    from ser.config.describe import HEADER, commented_yaml, json_schema
    from ser.config.load import load_config
    from ser.config.presets import preset_names

    if args.action == 'schema':
        print(json_schema())
        return
    if args.name is None:
        print(f'# presets: {", ".join(preset_names())}')
    name = args.name or 'base'
    config = load_config((name,), args.assignments)
    changed = ', changed by --set,' if args.assignments else ''
    header = f'Every key with its value in {name}{changed} and what it means.'
    print(commented_yaml(config, HEADER if name == 'base' and not changed else header), end='')


if __name__ == '__main__':
    sys.exit(main())
