"""`ser audit --shards TAR...`: who and what is in which part, and whether a test part leaks into training."""

import sys

from ser.command import DONE, REFUSED, SOME_BAD, Parser, add_config_options, check_jobs, log_to_terminal, run_command

EPILOG = """\
Looks for recordings (the same samples, or the same recording coded, amplified, resampled or cut again), speakers,
sessions and sentences that parts share, for classes that are missing or that only one corpus has, and for loudness,
duration, silence, bandwidth and formats that tell a class or a part from the rest. Clips are decoded once and then
remembered; --quick decodes none. No model is needed.
Exit code: 0 done, 1 some folds cannot be split, 2 refused, or with --strict a leak."""


def parser():
    """The command line of ser audit."""
    p = Parser(prog='ser audit', description=__doc__, epilog=EPILOG)
    p.add_argument('--shards', nargs='+', metavar='TAR', help='tar files, globs, brace ranges or folders')
    p.add_argument('--valid-shards', nargs='+', metavar='TAR', help='validation tars, where each part has its own')
    p.add_argument('--test-shards', nargs='+', metavar='TAR', help='test tars, where each part has its own')
    p.add_argument('--remote', action='store_true', default=None,
                   help='shards may be addresses: s3://, gs:// or https:// (data.remote)')
    add_config_options(p)
    p.add_argument('--protocol', metavar='NAME', help='who is in which part; ser train --help lists the names')
    p.add_argument('--folds', choices=['all'], help='every fold of the protocol in turn')
    p.add_argument('--quick', action='store_true', help='compare encoded bytes and metadata only, decode nothing')
    p.add_argument('--strict', action='store_true', help='exit with code 2 when there is a leak')
    p.add_argument('--jobs', type=int, metavar='N', help='processes that decode (default: the cores)')
    p.add_argument('--json', metavar='FILE', help='write everything that was found to FILE')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.config.load import load_config

    check_jobs(args.jobs)
    log_to_terminal()
    config = load_config((args.config or 'base',), args.assignments, _options(args))
    from ser.shards.audit import audit
    from ser.shards.copies import find_copies
    from ser.shards.index import build_index

    labelled = _labelled(build_index(config.data), config)
    index, names = labelled.index, labelled.names
    for label, count in sorted(labelled.dropped.items()):
        print(f'left out: {count} clips, {label}')
    splits, refused = _splits(index, config, names, args.folds)
    sounds = None if args.quick else find_copies(index, args.jobs)
    audits = [audit(index, split, names, fingerprints=sounds) for split in splits]
    for found in audits:
        for line in found.lines():
            print(line)
    leaks = sum(found.leak for found in audits)
    if args.folds:
        for fold, reason in refused.items():
            print(f'fold {fold} cannot be split: {reason}')
        print(f'{leaks} of {len(audits)} folds leak')
    if args.json:
        _write(args.json, audits, refused, args.folds)
    return REFUSED if args.strict and leaks else SOME_BAD if refused else DONE


def _labelled(index, config):
    """The Labelled of an index as a run has it: labels merged and dropped, or strata of the dimensions it learns."""
    from ser.shards.labelling import label_index
    from ser.shards.targets import dimension_column, dimension_names, stratified

    if config.task.kind == 'emotion':
        return label_index(index, config.data)
    return stratified(index, dimension_column(index, dimension_names(index, config.task.dimensions)))


def _splits(index, config, names, folds):
    """([Split of the config's protocol, or those of its folds], {fold that cannot be split: why}).

    Raises SerError for a protocol without folds, and where none can be split.
    """
    from ser.errors import SerError
    from ser.shards.protocols import KINDS, fold_count, make_split

    protocol = config.protocol
    if not folds:
        return [make_split(index, protocol, names)], {}
    if not KINDS[protocol.kind].fold_names:
        allowed = ', '.join(name for name, kind in KINDS.items() if kind.fold_names)
        raise SerError(f"--folds all: protocol '{protocol.kind}' has no folds. Use --protocol with one of: {allowed}")
    splits, refused = [], {}
    for fold in range(1, fold_count(index, protocol, names) + 1):
        try:
            splits.append(make_split(index, protocol.model_copy(update={'fold': fold}), names))
        except SerError as error:
            refused[fold] = str(error)
    if not splits:
        raise SerError(f'--folds all: no fold can be split; {refused[1]}')
    return splits, refused


def _write(path, audits, refused, folds):
    """Write the audit, or those of the folds, as JSON."""
    from ser.files import write_json

    found = [one.to_json() for one in audits]
    every = {'leak': any(one.leak for one in audits), 'folds': found, 'refused': refused}
    write_json(path, every if folds else found[0])


def _options(args):
    """The sugar that was given: {option: (dotted key, value)}."""
    sugar = {'--shards': ('data.shards', args.shards), '--valid-shards': ('data.valid_shards', args.valid_shards),
             '--test-shards': ('data.test_shards', args.test_shards), '--protocol': ('protocol.kind', args.protocol),
             '--remote': ('data.remote', args.remote)}
    return {option: pair for option, pair in sugar.items() if pair[1] is not None}


if __name__ == '__main__':
    sys.exit(main())
