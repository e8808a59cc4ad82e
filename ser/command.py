"""What every command shares: an argument parser for people, exit codes, logging. Imports nothing heavy."""

import argparse
import logging
import os
import sys
from pathlib import Path

from ser.errors import SerError, did_you_mean

DONE, SOME_BAD, REFUSED = 0, 1, 2
# Numbers of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, whose errors are one line that names the nearest option."""

    def __init__(self, *args, prog, **options):
        options.setdefault('allow_abbrev', False)
        options.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, prog=typed(prog), **options)
        self.add_argument('--debug', action='store_true', help='show the traceback of an error')

    def error(self, message):
        """Print one line and exit with code 2."""
        hint = ''
        if message.startswith('unrecognized arguments:'):
            word = message.removeprefix('unrecognized arguments:').split()[0]
            hint = did_you_mean(word.split('=')[0], self._option_string_actions)
        print(f'{self.prog}: {message}.{hint} See {self.prog} --help', file=sys.stderr)
        raise SystemExit(REFUSED)


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
