"""One writer per folder."""

import contextlib
import os
import time

from ser.errors import SerError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def locked(folder, refusal, seconds=0.0):
    """Hold a folder for one process; where another holds it for so many more seconds, SerError with the text `refusal`.

    The lock ends with the process, however that ends, and with those forked from it meanwhile. Windows has no such
    lock: there nothing is held.
    """
    if fcntl is None:
        yield
        return
    handle, deadline = os.open(folder, os.O_RDONLY), time.monotonic() + seconds
    try:
        while not taken(handle):
            if time.monotonic() >= deadline:
                raise SerError(refusal)
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def taken(handle):
    """Whether this process holds an open file or folder from now on, rather than another one. Not for Windows."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
