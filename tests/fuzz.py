"""Coverage-guided fuzzing: `python -m tests.fuzz index|label|audio|config --seconds N`.

Needs atheris (pip install atheris), which nothing else does. Ends by itself after N seconds with code 0 and a line of
statistics; at a finding it stops with the traceback, and the input lies in fuzz-TARGET-crash-*. The same targets are
tried with hypothesis in test_fuzz.py.
"""

import argparse
import sys
import tempfile
from pathlib import Path

NAMES = ('index', 'label', 'audio', 'config')


def main(argv=None):
    """Fuzz one target for a stated time; ends the process, or returns 2 without atheris."""
    parser = argparse.ArgumentParser(prog='python -m tests.fuzz', description=__doc__)
    parser.add_argument('target', choices=NAMES)
    parser.add_argument('--seconds', type=int, default=60)
    args = parser.parse_args(argv)
    try:
        import atheris
    except ImportError:
        print('error: atheris is not installed. It is needed here and nowhere else: pip install atheris',
              file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=['ser']):
        from tests import fuzz_targets
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(fuzz_targets.seeds(args.target)):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup(['fuzz', folder, f'-max_total_time={args.seconds}', '-max_len=65536', '-rss_limit_mb=4096',
                       f'-artifact_prefix=fuzz-{args.target}-', '-print_final_stats=1'],
                      fuzz_targets.TARGETS[args.target])
        atheris.Fuzz()
    return 0


if __name__ == '__main__':
    sys.exit(main())
