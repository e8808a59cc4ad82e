"""`ser predict FILE...`: the probability of each class (or the dimensions) of audio files, from a trained run."""

import sys

from ser.command import SOME_BAD, Parser, log_to_terminal, run_command
from ser.inference.emotion_options import OVER_TIME, add_options, check_options, format_of, request_of

MOST_JOBS = 256
EPILOG = """\
A FILE may be
  an audio file       wav, flac, ogg (Vorbis, Opus), mp3; any sample rate, any number of channels
  a folder            every audio file inside, recursively
  a pattern           'clips/**/*.wav', 'take-{01..12}.flac': in quotes it is expanded here instead of by the shell
  a shard             part-000.tar, 'part-{000..011}.tar' or a folder of tars: its clips, each called part-000.tar/key
  -                   one audio file on standard input
Names that begin with a dash come after --, as in: ser predict --model RUN -- -odd.wav

A clip longer than the run's data.max_seconds is cut into windows of that length, and the probabilities are their mean.
A file is decoded as a whole: 45 minutes of 48 kHz stereo take 4 GB meanwhile. One of more than an hour, or of more than
46 minutes of 48 kHz stereo, is refused: cut it, or ask for its --timeline.
Probabilities are those of the run's calibration (calibration.json), where it has one: 'emotion' is then 'unknown' where
the likeliest class is less likely than the run's threshold; 'likeliest' names it all the same. It is 'silence', with
'silent' true and no probabilities, where no tenth of a second reaches --silence-db: the model is not asked then.
Exit code: 0 done, 1 some files could not be used (each is reported), 2 refused."""


def parser():
    """The command line of ser predict."""
    p = Parser(prog='ser predict', description=__doc__, epilog=EPILOG)
    p.add_argument('files', nargs='*', metavar='FILE', help='audio files, folders, patterns, shards, or - (see below)')
    p.add_argument('--model', required=True, metavar='RUN', help='the run directory of a trained model')
    p.add_argument('--format', choices=OVER_TIME,
                   help='default: table on a terminal, else jsonl (one JSON object a line); with --out by its suffix')
    p.add_argument('--out', metavar='FILE', help='write there, whole or not at all, instead of to standard output')
    p.add_argument('--top', type=int, metavar='K', help='show the K likeliest classes, likeliest first, not all')
    p.add_argument('--threshold', type=float, metavar='P',
                   help="answer 'unknown' below this probability, 0 to 1, instead of the run's threshold; 0: never")
    p.add_argument('--raw', action='store_true', help="the model's own probabilities, uncalibrated, and no "
                   "'unknown' unless --threshold asks for it")
    p.add_argument('--device', metavar='NAME', choices=['auto', 'cpu', 'cuda', 'mps'], default='auto',
                   help='auto (default), cpu, cuda or mps')
    p.add_argument('--jobs', type=int, metavar='N', help='threads that decode ahead of the device (default: the cores)')
    add_options(p)
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    p = parser()
    args = p.parse_args(argv)
    check_options(p, args)
    return run_command(_body, args)


def _body(args):
    _check(args)
    # Before torch and friends, which take seconds to import.
    from ser.training.run import open_run

    open_run(args.model)
    if args.timeline or args.microphone:
        return _live(args) if args.microphone else _timelines(args)
    from pathlib import Path

    from ser.inference.places import check_places
    from ser.inference.sources import find_sources

    recordings = find_sources(args.files)
    check_places('--out', [None if args.out is None else Path(args.out)], recordings)
    from ser.inference.prediction_words import Remarks, count_words
    from ser.shards.pool import cores

    predictor = _predictor(args)
    shape, remarks = format_of(args, sys.stdout.isatty()), Remarks()
    results = predictor.predict(recordings, args.jobs or cores())
    results = _watched(results, len(recordings), args.out or shape == 'table', remarks)
    options = {} if args.top is None else {'top': args.top}
    _write(predictor.formats[shape](results, predictor.names, **options), args.out)
    _say_written(args.out, len(recordings))
    _footnotes(args, shape, predictor)
    for words in remarks.notes(timeline=predictor.classifies):
        print(f'note: {words}', file=sys.stderr)
    if remarks.errors:
        print(count_words(remarks.errors, len(recordings)), file=sys.stderr)
        return SOME_BAD


def _timelines(args):
    from ser.inference.emotion_files import plan_of, timelines
    from ser.inference.prediction_words import count_words

    request, bad = request_of(args, sys.stdout.isatty()), []
    plan = plan_of(request)
    predictor = _predictor(args)
    _write(timelines(predictor, plan, bad, _progress if sys.stderr.isatty() else None), plan.together)
    for place in (request.out, request.picture):
        _say_written(place, len(plan.recordings) - len(bad))
    for file, why in bad:
        print(f'{file}: {why}', file=sys.stderr)
    _footnotes(args, 'table' if request.format == 'table' else 'jsonl', predictor)
    if bad:
        print(count_words([why for _, why in bad], len(plan.recordings)), file=sys.stderr)
        return SOME_BAD


