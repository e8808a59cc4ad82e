"""`ser benchmark`, `tools/benchmark.py`: what each stage costs on this machine, beside its rivals, in one run."""

import sys

from ser.benchmarks.names import RIVALS, STAGES, chosen
from ser.command import DONE, SOME_BAD, Parser, add_config_options, log_to_terminal, run_command

BATCH, SECONDS, REPEATS = 16, 3.5, 5

EPILOG = f"""\
Needs no data and no GPU: clips are made. Implementations of a stage are timed in turn (A B A B ...), after a warm-up
call; a row is the median over the timings with its quartiles. With all rivals it takes minutes.
Stages: {', '.join(STAGES[:8])},
  {', '.join(STAGES[8:])}
  cqt and mel are of every frame, for all; front_end makes what ser's images need: fewer Mel frames, unless
  features.image.frames is all. Rows of ser are of the engines in your config.
Rivals: {', '.join(RIVALS)}
  librosa is measured as the reference systems run it, in two loader processes with the threads that your environment
  gives it (set no OMP_NUM_THREADS for that), and as librosa-parallel with a process of one thread per core; nnaudio and
  torchaudio are the stock layers, whose whole front ends share torchaudio's Mel and have ser's images (torchaudio,
  which has no CQT, ser's as well); cached is training on images that lie ready in the device's memory; bare-ffts are
  the front end's FFTs and one copy alone.
"peak MB" is memory of one call beyond what was in use before it, "% of step" is beside ser's training step, "launches"
are kernels on CUDA and tensor operations elsewhere, "floor ms" is what bytes and operations take at rates measured in
the same run, "of floor" its share of the time: 100 % is the best that the hardware can do.
Exit code: 0 done, 1 some stages failed (each says why), 2 refused."""


def parser():
    """The command line of ser benchmark."""
    p = Parser(prog='ser benchmark', description=__doc__, epilog=EPILOG)
    add_config_options(p)
    p.add_argument('--shards', nargs='+', default=(), metavar='TAR',
                   help='read these instead of made clips in the stages that read shards')
    p.add_argument('--batch', nargs='+', type=int, default=[BATCH], metavar='N', help=f'clips a call (default {BATCH})')
    p.add_argument('--seconds', type=float, default=SECONDS, metavar='S', help=f'length of clips (default {SECONDS})')
    p.add_argument('--stages', nargs='+', metavar='NAME', help='only these (default: all)')
    p.add_argument('--against', nargs='+', default=(), metavar='NAME', help='rivals to measure beside ser')
    p.add_argument('--device', metavar='NAME', help='auto, cpu, cuda or mps')
    p.add_argument('--threads', type=int, metavar='N', help="CPU threads of torch (default: torch's choice)")
    p.add_argument('--repeats', type=int, default=REPEATS, metavar='N', help=f'timings of each (default {REPEATS})')
    p.add_argument('--json', metavar='FILE', help='write the rows as JSON')
    p.add_argument('--plot', metavar='FILE', help='draw them (.png, .pdf or .svg)')
    p.add_argument('--scale', action='store_true',
                   help='how time and memory grow with batch, length, data, workers and ranks (about ten minutes); '
                        'other stages only where --stages names them')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    return run_command(lambda args: _body(args, arguments), parser().parse_args(arguments))


def _body(args, arguments):
    import logging

    # Before torch is imported, which takes seconds: a mistyped name need not wait for it.
    chosen('--against', args.against, RIVALS)
    chosen('--stages', args.stages or (), STAGES)

    from ser.benchmarks.environment import environment, environment_lines
    from ser.benchmarks.result import Result, check_targets
    from ser.benchmarks.run import build_options, measure_all, start_device

    log_to_terminal()
    if args.debug:
        logging.getLogger('ser').setLevel(logging.DEBUG)
    say = logging.getLogger('ser').info
    check_targets(args.json, args.plot)
    name, config, device, reason = _config(args)
    start_device(config, device)
    stages = [] if args.scale and args.stages is None else args.stages
    options = build_options(config, device, batches=args.batch, seconds=args.seconds, stages=stages,
                            against=args.against, repeats=args.repeats, shards=args.shards)
    facts = environment(options, reason, ' '.join([name, *args.assignments]), arguments)
    for line in environment_lines(facts):
        print(line, flush=True)
    rows, scale = measure_all(options, say), []
    if args.scale:
        from ser.benchmarks.scale import scale_rows

        scale = scale_rows(options, say)
    result = Result(facts, rows, scale)
    for line in result.lines():
        print(line)
    result.write(args.json, args.plot)
    return SOME_BAD if result.failed else DONE


def _config(args):
    """(its name, Config, device, why this device): the small preset on a CPU and the full one elsewhere by default."""
    from ser.config.load import load_config
    from ser.training.device import choose_device

    sugar = {'--device': ('run.device', args.device), '--threads': ('run.threads', args.threads)}
    sugar = {option: pair for option, pair in sugar.items() if pair[1] is not None}
    name = args.config or 'base'
    config = load_config((name,), args.assignments, sugar)
    device, reason = choose_device(config.run.device)
    if args.config is None and device.type == 'cpu':
        name = 'maxmvit-tiny'
        config = load_config((name,), args.assignments, sugar)
    return name, config, device, reason


if __name__ == '__main__':
    sys.exit(main())
