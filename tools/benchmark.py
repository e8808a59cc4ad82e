"""Measure every stage on this machine, beside its rivals; the same as `ser benchmark`."""

import sys
from pathlib import Path

# The checkout need not be installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ser.benchmark import main

if __name__ == '__main__':
    sys.exit(main())
