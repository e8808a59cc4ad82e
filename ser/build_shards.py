"""`ser shards`, `tools/build_shards.py`: a corpus folder into WebDataset shards."""

import contextlib
import re
import shlex
import sys
import time

from ser.command import DONE, SOME_BAD, Parser, log_to_terminal, run_command
from ser.errors import SerError
from ser.evaluation.tables import counted

EPILOG = """\
Plain tars of audio and JSON, with an index beside them. ser corpora lists the corpora, ser corpora NAME says all
that is known of one: its layout, its options, how to get it.
Exit code: 0 done, 1 done with some files unusable (listed in OUT/skipped.csv), 2 refused."""
_SHOWN_SKIPS = 10
# What the last line offers: the preset, its training.batch_size, and the share of the clips that protocols train on.
_PRESET, _PRESET_BATCH, _TRAIN_SHARE = 'maxmvit-tiny', 32, 0.65
# Two to train on, one to validate and one to test.
_FEWEST_CLIPS = 4


def _rate(text):
    # What is neither is refused further on, in one line.
    return int(text) if text.isdecimal() else text


def parser():
    """The command line of ser shards."""
    p = Parser(prog='ser shards', description=__doc__, epilog=EPILOG)
    p.add_argument('corpus', metavar='CORPUS', help='a corpus by name: ser corpora lists them')
    p.add_argument('source', metavar='SOURCE', help='the corpus folder; csv: also the table itself; demo: -')
    p.add_argument('out', metavar='OUT', help='folder for the shards; must not hold any yet')
    p.add_argument('--option', metavar='NAME=VALUE ...', action='append', default=[],
                   help='options of the corpus (ser corpora CORPUS lists them)')
    p.add_argument('--download', action='store_true',
                   help='first download the corpus to SOURCE, where its licence lets anybody')
    p.add_argument('--yes', action='store_true', help='with --download: the licence is accepted, do not ask')
    p.add_argument('--audio', default='flac', metavar='flac|wav|ogg', help='audio format (default flac)')
    p.add_argument('--sample-rate', type=_rate, default=44100, metavar='HZ|keep',
                   help='resample to HZ, or keep what each file has (default 44100)')
    p.add_argument('--shard-size', type=int, metavar='SAMPLES', help='samples per shard (default 500)')
    p.add_argument('--jobs', type=int, metavar='N', help='processes (default: all cores)')
    p.add_argument('--engine', choices=('local', 'dask'), default='local',
                   help='where recordings are read: here, or on a Dask cluster; the bytes are the same (default local)')
    p.add_argument('--workers', type=int, metavar='N', help='dask: a cluster of N processes here (default: all cores)')
    p.add_argument('--scheduler', metavar='ADDRESS',
                   help='dask: the cluster that runs there, such as tcp://host:8786; one you trust')
    return p


def main(argv=None):
    """Run the command; returns the exit code."""
    return run_command(_build, parser().parse_args(each_option(sys.argv[1:] if argv is None else argv)))


def _build(args):
    from ser.shards.write import SHARD_SIZE, write_shards

    log_to_terminal()
    started = time.monotonic()
    settings = {'audio': args.audio, 'sample_rate': args.sample_rate, 'jobs': args.jobs,
                'shard_size': SHARD_SIZE if args.shard_size is None else args.shard_size}
    options = corpus_options(args.option)
    _check_engine(args)
    if args.download:
        _download(args, settings)
    elif args.yes:
        raise SerError('--yes accepts a licence, and goes with --download')
    with _spread(args) as spread, Progress(sys.stderr) as progress:
        summary = write_shards(args.corpus, _source(args), args.out, options=options, progress=progress, spread=spread,
                               **settings)
    for line in report(summary):
        print(_shown(line))
    print(f'took {time.monotonic() - started:.1f} s')
    return SOME_BAD if summary.bad else DONE


