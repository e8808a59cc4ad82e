"""One process writes into the folder of a run, a series or a study."""

import fcntl
from pathlib import Path

from ser.errors import SerError


class Held:
    """Context manager: the folder is there, and no other process holds it. Raises SerError where that cannot be.

    The lock is on `.lock` inside and ends with the process, however that ends.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._lock = None

    def __enter__(self):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / '.lock', 'w')  # held until __exit__
        except OSError as error:
            raise SerError(f'{self.path}: cannot be made: {error.strerror}. Choose another --out') from error
        try:
            # A lock of the process, not of the open file: readers that fork must not keep it when we are killed.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise SerError(f'{self.path}: another process is writing there. Wait for it, stop it, or choose another '
                           '--out') from error
        return self

    def __exit__(self, *exception):
        self._lock.close()
