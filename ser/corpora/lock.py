"""One writer per folder."""

import contextlib
import os

from ser.errors import SerError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def locked(folder, refusal):
    """Hold a folder for one process; where another holds it, SerError with the text `refusal`.

    The lock ends with the process, however that ends. Windows has no such lock: there nothing is held.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SerError(refusal) from None
        yield
    finally:
        os.close(handle)
