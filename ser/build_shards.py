"""`ser shards`, `tools/build_shards.py`: a corpus folder into WebDataset shards."""

import shlex
import sys
import time

from ser.command import DONE, SOME_BAD, Parser, log_to_terminal, run_command
from ser.evaluation.tables import counted

EPILOG = """\
Plain tars of audio and JSON, with an index beside them. ser corpora lists the corpora.
Exit code: 0 done, 1 done with some files unusable (listed in OUT/skipped.csv), 2 refused."""
_SHOWN_SKIPS = 10


def _rate(text):
    # What is neither is refused further on, in one line.
    return int(text) if text.isdecimal() else text


def parser():
    """The command line of ser shards."""
    p = Parser(prog='build_shards', description=__doc__, epilog=EPILOG)
    p.add_argument('corpus', metavar='CORPUS', help='ravdess, emodb, csv (a folder with a table), demo')
    p.add_argument('source', metavar='SOURCE', help='the corpus folder; csv: also the table itself; demo: -')
    p.add_argument('out', metavar='OUT', help='folder for the shards; must not hold any yet')
    p.add_argument('--audio', default='flac', metavar='flac|wav|ogg', help='audio format (default flac)')
    p.add_argument('--sample-rate', type=_rate, default=44100, metavar='HZ|keep',
                   help='resample to HZ, or keep what each file has (default 44100)')
    p.add_argument('--shard-size', type=int, metavar='SAMPLES', help='samples per shard (default 500)')
    p.add_argument('--jobs', type=int, metavar='N', help='processes (default: all cores)')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_build, parser().parse_args(argv))


def _build(options):
    from ser.shards.write import SHARD_SIZE, write_shards

    log_to_terminal()
    started = time.monotonic()
    with Progress(sys.stderr) as progress:
        size = SHARD_SIZE if options.shard_size is None else options.shard_size
        summary = write_shards(
            options.corpus, options.source, options.out, audio=options.audio, sample_rate=options.sample_rate,
            shard_size=size, jobs=options.jobs, progress=progress)
    for line in report(summary):
        print(line)
    print(f'took {time.monotonic() - started:.1f} s')
    return SOME_BAD if summary.bad else DONE


def report(summary):
    """Lines that say what a build made."""
    official = ''
    if summary.official not in (None, summary.utterances):
        official = f' (the published corpus has {summary.official})'
    yield (f"{summary.corpus}: {counted(summary.utterances, 'utterance')} in {counted(len(summary.shards), 'shard')}, "
           f'{summary.out}{official}')
    yield f'hours: {summary.seconds / 3600:.2f}'
    yield f'speakers: {len(summary.speakers) or "unknown"}'
    yield 'emotions: ' + ', '.join(f'{name} {count}' for name, count in summary.emotions.items())
    if summary.clipped_samples:
        yield (f"peaks cut at full scale: {counted(summary.clipped_samples, 'sample')} in "
               f"{counted(summary.clipped_files, 'file')}")
    if summary.skips:
        yield 'skipped: ' + ', '.join(f'{reason} {count}' for reason, count in summary.skipped.items())
        first = sorted(summary.skips, key=lambda skip: not skip.bad)[:_SHOWN_SKIPS]
        yield from (f'  {skip.relative}: {skip.reason}{f" ({skip.detail})" if skip.detail else ""}' for skip in first)
        if len(summary.skips) > len(first):
            yield f'  and {len(summary.skips) - len(first)} more, all of them in skipped.csv'
    else:
        yield 'skipped: none'
    yield f'next: python -m ser.train --shards {shlex.quote(str(summary.out))} --config maxmvit-tiny'


class Progress:
    """A bar on a terminal, otherwise a plain line every ten seconds."""

    def __init__(self, stream, seconds=10.0):
        self.stream, self.seconds = stream, seconds
        self._bar, self._last = None, time.monotonic()

    def __call__(self, done, total):
        """Show that `done` of `total` are done."""
        if self.stream.isatty():
            if self._bar is None:
                from tqdm import tqdm

                self._bar = tqdm(total=total, unit='clip', file=self.stream)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._last >= self.seconds:
            self._last = time.monotonic()
            print(f'{done} of {total} clips', file=self.stream, flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()


if __name__ == '__main__':
    sys.exit(main())
