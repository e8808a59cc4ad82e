"""A process that ends with the one that started it, however that one ended."""

import contextlib
import os
import threading
import time

POLL_SECONDS = 0.5


def end_with_parent(message=''):
    """From now on this process ends within a second of its parent, kill -9 included; `message` goes to stderr first.

    A thread asks who the parent is: it needs no system call of one platform, and a parent's thread may end.
    """
    threading.Thread(target=_watch, args=(os.getppid(), message), name='parent-watch', daemon=True).start()


def _watch(parent, message):
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    # The terminal may be gone with the parent.
    with contextlib.suppress(OSError):
        os.write(2, message.encode())
    os._exit(1)
