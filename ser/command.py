"""What every command shares: an argument parser for people, exit codes, logging. Imports nothing heavy."""

import argparse
import itertools
import logging
import os
import shlex
import sys
from pathlib import Path

from ser.errors import SerError, nearest

DONE, SOME_BAD, REFUSED = 0, 1, 2
_MOST_KEYS = 3
# Numbers of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, whose errors are one line that names the nearest option or config key."""

    def __init__(self, *args, prog, **options):
        options.setdefault('allow_abbrev', False)
        options.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, prog=typed(prog), **options)
        self.add_argument('--debug', action='store_true', help='show the traceback of an error')
        self._words, self._left = [], []

    def parse_args(self, args=None, namespace=None):
        """As argparse, and `error` knows the words that were left over."""
        self._words = list(sys.argv[1:] if args is None else args)
        found, self._left = self.parse_known_args(self._words, namespace)
        if self._left:
            self.error(f'unrecognized arguments: {" ".join(self._left)}')
        return found

    def error(self, message):
        """Print one line and exit with code 2."""
        hint = ''
        if self._left:
            hint = self._meant(self._left)
        elif 'required' in message:
            # What is missing may have been given under a name that does not exist.
            given = (word.partition('=')[0] for word in itertools.takewhile(lambda word: word != '--', self._words))
            unknown = next((name for name in given if name.startswith('--')
                            and name not in self._option_string_actions), None)
            hint = f" '{unknown}' is no option.{self._nearest(unknown)}" if unknown else ''
        print(f'{self.prog}: {message}.{hint} See {self.prog} --help', file=sys.stderr)
        raise SystemExit(REFUSED)

    def _meant(self, words):
        """What may have been meant by words that are no arguments of this command."""
        name, equals, value = words[0].partition('=')
        if not name.startswith('-'):
            is_place = os.path.exists(words[0]) or '/' in words[0] or words[0].endswith('.tar')
            given = shlex.join(itertools.takewhile(lambda word: not word.startswith('-'), words))
            return f' Did you mean --shards {given}?' if is_place and '--shards' in self._option_string_actions else ''
        if not equals:
            value = words[1] if len(words) > 1 and not words[1].startswith('-') else 'VALUE'
        keys = _config_keys(name.lstrip('-').replace('-', '_')) if '--set' in self._option_string_actions else ()
        if not 0 < len(keys) <= _MOST_KEYS:
            return self._nearest(name)
        return f' Did you mean {" or ".join(shlex.join(["--set", f"{key}={value}"]) for key in keys)}?'

    def _nearest(self, word):
        """`did_you_mean` among the options; dashes, which all of them have, make nothing alike."""
        options = {option.lstrip('-'): option for option in self._option_string_actions}
        match = nearest(word.lstrip('-'), options)
        return f" Did you mean '{options[match]}'?" if match else ''


def _config_keys(name):
    """The config keys, dotted, that are called so or end so; those of training first."""
    # Takes a while to import, and only a mistake needs it.
    from ser.config.schema import Config

    def dotted(section, prefix):
        for key, value in section.items():
            yield from dotted(value, f'{prefix}{key}.') if isinstance(value, dict) and value else (f'{prefix}{key}',)

    keys = [key for key in dotted(Config().model_dump(), '') if f'.{key}'.endswith(f'.{name}')]
    return sorted(keys, key=lambda key: not key.startswith('training.'))


def typed(prog):
    """A command as it was typed, for its usage and errors: a module or a tool by its own name, else `prog`."""
    file, package = Path(sys.argv[0]), Path(__file__).resolve().parent
    if file.suffix != '.py' or file.stem == 'cli':
        return prog
    folder = file.resolve().parent
    if folder == package:
        return f'python -m ser.{file.stem}'
    return f'python {file}' if folder == package.parent / 'tools' else prog


def run_command(main, args):
    """`main(args)` with SerError as one line on stderr and exit code 2; returns the exit code.

    main returns None for 0, or an exit code.
    """
    # Before torch is imported: GNU OpenMP's waiting threads spin so long by default that one busy neighbour makes
    # training twenty times slower. This many turns cost nothing on free cores (measured, NOTES.md).
    os.environ.setdefault('GOMP_SPINCOUNT', '20000')
    keep_freed_memory()
    try:
        code = main(args)
        sys.stdout.flush()
        return DONE if code is None else code
    except SerError as error:
        if args.debug:
            raise
        print(f'error: {error}', file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print('stopped', file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader went away (`| head`): nothing is wrong here, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def keep_freed_memory():
    """Let glibc keep large freed blocks for the next batch; True where it does.

    By itself it gives each back to the system and has it paged in anew: half the time of the front end on some
    machines (measured, NOTES.md). The process keeps what it needed at its peak.
    """
    if sys.platform != 'linux':
        return False
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    # Older versions of glibc refuse more than half of what a thread's heap may hold.
    return mallopt is not None and any(mallopt(_M_MMAP_THRESHOLD, limit) for limit in (1 << 30, 1 << 25)) and bool(
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1))


def log_to_terminal(quiet=False):
    """Log lines of the package on stderr; `quiet` (ranks other than the first) keeps warnings only."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter('%(message)s'))
    logger = logging.getLogger('ser')
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False


def check_jobs(jobs):
    """Raises SerError for a --jobs that is no number of processes; None, for all cores, is one."""
    if jobs is not None and jobs < 1:
        raise SerError(f'--jobs {jobs}: a number of processes, 1 or more, is wanted')


def add_config_options(parser):
    """`--config` and `--set`, the two ways to choose a config."""
    parser.add_argument('--config', metavar='FILE|NAME', help='YAML file or preset; ser config show lists the presets')
    parser.add_argument('--set', metavar='a.b=value', nargs='+', action='extend', default=[], dest='assignments',
                        help='change config keys, such as training.epochs=10')