def _progress(file, seconds):
    print(f'\r\x1b[K{file}: {seconds // 60:.0f} min {seconds % 60:02.0f} s' if seconds is not None else '\r\x1b[K',
          end='', file=sys.stderr, flush=True)


def _live(args):
    from ser.inference.live_audio import microphone, sound_library

    library = sound_library()
    from ser.inference.emotion_windows import SILENCE_DB
    from ser.inference.live import listen, live_grid
    from ser.inference.live_bars import Screen

    predictor = _predictor(args)
    lengths = dict(request_of(args, False).lengths)
    grid = live_grid(predictor, **lengths)
    with microphone(library) as (ring, rate, name):
        print(f'listening to {name}; Ctrl-C ends it', file=sys.stderr, flush=True)
        heard = listen(predictor, ring, rate, grid, Screen(sys.stdout, predictor.names).show,
                       lengths.get('silence_db', SILENCE_DB))
    print(heard.words(), file=sys.stderr)
    _footnotes(args, 'table', predictor)


def _predictor(args):
    from ser.inference.predictor import Predictor

    log_to_terminal(quiet=True)
    level = {} if args.silence_db is None else {'silence_db': args.silence_db}
    predictor = Predictor(args.model, args.device, calibrated=not args.raw, **level)
    _check_task(args, predictor)
    if args.threshold is not None:
        predictor.set_threshold(args.threshold)
    return predictor


def _check(args):
    from ser.errors import SerError

    if args.top is not None and args.top < 1:
        raise SerError(f'--top {args.top}: how many classes to show, 1 or more, is wanted')
    if args.threshold is not None and not 0 <= args.threshold <= 1:
        raise SerError(f'--threshold {args.threshold:g}: a probability, 0 to 1, is wanted; 0 always names a class')
    if args.jobs is not None and not 1 <= args.jobs <= MOST_JOBS:
        raise SerError(f'--jobs {args.jobs}: a number of threads, 1 to {MOST_JOBS}, is wanted')


def _check_task(args, predictor):
    """Refuse options of classes for a run that predicts dimensions."""
    from ser.errors import SerError

    for option, given in (('--top', args.top is not None), ('--threshold', args.threshold is not None),
                          ('--raw', args.raw)):
        if given and not predictor.classifies:
            raise SerError(f'{option}: this run predicts dimensions ({", ".join(predictor.names)}), not classes. '
                           'Leave it out')


def _watched(results, total, late, remarks):
    """Pass results on and add them to the `remarks` (prediction_words.Remarks).

    A bar is shown where a terminal shows nothing else meanwhile. late: whether nothing is shown before the last result.
    """
    from tqdm import tqdm

    quiet = late or not sys.stdout.isatty()
    for result in tqdm(results, total=total, unit='file', leave=False,
                       disable=not (quiet and sys.stderr.isatty() and total > 1)):
        remarks.add(result)
        yield result


def _write(lines, out):
    if out is None:
        for line in lines:
            print(line, flush=True)
        return
    from ser.files import write_whole

    write_whole(out, ''.join(f'{line}\n' for line in lines))


def _say_written(place, count):
    """Say on stderr, where results on standard output are not disturbed, that answers of `count` files are written."""
    from ser.evaluation.tables import counted

    if place is not None and count:
        print(f'{place}: written, {counted(count, "file")}', file=sys.stderr)


def _footnotes(args, shape, predictor):
    """What a reader of the results must know, on stderr."""
    from ser.inference.prediction_words import calibration_words
    from ser.inference.predictor import trained_on_synthetic_speech
    from ser.training.run import RunDirectory

    if RunDirectory(args.model).unfinished:
        print(f'note: training of {args.model} is not finished; these are its best weights so far. Continue: python -m '
              f'ser.train --resume {args.model}', file=sys.stderr)
    if predictor.classifies:
        print(f'note: {calibration_words(predictor.calibration, args.raw, args.threshold)}', file=sys.stderr)
    if shape != 'jsonl' and predictor.auxiliary and not (args.timeline or args.microphone):
        print(f'note: this model also answers for {", ".join(predictor.auxiliary)}: --format jsonl shows it',
              file=sys.stderr)
    if trained_on_synthetic_speech(args.model):
        print('note: this model was trained on synthetic speech; what it says of real voices means nothing',
              file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())