def _check_engine(args):
    """Raises SerError for options that the chosen engine does not have."""
    if args.engine == 'local':
        given = next((name for name in ('workers', 'scheduler') if getattr(args, name) is not None), None)
        if given:
            raise SerError(f'--{given} goes with --engine dask; the local engine has --jobs')
        return
    from ser.shards.cluster import check_cluster

    if args.jobs is not None:
        raise SerError('--jobs goes with --engine local; with dask it is --workers, or what the cluster has')
    if args.workers is not None and args.scheduler:
        raise SerError('--workers starts a cluster here and --scheduler names one that runs: give one of the two')
    if args.workers is not None and args.workers < 1:
        raise SerError(f'--workers must be at least 1, not {args.workers}')
    check_cluster()


def _spread(args):
    """A context with what maps the work over a cluster, or with None for the processes of --jobs."""
    if args.engine == 'local':
        return contextlib.nullcontext()
    from ser.shards.cluster import cluster

    return cluster(args.workers, args.scheduler)


def _source(args):
    """SOURCE, for workers elsewhere in full: they have another working folder."""
    from pathlib import Path

    path = Path(args.source)
    return str(path.absolute()) if args.engine != 'local' and path.exists() else args.source


def each_option(words):
    """Words of a command line with --option before every NAME=VALUE of a row of them.

    argparse would take CORPUS, SOURCE and OUT for some of them where these come after.
    """
    told = []
    for number, word in enumerate(words):
        follows = number > 1 and told[-2] == '--option' and '=' in words[number - 1]
        told += ['--option', word] if follows and re.match(r'[A-Za-z_]\w*=', word) else [word]
    return told


def corpus_options(words):
    """Name -> value of `NAME=VALUE` words. Raises SerError for a malformed or repeated one."""
    options = {}
    for word in words:
        name, equals, value = word.partition('=')
        if not name.strip() or not equals:
            raise SerError(f"--option '{word}': NAME=VALUE is wanted, such as channel=1")
        if name.strip() in options:
            raise SerError(f"--option {name.strip()} is given twice: '{options[name.strip()]}' and '{value.strip()}'")
        options[name.strip()] = value.strip()
    return options


def _download(args, settings):
    from pathlib import Path

    from ser.corpora.download import ensure_downloaded
    from ser.shards.publish import check_out
    from ser.shards.write import check_settings

    # What would be refused afterwards is refused before hours of downloading.
    check_settings(**settings)
    check_out(Path(args.out))
    ensure_downloaded(args.corpus, args.source, lambda facts, missing: agree(facts, missing, args.yes),
                      say=lambda line: print(line, flush=True),
                      watch=lambda file: Progress(sys.stderr, unit='B', what=file))


def agree(facts, missing, yes, stdin=None):
    """Show the licence and what is to come, and ask; SerError where the answer is no, or nobody is there to ask."""
    from ser.corpora.download import terms

    stdin = stdin or sys.stdin
    if not yes and not stdin.isatty():
        raise SerError(f"--download {facts.name}: its licence ({facts.licence}) must be accepted, and there is no "
                       f'terminal to ask on. Read it ({facts.homepage or "ser corpora " + facts.name}), then add --yes')
    for line in terms(facts, missing):
        print(line)
    if yes:
        return
    print('Download and accept this licence? [y/N] ', end='', flush=True)
    if stdin.readline().strip().lower() not in ('y', 'yes'):
        raise SerError('the licence was not accepted: nothing was downloaded')


