"""`ser doctor TAR...`: what is wrong with shards, clip by clip; with --repair, the good samples in new shards."""

import sys

from ser.command import DONE, REFUSED, Parser, add_config_options, check_jobs, log_to_terminal, run_command

EPILOG = """\
Every tar is read to its end, past whatever is damaged in it; every clip is decoded and compared with what was recorded
of it: sha256 and length in its JSON, shards.json and index.jsonl beside the tars, the checksum inside FLAC. Labels are
read as training reads them (--set data.label=...), and a key may come once in all the shards that are named.
--repair OUT writes the good samples of damaged shards to new shards in OUT, with index.jsonl and shards.json, and what
is lost to OUT/skipped.csv. Nothing else is touched; use OUT in place of the damaged shards.
Exit code: 0 all good (with --repair: nothing lost), 2 something is damaged, lost, or refused."""
_SHOWN_FAULTS = 10
# What follows from another fault, or harms nothing, is listed last.
_LAST = ('not found', 'copy')


def parser():
    """The command line of ser doctor."""
    p = Parser(prog='ser doctor', description=__doc__, epilog=EPILOG)
    p.add_argument('shards', nargs='+', metavar='TAR', help='tar files, globs, brace ranges or folders')
    add_config_options(p)
    p.add_argument('--repair', metavar='OUT', help='write the good samples of damaged shards to this new folder')
    p.add_argument('--jobs', type=int, metavar='N', help='processes that decode, a shard each (default: the cores)')
    p.add_argument('--json', metavar='FILE', help='write everything that was found to FILE')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_body, parser().parse_args(argv))


def _body(args):
    from ser.config.load import load_config
    from ser.shards.doctor import examine_shards
    from ser.shards.paths import expand_sets
    from ser.shards.repair import check_empty
    from ser.shards.sample_label import parse_label_option

    check_jobs(args.jobs)
    log_to_terminal()
    data = load_config((args.config,) if args.config else (), args.assignments).data
    source = parse_label_option(data.label)
    paths = [path for _, path in expand_sets(args.shards, 'TAR')]
    if args.repair:
        check_empty(args.repair)
    found, notes = examine_shards(paths, source, data.classes, args.jobs)
    found = [_shown(examination) for examination in found]
    for line in _totals(found, notes):
        print(line)
    if args.json:
        _write(args.json, found, notes)
    damaged = any(examination.faults for examination in found)
    if args.repair and damaged:
        return _repair(found, args.repair)
    return REFUSED if damaged else DONE


def _shown(examination):
    """The Examination, its lines printed: it is also how far the work has come."""
    from ser.evaluation.tables import counted

    held = counted(len(examination.samples), 'good sample')
    if not examination.faults:
        print(f'{examination.path}: {held}', flush=True)
        return examination
    print(f'{examination.path}: {held}, {counted(len(examination.faults), "fault")}')
    faults = sorted(examination.faults, key=lambda fault: fault.reason in _LAST)
    for fault in faults[:_SHOWN_FAULTS]:
        print(f'  {_line(fault)}')
    if len(examination.faults) > _SHOWN_FAULTS:
        print(f'  and {len(examination.faults) - _SHOWN_FAULTS} more (--json FILE lists all)')
    sys.stdout.flush()
    return examination


def _line(fault):
    where = '' if fault.offset is None else f'at byte {fault.offset}: '
    name = fault.member or fault.key
    # A detail often names its member.
    name = f'{name}: ' if name and repr(name) not in fault.detail else ''
    return f'{where}{name}{fault.detail} ({fault.reason})'


def _totals(found, notes):
    from collections import Counter

    from ser.evaluation.tables import counted

    yield from (f'note: {note}' for note in notes)
    samples = [sample for examination in found for sample in examination.samples]
    unvouched = sum(not sample.vouched for sample in samples)
    if unvouched:
        yield (f'note: of {counted(unvouched, "sample")} nothing was recorded, and the format has no checksum: they '
               'decode, but a changed bit in them cannot be noticed')
    damaged = sum(bool(examination.faults) for examination in found)
    yield (f'{counted(len(samples), "good sample")} in {counted(len(found), "shard")}; '
           f'{damaged or "none"} of the shards {"is" if damaged == 1 else "are"} damaged')
    reasons = Counter(fault.reason for examination in found for fault in examination.faults)
    if reasons:
        yield 'faults: ' + ', '.join(f'{reason} {count}' for reason, count in reasons.most_common())


def _write(path, found, notes):
    from dataclasses import asdict

    from ser.files import write_json

    shards = [{'path': one.path, 'sha256': one.sha256, 'good_samples': len(one.samples),
               'faults': [{key: value for key, value in asdict(fault).items() if key != 'shard'}
                          for fault in one.faults]} for one in found]
    write_json(path, {'good': not any(one.faults for one in found), 'shards': shards, 'notes': list(notes)})


def _repair(found, out):
    from ser.evaluation.tables import counted
    from ser.shards.repair import repair

    names = repair(found, out)
    damaged = [examination for examination in found if examination.faults]
    lost = [fault for examination in damaged for fault in examination.lost]
    saved = sum(len(examination.samples) for examination in damaged)
    if not names:
        print(f'repair: no sample of the damaged shards is good; {out} was not made')
        return REFUSED
    print(f'repair: {counted(saved, "sample")} in {counted(len(names), "shard")}, {out}: use it in place of the '
          f'{len(damaged)} damaged')
    if not lost:
        print('lost: nothing')
        return DONE
    keys = len({fault.key for fault in lost if fault.key is not None})
    places = sum(fault.key is None for fault in lost)
    print(f'lost: something of {counted(keys, "sample")}' + (
        f', and whatever lay at {counted(places, "place")} that cannot be read' if places else '')
        + f'; {out}/skipped.csv lists it')
    return REFUSED


if __name__ == '__main__':
    sys.exit(main())
