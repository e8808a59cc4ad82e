"""Build a corpus into WebDataset shards; the same as `ser shards`."""

import sys
from pathlib import Path

# The checkout need not be installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ser.build_shards import main

if __name__ == '__main__':
    sys.exit(main())