def report(summary):
    """Lines that say what a build made."""
    official = ''
    if summary.official not in (None, summary.utterances):
        official = f' (the published corpus has {summary.official})'
    yield (f"{summary.corpus}: {counted(summary.utterances, 'utterance')} in {counted(len(summary.shards), 'shard')}, "
           f'{summary.out}{official}')
    yield f'audio: {_duration(summary.seconds)}'
    yield f'speakers: {_speakers(summary)}'
    unlabelled = summary.utterances - sum(summary.emotions.values())
    without = [f'none {unlabelled} (dimensions only: train with task.kind=dimensions)'] if unlabelled else []
    yield 'emotions: ' + ', '.join([*(f'{name} {count}' for name, count in summary.emotions.items()), *without])
    if summary.renamed:
        yield 'labels renamed: ' + ', '.join(f'{given} -> {name}' for given, name in summary.renamed)
    if summary.clipped_samples:
        yield (f"rounded peaks beyond full scale (resampling can overshoot): "
               f"{counted(summary.clipped_samples, 'sample')} in {counted(summary.clipped_files, 'file')}")
    for doubt, files in summary.doubtful.items():
        more = f' and {len(files) - _SHOWN_SKIPS} more, all of them in shards.json' if len(files) > _SHOWN_SKIPS else ''
        yield f"{doubt}, and kept: {counted(len(files), 'clip')}: {', '.join(files[:_SHOWN_SKIPS])}{more}"
    yield from _skips(summary)
    if summary.utterances < _FEWEST_CLIPS:
        yield (f'too few clips to train on: {summary.utterances}, and at least {_FEWEST_CLIPS} are needed, to train '
               'on, validate and test')
        return
    shards, batch, protocol = shlex.quote(str(summary.out)), *_fitting(summary)
    yield f'audit: ser audit --shards {shards}{protocol}'
    yield f'next: python -m ser.train --shards {shards} --config {_PRESET}{batch}{protocol}'


def _duration(seconds):
    if round(seconds) >= 3600:
        return f'{seconds / 3600:.2f} hours'
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest:02d} s' if seconds >= 59.5 else f'{seconds:.1f} s'


def _speakers(summary):
    if not summary.speakers:
        return 'unknown'
    low, high = min(summary.speakers.values()), max(summary.speakers.values())
    each = f'{low} to {high} clips' if low < high else counted(low, 'clip')
    unknown = summary.utterances - summary.speakers.total()
    return f'{len(summary.speakers)} ({each} each{f"; unknown of {unknown}" if unknown else ""})'


def _skips(summary):
    if not summary.skips:
        yield 'skipped: none'
        return
    yield 'skipped: ' + ', '.join(f'{reason} {count}' for reason, count in summary.skipped.items())
    first = sorted(summary.skips, key=lambda skip: not skip.bad)[:_SHOWN_SKIPS]
    yield from (f'  {skip.relative}: {skip.reason}{f" ({skip.detail})" if skip.detail else ""}' for skip in first)
    if len(summary.skips) > len(first):
        yield f'  and {len(summary.skips) - len(first)} more, all of them in skipped.csv'


def _shown(text):
    """Names of files hold whatever they like; here a line stays a line, and a terminal is told nothing by them."""
    return ''.join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _fitting(summary):
    """(batch, protocol): options that a tiny corpus, or one without speakers, needs besides the preset."""
    speakers = sorted(summary.speakers.values())
    by_speaker = len(speakers) >= 3 and sum(speakers) == summary.utterances
    train = int(_TRAIN_SHARE * summary.utterances)
    if by_speaker:
        # Speakers are in one part whole: with few, much less may be left to train on.
        train = min(train, sum(speakers[:max(int(_TRAIN_SHARE * len(speakers)), 1)]))
    batch = f' --set training.batch_size={max(train // 2 * 2, 2)}' if train < _PRESET_BATCH else ''
    return batch, '' if by_speaker else ' --protocol utterance'


class Progress:
    """A bar on a terminal, otherwise a plain line every ten seconds; of clips, or of the bytes ('B') of a file."""

    def __init__(self, stream, seconds=10.0, unit='clip', what=''):
        self.stream, self.seconds, self.unit, self.what = stream, seconds, unit, what
        self._bar, self._last = None, time.monotonic()

    def __call__(self, done, total):
        """Show that `done` of `total` (None: nobody knows) are done."""
        if self.stream.isatty():
            if self._bar is None:
                from tqdm import tqdm

                self._bar = tqdm(total=total, unit=self.unit, unit_scale=self.unit == 'B', desc=self.what or None,
                                 file=self.stream)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._last >= self.seconds:
            self._last = time.monotonic()
            print(self._line(done, total), file=self.stream, flush=True)

    def _line(self, done, total):
        if self.unit != 'B':
            return f'{done} of {total} clips'
        from ser.files import size_text

        return f'{self.what}: {size_text(done)}{"" if total is None else f" of {size_text(total)}"}'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()


if __name__ == '__main__':
    sys.exit(main())
