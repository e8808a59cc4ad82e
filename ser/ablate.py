"""`ser ablate`: train variants of one config on one split and rank them by validation."""

import sys

from ser.command import Parser, add_config_options, log_to_terminal, run_command

EPILOG = """\
ser ablate fusion --shards data/ravdess --config base --out runs/fusion

A variant is a YAML file of a few lines over --config: its path, a glob, the stem of one that comes with ser, a group of
those (fusion, augment, views, lr), or all. --set comes last and holds for every variant. The table is written after
every variant and ranks by validation UA alone. The same command with the same --out carries on. Exit code 1: a variant
failed; ablation.md says why. With a small --config, such as maxmvit-tiny, the fusions keep the widths of the base pair;
--set model.head.hidden=128 narrows every head."""


def parser():
    """The command line of ser ablate."""
    p = Parser(prog='ser ablate', description=__doc__, epilog=EPILOG)
    p.add_argument('variants', metavar='CONFIG', nargs='+', help='YAML files, globs, stems, a group, or all')
    p.add_argument('--shards', nargs='+', metavar='TAR', required=True,
                   help='tar files, globs, brace ranges or folders')
    add_config_options(p)
    p.add_argument('--protocol', metavar='NAME', help='as in training; one fold where it has several')
    p.add_argument('--device', metavar='NAME', help='auto, cpu, cuda or mps')
    p.add_argument('--out', metavar='DIR', help='its folder (default: runs/<timestamp>-<name>-ablation)')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    log_to_terminal()
    from ser.config.variants import find_variants, load_variants

    sugar = {'--shards': ('data.shards', args.shards), '--protocol': ('protocol.kind', args.protocol),
             '--device': ('run.device', args.device)}
    options = {option: pair for option, pair in sugar.items() if pair[1] is not None}
    base = args.config or 'base'
    common, variants = load_variants(find_variants(args.variants), base, args.assignments, options)
    # Torch takes seconds to import: a slip in a variant needs none of it.
    from ser.training.ablation import run_ablation

    return run_ablation(common, variants, base, args.out)


if __name__ == '__main__':
    sys.exit(main())
